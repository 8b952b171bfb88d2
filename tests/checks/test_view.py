"""What a history means: the refusals that apply to a call, and which call or event caused which message and line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from histories import (
    ACTION,
    AGREEMENT,
    ALERT,
    ALERTED,
    ALERTS,
    BODY,
    DETECTED,
    DIRECT,
    GATEWAY,
    KEPT,
    LEARNT,
    LINE,
    RAG,
    RAG_STATUS,
    VECTORISED,
    call,
    feedback,
    published,
    step,
    view,
    without,
)

from harness.checks.view import ABSENT, Exchange, record_paths
from harness.history import Event

ANONYMOUS = without(ACTION, "case_id", "request_id", "executor_id")


def exchange(**changes: Any) -> Exchange:
    (only,) = view(call(**changes)).exchanges
    return only


def causes(*events: Event) -> dict[int, int]:
    """The `seq` of each message that has a cause, with the `seq` of that; the first event given has 1."""
    return {seq: cause.event.seq for seq, cause in view(*events).cause_of.items()}


def lines(*events: Event) -> dict[int, list[int]]:
    """The `seq` of each cause that was logged, with those of its lines."""
    return {seq: [line.event.seq for line in logged] for seq, logged in view(*events).logged.items()}


def body(number: int, **changes: Any) -> dict[str, Any]:
    return BODY | {"case_id": f"case-{number}", "request_id": f"request-{number}"} | changes


def message(number: int, **changes: Any) -> dict[str, Any]:
    return ACTION | {"case_id": f"case-{number}", "request_id": f"request-{number}"} | changes


# ---- Exchanges


def test_the_record_endpoint_is_served_directly_and_behind_the_gateway() -> None:
    assert record_paths(AGREEMENT) == {DIRECT, GATEWAY}


def test_calls_of_other_paths_are_no_exchanges() -> None:
    assert view(call(path="/health"), call(), call(path=GATEWAY)).exchanges[0].event.seq == 2
    assert len(view(call(path=f"{DIRECT}/"), call(path="/api")).exchanges) == 0


@pytest.mark.parametrize(
    ("changes", "refusals"),
    [
        ({}, ()),
        ({"tenant": None}, ()),
        ({"tenant": "  "}, ()),
        ({"tenant": " 7 "}, ()),
        ({"body": body(1, client_version=[1, {}])}, ()),
        ({"token": "missing"}, (401,)),
        ({"token": "malformed"}, (401,)),
        ({"token": "expired"}, (401,)),
        ({"token": "wrong-signature"}, (401,)),
        ({"token": "alg-none"}, (401,)),
        ({"tenant": "70"}, (403,)),
        ({"token": "expired", "tenant": "70"}, (401,)),
        ({"method": "GET"}, (405,)),
        ({"method": "PUT", "body": b"{"}, (405,)),
        ({"body": without(BODY, "case_id")}, (422,)),
        ({"body": body(1, approved="true")}, (422,)),
        ({"body": b""}, (422,)),
        ({"body": b"[]"}, (422,)),
        ({"token": "missing", "body": b"{"}, (401, 422)),
        ({"token": "missing", "method": "GET"}, (401, 405)),
        ({"tenant": "70", "method": "PUT"}, (403, 405)),
        ({"tenant": "70", "body": b"{"}, (403, 422)),
    ],
)
def test_the_refusals_that_apply_to_a_call(changes: Mapping[str, Any], refusals: tuple[int, ...]) -> None:
    judged = exchange(**changes)
    assert (judged.refusals, judged.unclear) == (refusals, "")
    assert judged.valid is (not refusals)


@pytest.mark.parametrize(
    ("wire", "missing"),
    [
        (b"{}", True),
        (b"[]", True),
        (b"{", True),
        (json.dumps(without(BODY, "approved") | {"case_id": 7}).encode(), True),
        (json.dumps(body(1, case_id=7)).encode(), False),
        (json.dumps(body(1, comment=7)).encode(), False),
    ],
)
def test_a_missing_field_is_told_from_a_wrong_one(wire: bytes, missing: bool) -> None:
    assert exchange(body=wire).missing_field is missing


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token": "unclear"}, "its token cannot be judged"),
        ({"content_type": None}, "it is not declared as application/json"),
        ({"content_type": "text/plain"}, "it is not declared as application/json"),
        ({"content_type": "application/problem+json"}, "it is not declared as application/json"),
        ({"body": b'{"case_id": NaN}'}, "some JSON readers take it and some do not"),
        ({"body": b"\xef\xbb\xbf{}"}, "some JSON readers take it and some do not"),
        ({"body": json.dumps(BODY).encode("utf-16")}, "some JSON readers take it and some do not"),
        ({"body": b"[" * 100_000}, "some JSON readers take it and some do not"),
        ({"body": body(1, comment="a\0b")}, "a text in it holds U+0000 or a lone surrogate"),
        ({"body": b'{"comment": ["\\ud800"]}'}, "a text in it holds U+0000 or a lone surrogate"),
        ({"body": b'{"a": {"\\u0000": 1}}'}, "a text in it holds U+0000 or a lone surrogate"),
        ({"path": GATEWAY, "body": body(1, comment="a" * 256 * 1024)}, "the gateway may cap its body"),
    ],
)
def test_where_the_agreement_is_silent_about_a_call(changes: Mapping[str, Any], reason: str) -> None:
    judged = exchange(**changes)
    assert judged.unclear == reason
    assert not judged.valid
    assert not judged.accepted


@pytest.mark.parametrize(
    "changes",
    [
        {"content_type": "application/json; charset=utf-8"},
        {"content_type": "Application/JSON"},
        {"body": body(1, comment="👍\u2028 가")},
        {"body": body(1, comment="a" * 256 * 1024)},
        {"path": GATEWAY, "body": body(1, comment="가" * 80_000)},
    ],
)
def test_what_is_clearly_valid(changes: Mapping[str, Any]) -> None:
    assert exchange(**changes).valid


@pytest.mark.parametrize(
    ("status", "accepted", "refused"),
    [(200, True, False), (201, False, False), (400, False, True), (422, False, True), (500, False, False)],
)
def test_an_exchange_is_accepted_by_200_and_refused_by_400_to_499(status: int, accepted: bool, refused: bool) -> None:
    judged = exchange(status=status)
    assert (judged.accepted, judged.refused) == (accepted, refused)


def test_a_call_that_was_never_answered_is_neither_accepted_nor_refused() -> None:
    judged = exchange(status=None)
    assert (judged.accepted, judged.refused, judged.answer) == (False, False, ABSENT)


def test_a_call_that_went_through_against_the_agreement_is_not_accepted() -> None:
    assert not exchange(token="expired", status=200).accepted


def test_a_field_of_a_body_that_is_no_object_is_absent() -> None:
    assert exchange(body=b"[]").field("case_id") is ABSENT
    assert exchange(body=b"{").field("case_id") is ABSENT
    assert exchange(body=body(1, comment=None)).field("comment") is None


# ---- Messages


def test_a_message_is_read_as_far_as_its_bytes_allow() -> None:
    whole, text, neither = view(published(), published(b"\xea\xb0\x80"), published(b"\xff")).messages
    assert (whole.value, whole.field("case_id"), whole.field("history_id")) == (ACTION, "case-1", ABSENT)
    assert (text.text, text.value, text.field("case_id")) == ("가", ABSENT, ABSENT)
    assert (neither.text, neither.value, neither.wire) == (ABSENT, ABSENT, b"\xff")


def test_only_what_aura_said_or_may_have_said_is_its_notification() -> None:
    older = {"type": "case_action_completed", "case_id": "case-1"}
    read = view(
        published(),
        published(older),
        published(seat="synapse"),
        published(older, seat=None),
        published(seat=None),
        published(b"?", seat=None),
        published(channel="hitl:channel:s1"),
    )
    assert [each.event.seq for each in read.notifications] == [1, 2, 5, 6]
    assert [each.event.seq for each in read.messages] == [1, 2, 3, 4, 5, 6]


# ---- Causes


def test_a_call_a_detection_and_a_rag_run_are_causes_in_the_order_of_the_history() -> None:
    found = view(step("interrupted", at=0.5), *KEPT, DETECTED, VECTORISED, call(status=None, began=4, at=5)).causes
    assert [(cause.event.seq, cause.due) for cause in found] == [(4, True), (5, True), (6, True), (7, False)]


def test_a_message_belongs_to_the_call_of_its_request_id() -> None:
    first, second = call(body(1), began=1, at=2), call(body(2), began=1, at=2.1)
    assert causes(published(message(2)), published(message(1)), first, second) == {1: 4, 2: 3}


def test_the_request_id_outranks_the_case_id() -> None:
    first, second = call(body(1), began=1, at=2), call(body(2), began=1, at=2.1)
    assert causes(published(message(1, request_id="request-2")), first, second) == {1: 3}


@pytest.mark.parametrize("request_id", ["request-0", None, 7, "", ["request-1"]])
def test_an_unknown_request_id_leaves_the_case_id(request_id: object) -> None:
    first, second = call(body(1), began=1, at=2), call(body(2), began=1, at=2.1)
    assert causes(published(message(2, request_id=request_id)), first, second) == {1: 3}


def test_two_requests_of_one_case_get_a_message_each() -> None:
    first, second = call(body(1), began=1, at=2), call(body(2, case_id="case-1"), began=1, at=2.1)
    unknown = published(message(1, request_id="request-0"))
    assert causes(unknown, unknown, first, second) == {1: 3, 2: 4}


def test_the_same_request_twice_is_two_causes_with_a_message_each() -> None:
    events = (published(at=1.2), call(began=1, at=1.3), published(at=2.2), call(began=2, at=2.3))
    assert causes(*events) == {1: 2, 3: 4}


def test_the_same_request_twice_at_once_is_two_causes_with_a_message_each() -> None:
    events = (published(at=1.2), published(at=1.25), call(began=1, at=1.3), call(began=1, at=1.4))
    assert causes(*events) == {1: 3, 2: 4}


def test_one_message_too_many_stays_with_the_call_that_it_names() -> None:
    assert causes(published(), published(at=1.25), call()) == {1: 3, 2: 3}


def test_a_message_that_is_late_still_belongs_to_its_call() -> None:
    assert causes(call(), published(at=7)) == {2: 1}


def test_a_message_from_before_its_call_belongs_to_none() -> None:
    assert causes(published(at=0.5), call()) == {}


def test_the_accepted_one_of_two_calls_with_one_request_id_is_its_cause() -> None:
    refused, accepted = call(token="missing", status=401), call(at=1.4)
    assert causes(published(), refused, accepted) == {1: 3}
    assert causes(published(), accepted, refused) == {1: 2}


def test_a_message_that_names_a_refused_call_belongs_to_it() -> None:
    assert causes(published(), call(token="missing", status=401)) == {1: 2}


def test_a_message_without_ids_belongs_to_the_call_under_way() -> None:
    events = (call(body(1), began=0, at=1), published(ANONYMOUS, at=1.2), call(body(2), began=1.1, at=1.3))
    assert causes(*events) == {2: 3}


@pytest.mark.parametrize("wire", [b"\xff", b"", b"{", b"[]", b'"text"'])
def test_a_message_that_cannot_be_read_belongs_to_the_call_under_way(wire: bytes) -> None:
    assert causes(published(wire), call()) == {1: 2}


def test_a_message_without_ids_belongs_to_a_refused_call_under_way() -> None:
    assert causes(published(ANONYMOUS), call(token="missing", status=401)) == {1: 2}


def test_a_message_without_ids_never_takes_the_place_of_one_that_has_them() -> None:
    assert causes(published(ANONYMOUS, at=1.1), published(at=1.2), call()) == {2: 3}


@pytest.mark.parametrize("at", [0.9, 1.4])
def test_a_message_without_ids_belongs_to_nothing_while_no_call_is_under_way(at: float) -> None:
    assert causes(published(ANONYMOUS, at=at), call(began=1, at=1.3)) == {}


def test_a_message_without_ids_belongs_to_a_cause_of_its_own_channel() -> None:
    bare = without(ALERT, "case_id")
    assert causes(DETECTED, VECTORISED, published(bare, channel=ALERTS, at=4)) == {3: 1}
    assert causes(DETECTED, VECTORISED, published(bare, channel=RAG, at=4)) == {3: 2}
    assert causes(DETECTED, VECTORISED, published(bare, channel="workbench:other", at=4)) == {}


def test_a_detection_that_promises_nothing_takes_only_what_names_it() -> None:
    low = step("detect", at=2.0, case_id="case-2", severity="LOW", score=0.1)
    assert causes(low, ALERTED) == {2: 1}
    assert causes(low, published(without(ALERT, "case_id"), channel=ALERTS, at=2.2)) == {}


def test_an_alert_belongs_to_its_detection_also_where_the_case_was_decided_meanwhile() -> None:
    decided = call(body(2), began=2.1, at=2.3)
    told = published(message(2, request_id="request-2"), at=2.25)
    assert causes(DETECTED, ALERTED, told, decided) == {2: 1, 3: 4}


def test_a_rag_message_belongs_to_the_run_of_its_document() -> None:
    other = step("rag", at=3.0, rag_document_id="document-2", chunks_added=1, succeeded=True)
    assert causes(other, VECTORISED, LEARNT) == {3: 2}
    assert causes(other, VECTORISED, published(RAG_STATUS, channel=ALERTS, at=3.2)) == {3: 2}


def test_the_executor_s_id_alone_names_no_call() -> None:
    assert causes(call(), published(ANONYMOUS | {"executor_id": "user-1"}, at=2)) == {}


def test_ids_of_a_body_that_are_no_text_name_no_call() -> None:
    assert causes(published(message(1, request_id=7, case_id=8)), call(body(1, request_id=7, case_id=8))) == {1: 2}
    assert causes(call(body(1, request_id=7, case_id=8)), published(message(1, request_id=7, case_id=8), at=2)) == {}


def test_the_messages_of_a_cause_are_kept_together() -> None:
    read = view(published(), published(at=1.25), call(), DETECTED)
    assert {seq: [each.event.seq for each in told] for seq, told in read.told.items()} == {3: [1, 2]}


# ---- Feedback lines


def test_a_line_belongs_to_the_call_of_its_request_id_and_never_to_a_detection() -> None:
    detected = step("detect", at=0.5, case_id="case-1", severity="HIGH", score=1)
    assert lines(detected, *KEPT) == {4: [2]}
    assert lines(detected, feedback(without(LINE, "request_id")), call()) == {3: [2]}


def test_a_line_that_cannot_be_read_belongs_to_the_call_under_way() -> None:
    assert lines(feedback("승인"), call()) == {2: [1]}
    assert lines(call(), feedback("승인", at=2)) == {}


def test_lines_and_messages_of_the_same_request_twice_are_paired_in_order() -> None:
    again = (feedback(at=2.1), published(at=2.2), call(began=2, at=2.3))
    assert lines(*KEPT, *again) == {3: [1], 6: [4]}
