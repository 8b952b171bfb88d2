"""The record endpoint: which calls are accepted, which refused, and what the answers carry.

Every exchange is judged once, for all clauses; Schemathesis's findings are added where ours do not already tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from harness.checks.registry import check
from harness.checks.view import ABSENT, OPTIONAL, Exchange, View
from harness.history import Event, decode
from harness.reproduce import curl
from harness.schema import Validator
from harness.verdict import Finding

Occasion = tuple[str, Finding | None]

DATABASE_FIELDS = ("history_id", "fi_doc_updated")
_SHOULD_BE = {401: "http.status-401", 403: "http.status-403", 405: "http.status-405", 422: "http.status-422"}
_DOCUMENTED = {"case_id", "request_id", "executor_id", "approved", *OPTIONAL}
_WITH_DETAIL = (401, 403, 405, 422)


def _judged(view: View) -> dict[str, list[Finding | None]]:
    """Every occasion on which a call could have broken a clause, by clause."""
    if "http" not in view.cache:
        occasions: dict[str, list[Finding | None]] = {}
        told = set()
        for exchange in view.exchanges:
            for clause, finding in _exchange(exchange, view):
                occasions.setdefault(clause, []).append(finding)
                if finding is not None:
                    told.add(exchange.event.seq)
        for clause, finding in _fuzzed(view, told):
            occasions.setdefault(clause, []).append(finding)
        view.cache["http"] = occasions
    judged: dict[str, list[Finding | None]] = view.cache["http"]
    return judged


def _exchange(exchange: Exchange, view: View) -> Iterator[Occasion]:
    if exchange.status is None:
        return
    yield _database_fields(exchange)
    if exchange.unclear:
        return
    if not exchange.refusals:
        yield from _accepted(exchange, view.validators["record-response"])
    else:
        yield from _refused(exchange, view.validators["error"])


def _accepted(exchange: Exchange, envelope: Validator) -> Iterator[Occasion]:
    if exchange.gateway and not exchange.tenant_named:
        yield _status(exchange, "http.gateway-tenant", 400)
        return
    if not exchange.tenant_named:
        yield _status(exchange, "http.gateway-tenant", 200)
    elif any(exchange.field(name) in (None, ABSENT) for name in OPTIONAL) and _ordinary(exchange.body):
        yield _status(exchange, "http.optional-fields", 200)
    else:
        yield _status(exchange, "http.accepted", 200)
    if exchange.status == 200:
        yield from _envelope(exchange, envelope)


def _ordinary(body: dict[str, Any]) -> bool:
    """Whether nothing is special about a call but the optional field that it lacks."""
    return body.keys() <= _DOCUMENTED and all(len(text) <= 200 for text in body.values() if isinstance(text, str))


def _envelope(exchange: Exchange, envelope: Validator) -> Iterator[Occasion]:
    if exchange.answer is ABSENT or not _is_json(exchange.event):
        yield _broken(exchange, "http.accepted", "the answer is JSON", _answered(exchange))
        return
    violations = envelope.violations(exchange.answer)
    inner = [violation for violation in violations if violation.pointer.startswith("/data")]
    for clause, wrong in (
        ("http.data", inner),
        ("http.accepted", [violation for violation in violations if violation not in inner]),
    ):
        if not wrong and (clause != "http.data" or isinstance(exchange.answer, dict)):
            yield clause, None
        for violation in wrong:
            expected = f"{violation.pointer or 'the answer'} as in the document"
            seen = f"{violation.pointer or 'the answer'} {violation.reason}"
            yield _broken(exchange, clause, expected, seen, violation.pointer)


def _refused(exchange: Exchange, error: Validator) -> Iterator[Occasion]:
    first = exchange.refusals[0]
    if exchange.gateway and not exchange.tenant_named:
        return  # the gateway answers, whatever else is wrong
    refusing = _refusing_clause(exchange)
    if refusing:
        yield _refusal(exchange, refusing)
    if not refusing or exchange.refused:  # a call that was not refused is told of once
        clause = "http.precedence" if len(exchange.refusals) > 1 else _SHOULD_BE[first]
        yield _status(exchange, clause, first)
    if exchange.status in _WITH_DETAIL and exchange.event.data["method"] != "HEAD":
        yield _detail(exchange, error)


def _refusing_clause(exchange: Exchange) -> str:
    """The clause that wants this call refused at all; how is another's matter."""
    refusing = {401: "http.token-refused", 403: "http.tenant-refused", 405: ""}
    if exchange.refusals[0] in refusing:
        return refusing[exchange.refusals[0]]
    return "http.missing-field-refused" if exchange.missing_field else "http.json-types"


def _refusal(exchange: Exchange, clause: str) -> Occasion:
    if exchange.refused:
        return clause, None
    return _broken(exchange, clause, "the call is refused (4xx)", _answered(exchange))


def _status(exchange: Exchange, clause: str, status: int) -> Occasion:
    if exchange.status != status:
        return _broken(exchange, clause, f"status {status}", _answered(exchange))
    headers = exchange.event.data["answer_headers"]
    if clause == "http.status-401" and not headers.get("www-authenticate", "").lower().startswith("bearer"):
        return _broken(exchange, clause, "WWW-Authenticate: Bearer", f"headers {headers}")
    if clause == "http.status-405" and "POST" not in headers.get("allow", ""):
        return _broken(exchange, clause, "Allow: POST", f"headers {headers}")
    return clause, None


def _detail(exchange: Exchange, error: Validator) -> Occasion:
    if exchange.answer is not ABSENT and _is_json(exchange.event) and error.is_valid(exchange.answer):
        return "http.error-detail", None
    return _broken(exchange, "http.error-detail", "JSON with a detail", _answered(exchange))


def _database_fields(exchange: Exchange) -> Occasion:
    names = [name for name in DATABASE_FIELDS if name in keys_within(exchange.answer)]
    if not names:
        return "http.no-database-fields", None
    return _broken(
        exchange,
        "http.no-database-fields",
        "neither history_id nor fi_doc_updated in an answer",
        f"{' and '.join(names)} in the answer",
    )


def shown(value: Any) -> str:
    return "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False, default=str)


def keys_within(value: Any) -> set[str]:
    """The names of all fields at any depth."""
    if isinstance(value, dict):
        return set(value).union(*(keys_within(item) for item in value.values() if isinstance(item, dict | list)))
    if isinstance(value, list):
        return set().union(*(keys_within(item) for item in value if isinstance(item, dict | list)))
    return set()


def _fuzzed(view: View, told: set[int]) -> Iterator[Occasion]:
    """Schemathesis's failures, under the clause that the failing call belongs to."""
    calls = {exchange.event.data["headers"].get("x-schemathesis-testcaseid"): exchange for exchange in view.exchanges}
    for event in view.history.of("fuzz"):
        exchange = calls.get(event.data["case"])
        if exchange is None or exchange.event.seq in told:
            continue
        clause = _clause_of(exchange, event.data["check"])
        expected = f"Schemathesis: {event.data['check']}"
        yield _broken(exchange, clause, expected, event.data["message"])


def _clause_of(exchange: Exchange, failed: str) -> str:
    if exchange.refused and failed in ("content_type_conformance", "response_schema_conformance"):
        return "http.error-detail"
    if not exchange.refusals:
        return "http.error-detail" if exchange.unclear else "http.accepted"
    if len(exchange.refusals) > 1:
        return "http.precedence"
    return (not exchange.refused and _refusing_clause(exchange)) or _SHOULD_BE[exchange.refusals[0]]


def _broken(exchange: Exchange, clause: str, expected: str, seen: str, pointer: str = "") -> Occasion:
    return clause, Finding(
        clause=clause,
        expected=expected,
        seen=seen,
        pointer=pointer,
        evidence=_wire(exchange.event),
        events=(exchange.event.seq,),
        reproduce=(curl(exchange.event),),
    )


def _answered(exchange: Exchange) -> str:
    data = exchange.event.data
    if "error" in data:
        return f"the application raised {data['error']}"
    return f"status {exchange.status}"


def _wire(event: Event) -> str:
    data = event.data
    answer = decode(data["answer"]).decode(errors="backslashreplace")
    kind = data["answer_headers"].get("content-type", "no content type")
    return f"{data['method']} {data['path']} → {data['status']} {kind}\n{answer}".rstrip()


def _is_json(event: Event) -> bool:
    kind: str = event.data["answer_headers"].get("content-type", "")
    media_type = kind.partition(";")[0].strip()
    return media_type == "application/json" or media_type.endswith("+json")


def _register(clause: str) -> None:
    @check(clause)
    def judged(view: View) -> list[Finding | None]:
        return _judged(view).get(clause, [])


for _clause in (
    "http.accepted",
    "http.data",
    "http.no-database-fields",
    "http.optional-fields",
    "http.missing-field-refused",
    "http.token-refused",
    "http.tenant-refused",
    "http.json-types",
    *_SHOULD_BE.values(),
    "http.error-detail",
    "http.precedence",
    "http.gateway-tenant",
):
    _register(_clause)


@check("http.logged")
def logged(view: View) -> Iterator[Finding | None]:
    for cause in view.causes:
        if not (cause.exchange and cause.exchange.accepted):
            continue
        lines = view.logged.get(cause.event.seq, ())
        about = f"the call of {cause.ids['request_id']}"
        if len(lines) != 1:
            yield Finding(
                clause="http.logged",
                expected="one feedback line for an accepted action",
                seen=f"{len(lines)} lines for {about}",
                events=(cause.event.seq, *(line.event.seq for line in lines)),
                reproduce=(curl(cause.event),),
            )
            continue
        wrong = _line_differs(cause.exchange, lines[0].value)
        yield (
            None
            if not wrong
            else Finding(
                clause="http.logged",
                expected=f"{wrong} of the call in its feedback line",
                seen=f"{shown(lines[0].field(wrong))} for {about}",
                pointer=f"/{wrong}",
                evidence=str(lines[0].event.data["line"]),
                events=(cause.event.seq, lines[0].event.seq),
                reproduce=(curl(cause.event),),
            )
        )


def _line_differs(exchange: Exchange, line: Any) -> str:
    """The first field of the feedback line that is not the call's; a comment that was not given is empty."""
    for name in ("case_id", "request_id", "executor_id", "approved", "comment", "doc_key"):
        called = exchange.field(name)
        written = line.get(name, ABSENT) if isinstance(line, dict) else ABSENT
        alike = written is called or (type(written) is type(called) and written == called)
        if not alike and not (name in OPTIONAL and called in (None, ABSENT) and written in (None, "", ABSENT)):
            return name
    decided = {True: "APPROVE", False: "REJECT"}[exchange.body["approved"]]
    return "action_type" if isinstance(line, dict) and line.get("action_type", decided) != decided else ""


@check("http.refused-not-logged")
def refused_not_logged(view: View) -> Iterator[Finding | None]:
    for cause in view.causes:
        if not (cause.exchange and cause.exchange.refused):
            continue
        lines = view.logged.get(cause.event.seq, ())
        yield (
            None
            if not lines
            else Finding(
                clause="http.refused-not-logged",
                expected="no feedback line for a refused call",
                seen=f"status {cause.exchange.status}, and {len(lines)} lines",
                evidence=str(lines[0].event.data["line"]),
                events=(cause.event.seq, *(line.event.seq for line in lines)),
                reproduce=(curl(cause.event),),
            )
        )
