"""The record endpoint: which call is judged by which clause, and what is said of one that breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from histories import (
    BODY,
    ENVELOPE,
    GATEWAY,
    KEPT,
    LINE,
    REFUSED,
    Triple,
    broken,
    call,
    feedback,
    finding,
    fuzz,
    outcome,
    published,
    verdict,
    without,
)

INCOMPLETE = without(BODY, "approved")
CONVERTED = BODY | {"approved": "true"}
BARE = without(BODY, "comment")
MISMATCHED = {"tenant": "70"}
REFUSE = {"expected": "the call is refused (4xx)", "seen": "status 200"}

TRIPLES = {
    "http.accepted": Triple(
        kept=KEPT,
        broken=(call(status=500),),
        unproven=REFUSED,
        expected="status 200",
        seen="status 500",
    ),
    "http.data": Triple(
        kept=KEPT,
        broken=(call(answer=ENVELOPE | {"data": {"ok": True, "logged": False}}),),
        unproven=REFUSED,
        expected="/data/logged as in the document",
        seen="/data/logged is false, expected true",
        pointer="/data/logged",
    ),
    "http.no-database-fields": Triple(
        kept=KEPT,
        broken=(call(INCOMPLETE, status=422, answer={"detail": [{"input": {"history_id": 7}}]}),),
        unproven=(call(status=None),),
        expected="neither history_id nor fi_doc_updated in an answer",
        seen="history_id in the answer",
    ),
    "http.optional-fields": Triple(
        kept=(call(BODY | {"doc_key": None}),),
        broken=(call(BARE, status=422),),
        unproven=KEPT,
        expected="status 200",
        seen="status 422",
    ),
    "http.missing-field-refused": Triple(
        kept=(call(INCOMPLETE, status=422),), broken=(call(INCOMPLETE),), unproven=KEPT, **REFUSE
    ),
    "http.token-refused": Triple(
        kept=(call(token="expired", status=401),), broken=(call(token="expired"),), unproven=KEPT, **REFUSE
    ),
    "http.tenant-refused": Triple(
        kept=(call(tenant="70", status=403),), broken=(call(tenant="70"),), unproven=KEPT, **REFUSE
    ),
    "http.json-types": Triple(kept=(call(CONVERTED, status=422),), broken=(call(CONVERTED),), unproven=KEPT, **REFUSE),
    "http.status-401": Triple(
        kept=REFUSED,
        broken=(call(token="missing", status=403),),
        unproven=KEPT,
        expected="status 401",
        seen="status 403",
    ),
    "http.status-403": Triple(
        kept=(call(tenant="70", status=403),),
        broken=(call(tenant="70", status=404),),
        unproven=KEPT,
        expected="status 403",
        seen="status 404",
    ),
    "http.status-405": Triple(
        kept=(call(method="GET", status=405),),
        broken=(call(method="GET", status=404),),
        unproven=KEPT,
        expected="status 405",
        seen="status 404",
    ),
    "http.status-422": Triple(
        kept=(call(INCOMPLETE, status=422),),
        broken=(call(INCOMPLETE, status=400),),
        unproven=KEPT,
        expected="status 422",
        seen="status 400",
    ),
    "http.error-detail": Triple(
        kept=REFUSED,
        broken=(call(token="missing", status=401, answer={"error": "no token"}),),
        unproven=KEPT,
        expected="JSON with a detail",
        seen="status 401",
    ),
    "http.precedence": Triple(
        kept=(call(INCOMPLETE, token="missing", status=401),),
        broken=(call(INCOMPLETE, token="missing", status=422),),
        unproven=(*KEPT, *REFUSED),
        expected="status 401",
        seen="status 422",
    ),
    "http.gateway-tenant": Triple(
        kept=(call(tenant=None), call(path=GATEWAY, tenant=None, status=400)),
        broken=(call(path=GATEWAY, tenant=None),),
        unproven=KEPT,
        expected="status 400",
        seen="status 200",
    ),
    "http.logged": Triple(
        kept=KEPT,
        broken=(published(), call()),
        unproven=REFUSED,
        expected="one feedback line for an accepted action",
        seen="0 lines for the call of request-1",
    ),
    "http.refused-not-logged": Triple(
        kept=REFUSED,
        broken=(feedback(), *REFUSED),
        unproven=KEPT,
        expected="no feedback line for a refused call",
        seen="status 401, and 1 lines",
    ),
}


def test_an_answer_that_is_no_json_is_not_the_envelope() -> None:
    found = finding("http.accepted", call(answer=b"recorded"))
    assert (found.expected, found.seen) == ("the answer is JSON", "status 200")


def test_json_under_another_content_type_is_not_the_envelope() -> None:
    assert outcome("http.accepted", call(answer_headers={"content-type": "text/plain"})) == "broken"
    assert outcome("http.accepted", call(answer_headers={})) == "broken"
    assert outcome("http.accepted", call(answer_headers={"content-type": "application/json; charset=utf-8"})) == "kept"


@pytest.mark.parametrize("answer", [b"recorded", b"[]", b"null"])
def test_an_answer_without_any_data_does_not_prove_what_is_said_of_data(answer: bytes) -> None:
    assert broken(call(answer=answer), feedback(), published()) >= {"http.accepted"}
    assert outcome("http.data", call(answer=answer)) == "unproven"


def test_a_field_of_the_envelope_breaks_one_clause_and_a_field_of_its_data_another() -> None:
    assert broken(*KEPT[:2], call(answer=ENVELOPE | {"success": False})) == {"http.accepted"}
    assert broken(*KEPT[:2], call(answer=without(ENVELOPE, "data"))) == {"http.data"}
    assert broken(*KEPT[:2], call(answer=ENVELOPE | {"data": {"ok": True, "logged": True, "id": 1}})) == {"http.data"}


@pytest.mark.parametrize("stamp", ["2026-02-11T14:30:01", "2026-02-11T14:30:01.250000", "2026-02-11T14:30:01Z"])
def test_the_timestamp_of_the_answer_needs_neither_fraction_nor_offset(stamp: str) -> None:
    assert outcome("http.accepted", call(answer=ENVELOPE | {"timestamp": stamp})) == "kept"


def test_a_database_field_is_found_at_any_depth_of_any_answer() -> None:
    answer = ENVELOPE | {"data": {"ok": True, "logged": True, "rows": [{"fi_doc_updated": 1, "history_id": 2}]}}
    found = finding("http.no-database-fields", call(answer=answer))
    assert found.seen == "history_id and fi_doc_updated in the answer"
    assert "http.data" in broken(call(answer=answer))


def test_the_name_of_a_database_field_as_a_value_is_no_field() -> None:
    assert outcome("http.no-database-fields", call(answer=ENVELOPE | {"message": "history_id"})) == "kept"


@pytest.mark.parametrize("body", [BARE, BODY | {"comment": None}, without(BODY, "doc_key"), BODY | {"doc_key": None}])
def test_each_optional_field_may_be_absent_or_null(body: dict[str, Any]) -> None:
    assert broken(call(body, status=422)) == {"http.optional-fields"}


def test_a_missing_field_outranks_a_wrong_type() -> None:
    assert broken(call(INCOMPLETE | {"case_id": 7})) == {"http.missing-field-refused"}


@pytest.mark.parametrize("wire", [b"", b"[]", b"null", b"{", b"\xff"])
def test_a_body_that_is_no_object_lacks_every_field(wire: bytes) -> None:
    assert broken(call(wire)) == {"http.missing-field-refused"}
    assert broken(call(wire, status=400)) == {"http.status-422"}


@pytest.mark.parametrize(
    "body",
    [CONVERTED, BODY | {"approved": 1}, BODY | {"case_id": ""}, BODY | {"request_id": None}, BODY | {"comment": 7}],
)
def test_a_wrong_type_and_an_empty_id_are_refused(body: dict[str, Any]) -> None:
    assert broken(call(body)) == {"http.json-types"}


@pytest.mark.parametrize("token", ["missing", "malformed", "expired", "wrong-signature", "alg-none"])
def test_no_token_but_a_valid_one_goes_through(token: str) -> None:
    assert broken(call(token=token)) == {"http.token-refused"}


def test_a_call_that_went_through_is_told_of_once() -> None:
    assert broken(call(token="missing")) == {"http.token-refused"}
    assert broken(call(INCOMPLETE, token="missing")) == {"http.token-refused"}


@pytest.mark.parametrize(
    ("refused", "clause"),
    [
        ({"token": "missing"}, "http.token-refused"),
        ({"tenant": "70"}, "http.tenant-refused"),
        ({"body": INCOMPLETE}, "http.missing-field-refused"),
        ({"body": CONVERTED}, "http.json-types"),
    ],
)
def test_a_server_error_is_no_refusal(refused: dict[str, Any], clause: str) -> None:
    found = finding(clause, call(**refused, status=500))
    assert (found.expected, found.seen) == ("the call is refused (4xx)", "status 500")


def test_401_names_the_scheme() -> None:
    plain = {"content-type": "application/json"}
    found = finding("http.status-401", call(token="missing", status=401, answer_headers=plain))
    assert (found.expected, found.seen) == ("WWW-Authenticate: Bearer", f"headers {plain}")


def test_405_names_the_method() -> None:
    plain = {"content-type": "application/json", "allow": "GET"}
    found = finding("http.status-405", call(method="PUT", status=405, answer_headers=plain))
    assert (found.expected, found.seen) == ("Allow: POST", f"headers {plain}")


def test_an_answer_to_head_has_no_body_to_judge() -> None:
    assert broken(call(method="HEAD", status=405, answer=b"")) == set()


def test_a_refusal_by_a_status_that_is_not_aura_s_needs_no_detail() -> None:
    assert broken(call(INCOMPLETE, status=400)) == {"http.status-422"}
    assert broken(call(INCOMPLETE, status=422, answer=b"")) == {"http.error-detail"}


@pytest.mark.parametrize(
    ("clash", "first"),
    [
        ({"token": "missing", "tenant": "70", "method": "PUT"}, 401),
        ({"tenant": "70", "method": "PUT"}, 403),
        ({"tenant": "70", "body": INCOMPLETE}, 403),
        ({"token": "expired", "body": b"{"}, 401),
        ({"token": "expired", "method": "GET"}, 401),
    ],
)
def test_the_first_refusal_that_applies_is_answered(clash: dict[str, Any], first: int) -> None:
    for status in (401, 403, 405, 422):
        expected = set() if status == first else {"http.precedence"}
        assert broken(call(**clash, status=status)) == expected


def test_the_body_of_another_method_is_not_looked_at() -> None:
    assert broken(call(b"", method="DELETE", status=405)) == set()


def test_without_a_tenant_the_direct_path_takes_the_token_s_and_the_gateway_refuses() -> None:
    assert broken(*KEPT[:2], call(tenant=None)) == set()
    assert broken(call(tenant=None, status=400)) == {"http.gateway-tenant"}
    assert broken(call(path=GATEWAY, tenant=None, status=400)) == set()
    assert broken(call(path=GATEWAY, tenant=" ", status=400)) == set()


def test_behind_the_gateway_nothing_else_is_judged_of_a_call_without_tenant() -> None:
    for status in (400, 401, 422):
        assert broken(call(INCOMPLETE, token="missing", tenant=None, path=GATEWAY, status=status)) == set()


@pytest.mark.parametrize(
    "unclear",
    [
        {"token": "unclear"},
        {"content_type": "text/plain"},
        {"content_type": None},
        {"body": b'{"case_id": NaN}'},
        {"body": b"\xef\xbb\xbf{}"},
        {"body": BODY | {"comment": "\0"}},
        {"path": GATEWAY, "body": BODY | {"comment": "가" * 100_000}},
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 413, 415, 422, 500])
def test_where_the_agreement_is_silent_any_answer_will_do(unclear: dict[str, Any], status: int) -> None:
    assert broken(call(**unclear, status=status, answer=b"")) == set()


def test_even_where_the_agreement_is_silent_no_database_field_is_answered() -> None:
    assert broken(call(content_type=None, answer={"history_id": 7})) == {"http.no-database-fields"}


def test_a_call_of_another_path_is_not_judged() -> None:
    assert broken(call(path="/aura/action/other", status=500)) == set()


def test_the_feedback_line_is_counted() -> None:
    found = finding("http.logged", feedback(), feedback(at=1.15), published(), call())
    assert (found.seen, found.events) == ("2 lines for the call of request-1", (4, 1, 2))


@pytest.mark.parametrize(
    ("name", "value"),
    [("case_id", "case-0"), ("executor_id", "user-0"), ("approved", 1), ("comment", ""), ("doc_key", None)],
)
def test_the_feedback_line_says_what_the_call_said(name: str, value: object) -> None:
    found = finding("http.logged", feedback(LINE | {name: value}), published(), call())
    assert found.expected == f"{name} of the call in its feedback line"
    assert found.pointer == f"/{name}"
    assert found.seen.endswith(" for the call of request-1")


def test_a_field_that_the_feedback_line_lacks_is_shown_as_nothing() -> None:
    found = finding("http.logged", feedback(without(LINE, "comment")), published(), call())
    assert (found.pointer, found.seen) == ("/comment", "nothing for the call of request-1")


def test_a_feedback_line_that_is_no_json_says_nothing() -> None:
    found = finding("http.logged", feedback("hitl_feedback"), published(), call())
    assert (found.pointer, found.seen) == ("/case_id", "nothing for the call of request-1")


@pytest.mark.parametrize("written", [{}, {"comment": None}, {"comment": ""}])
@pytest.mark.parametrize("called", [{}, {"comment": None}])
def test_a_comment_that_was_not_given_may_be_written_as_empty(called: dict[str, Any], written: dict[str, Any]) -> None:
    line = feedback(without(LINE, "comment") | written)
    assert outcome("http.logged", line, published(), call(without(BODY, "comment") | called)) == "kept"


def test_a_call_that_failed_need_not_be_logged() -> None:
    assert outcome("http.logged", call(status=500)) == "unproven"
    assert outcome("http.refused-not-logged", feedback(), call(status=500)) == "unproven"


def test_a_failure_of_schemathesis_is_told_under_the_clause_of_its_call() -> None:
    marked = call(headers={"x-schemathesis-testcaseid": "abc"})
    found = finding("http.accepted", marked, fuzz("abc", check="response_schema_conformance", message="odd"))
    assert (found.expected, found.seen) == ("Schemathesis: response_schema_conformance", "odd")
    assert found.events == (1,)


def test_a_failure_of_schemathesis_is_not_told_where_ours_already_tells() -> None:
    marked = call(status=500, headers={"x-schemathesis-testcaseid": "abc"})
    assert [each.expected for each in verdict("http.accepted", marked, fuzz("abc")).findings] == ["status 200"]


@pytest.mark.parametrize(
    ("refused", "status", "clause"),
    [
        ({"token": "missing"}, 401, "http.status-401"),
        ({"tenant": "70"}, 403, "http.status-403"),
        ({"method": "GET"}, 405, "http.status-405"),
        ({"body": INCOMPLETE}, 422, "http.status-422"),
        ({"body": INCOMPLETE, "token": "missing"}, 401, "http.precedence"),
        ({"content_type": None}, 500, "http.error-detail"),
    ],
)
def test_a_failure_on_a_refused_call_belongs_to_its_refusal(refused: dict[str, Any], status: int, clause: str) -> None:
    marked = call(**refused, status=status, headers={"x-schemathesis-testcaseid": "abc"})
    assert broken(marked, fuzz("abc")) == {clause}


def test_a_finding_shows_the_answer_s_bytes_and_the_call_that_caused_it() -> None:
    found = finding("http.accepted", call(status=500, answer='{"detail": "실패"}'.encode()))
    assert found.evidence == 'POST /aura/action/record → 500 application/json\n{"detail": "실패"}'
    (again,) = found.reproduce
    assert again.startswith('curl -i -X POST "$HARNESS_AURA_URL"/aura/action/record ')


def test_an_answer_that_is_no_text_is_shown_escaped() -> None:
    found = finding("http.accepted", call(answer=b"\xff\xfe"))
    assert found.evidence.endswith("\n\\xff\\xfe")
