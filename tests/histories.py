"""Literal histories for the tests of checks: each builder's defaults are one call that keeps the whole agreement.

Seconds are counted from START; the order of the events is the order in which they are given.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from harness import agreement
from harness.checks import judge
from harness.checks.view import View
from harness.history import FINISHED, Event, History, encode, wall
from harness.verdict import Finding, Verdict

Json = dict[str, Any]

AGREEMENT = agreement.load()
START = datetime(2026, 2, 11, 14, 30, tzinfo=UTC)
REACH = (
    "http",
    "redis",
    "feedback",
    "fault",
    "hitl-timeout",
    "trigger:detect",
    "trigger:rag",
    "trigger:hitl",
    "trigger:action",
    "stomp",
    "rest",
)

DIRECT = "/aura/action/record"
GATEWAY = "/api/aura/action/record"
CASE_ACTION = "workbench:case:action"
ALERTS = "workbench:alert"
RAG = "workbench:rag:status"

BODY: Json = {
    "case_id": "case-1",
    "request_id": "request-1",
    "executor_id": "user-1",
    "approved": True,
    "comment": "검토 후 승인",
    "doc_key": "1000-1900000001-2024",
}
ENVELOPE: Json = {
    "status": "SUCCESS",
    "message": "Action recorded",
    "data": {"ok": True, "logged": True},
    "success": True,
    "timestamp": "2026-02-11T14:30:01.250000",
}
LINE: Json = {"event": "hitl_feedback", **BODY, "action_type": "APPROVE", "at": "2026-02-11T14:30:01.100000+00:00"}
ACTION: Json = {
    "type": "NOTIFICATION",
    "category": "CASE_ACTION",
    "message": "조치 승인됨",
    "timestamp": "2026-02-11T14:30:01.150000+00:00",
    "case_id": "case-1",
    "request_id": "request-1",
    "executor_id": "user-1",
    "action_type": "APPROVE",
    "approved": True,
    "status_code": "APPROVED",
}
REJECTION: Json = {
    "message": "조치 거절됨",
    "action_type": "REJECT",
    "approved": False,
    "status_code": "REJECTED",
}
ALERT: Json = {
    "type": "NOTIFICATION",
    "category": "AI_DETECT",
    "message": "신규 이상 징후 탐지",
    "timestamp": "2026-02-11T14:30:02.100000+00:00",
    "case_id": "case-2",
    "score": 0.85,
    "severity": "HIGH",
}
RAG_STATUS: Json = {
    "type": "NOTIFICATION",
    "category": "RAG_STATUS",
    "message": "학습 완료",
    "timestamp": "2026-02-11T14:30:03.100000+00:00",
    "rag_document_id": "document-1",
    "chunks_added": 12,
}
REQUEST: Json = {
    "requestId": "request-1",
    "sessionId": "session-1",
    "actionType": "CASE_ACTION",
    "context": {"caseId": "case-1", "docKey": "1000-1900000001-2024"},
    "status": "pending",
    "userId": "user-1",
    "tenantId": "7",
    "createdAt": "2026-02-11T14:30:00.500000+00:00",
}

DTO: Json = {
    "id": 1,
    "tenantId": 0,
    "title": "조치 완료",
    "content": "조치 승인됨",
    "type": "CASE_ACTION",
    "channel": CASE_ACTION,
    "occurredAt": "2026-02-11T14:30:01.150Z",
    "createdAt": "2026-02-11T14:30:01.205Z",
    "payload": ACTION,
}

_ANSWERS: Mapping[int, Json | bytes] = {200: ENVELOPE, 400: b""}
_ANSWER_HEADERS: Mapping[int, Mapping[str, str]] = {
    400: {},
    401: {"content-type": "application/json", "www-authenticate": "Bearer"},
    405: {"content-type": "application/json", "allow": "POST"},
}


@dataclass(frozen=True, slots=True)
class Triple:
    """Three histories of a check, one for each verdict; the other fields are those of the one finding of `broken`."""

    kept: tuple[Event, ...]
    broken: tuple[Event, ...]
    unproven: tuple[Event, ...]
    expected: str
    seen: str
    pointer: str = ""


def _event(
    kind: str, at: float, data: Json, *, seat: str | None = "aura", about: Mapping[str, str] | None = None
) -> Event:
    return Event(0, at, wall(START + timedelta(seconds=at)), kind, seat, about or {}, data)


def _wire(value: Json | bytes) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


def history(
    *events: Event,
    seats: Iterable[str] | Mapping[str, str] = ("aura",),
    reach: Iterable[str] = REACH,
    tolerance: float = 0,
    time: str = "wall",
) -> History:
    run = {
        "seats": dict(seats) if isinstance(seats, Mapping) else dict.fromkeys(seats, "simulated"),
        "reach": list(reach),
        "tolerance": tolerance,
        "time": time,
        "command": ["aura-harness", "gate", "--seed", "7"],
    }
    last = max((event.at for event in events), default=0.0)
    interrupted = any(event.data.get("do") == "interrupted" for event in events)
    listed = events if interrupted else (*events, _event("step", last, {"do": FINISHED}, seat=None))
    numbered = [dataclasses.replace(event, seq=seq) for seq, event in enumerate(listed, 1)]
    return History([_event("run", 0, run, seat=None), *numbered])


def call(
    body: Json | bytes = BODY,
    *,
    status: int | None = 200,
    answer: Json | bytes | None = None,
    answer_headers: Mapping[str, str] | None = None,
    token: str = "valid",
    tenant: str | None = "7",
    content_type: str | None = "application/json",
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    path: str = DIRECT,
    query: str = "",
    began: float = 1.0,
    at: float = 1.3,
) -> Event:
    """A call that began and was answered then; each status has an answer that keeps the agreement.

    The token, whatever is wrong with it, is one of tenant 7.
    """
    named = {"authorization": "***", "x-tenant-id": tenant, "content-type": content_type}
    if answer is None:
        answer = b"" if status is None else _ANSWERS.get(status, {"detail": "refused"})
    if answer_headers is None:
        answer_headers = _ANSWER_HEADERS.get(status or 0, {"content-type": "application/json"})
    data = {
        "method": method,
        "path": path,
        "query": query,
        "headers": {name: value for name, value in named.items() if value is not None} | dict(headers or {}),
        "auth": {"token": token, **({"tenant": "7"} if token == "valid" else {})},
        "body": encode(_wire(body)),
        "began": began,
        "began_wall": wall(START + timedelta(seconds=began)),
        "status": status,
        "answer_headers": dict(answer_headers),
        "answer": encode(_wire(answer)),
    }
    return _event("http", at, data)


def published(
    message: Json | bytes = ACTION, *, channel: str = CASE_ACTION, at: float = 1.2, seat: str | None = "aura"
) -> Event:
    return _event("published", at, {"channel": channel, "wire": encode(_wire(message))}, seat=seat)


def feedback(line: Json | str = LINE, *, at: float = 1.1) -> Event:
    return _event("feedback", at, {"line": line if isinstance(line, str) else _wire(line).decode()})


def step(do: str, *, at: float, **data: Any) -> Event:
    return _event("step", at, {"do": do, **data}, seat=None)


def asked(request: Json = REQUEST, *, at: float = 0.5, ttl: int = 1800, key: str | None = None) -> Event:
    """An approval request that Aura stored."""
    key = f"hitl:request:{request.get('requestId')}" if key is None else key
    about = {"request": request.get("requestId", ""), "session": request.get("sessionId", "")}
    return _event("hitl_request", at, {"do": "stored", "key": key, "ttl": ttl, "request": request}, about=about)


def waiting(*, request: str = "request-1", session: str = "session-1", at: float = 0.6, timeout: float = 300) -> Event:
    """Aura listens for the answer."""
    data = {"do": "waiting", "channel": f"hitl:channel:{session}", "timeout": timeout}
    return _event("hitl_request", at, data, about={"request": request, "session": session})


def answered(
    approved: bool | None = True,
    *,
    request: str = "request-1",
    session: str = "session-1",
    at: float = 1.0,
    reason: str | None = None,
) -> Event:
    """A person's answer; None is for a message that is none."""
    said = {True: ("approval", "approved"), False: ("rejection", "rejected"), None: ("comment", "")}[approved]
    why = {} if reason is None else {"reason": reason}
    wire = _wire({"type": said[0], "status": said[1], "requestId": request, **why, "timestamp": 1770820201.0})
    data = {"channel": f"hitl:channel:{session}", "wire": encode(wire)}
    return _event("hitl_signal", at, data, seat="synapse", about={"request": request, "session": session})


def fuzz(case: str, *, check: str = "not_a_server_error", message: str = "Server error", at: float = 9.0) -> Event:
    return _event("fuzz", at, {"tool": "schemathesis", "check": check, "case": case, "message": message}, seat=None)


def stored(notification: Json, *, row: int = 1, at: float = 1.21) -> Event:
    return _event("stored", at, {"id": row, "notification": notification}, seat="synapse")


def broadcast(
    notification: Json | bytes,
    *,
    subscription: str = "sub-0",
    destination: str = "/topic/notifications",
    at: float = 1.22,
) -> Event:
    data = {"destination": destination, "subscription": subscription, "message_id": "session-0"}
    return _event("broadcast", at, {**data, "body": encode(_wire(notification))}, seat="synapse")


def fault(do: str, *, at: float = 1.2, **data: Any) -> Event:
    return _event("fault", at, {"do": do, **data}, seat="synapse")


DETECTED = step("detect", at=2.0, case_id="case-2", severity="HIGH", score=0.85)
VECTORISED = step("rag", at=3.0, rag_document_id="document-1", chunks_added=12, succeeded=True)
ALERTED = published(ALERT, channel=ALERTS, at=2.2)
LEARNT = published(RAG_STATUS, channel=RAG, at=3.2)

KEPT = (feedback(), published(), call())
REFUSED = (call(token="missing", status=401),)


def handled(
    message: Json | bytes = ACTION, channel: str = CASE_ACTION, *, row: int = 1, at: float = 1.2, **changes: Any
) -> tuple[Event, Event, Event]:
    """A message published for the consumer, stored and broadcast; DTO is made of ACTION, and `changes` change it."""
    dto = {**DTO, "id": row, "channel": channel, "createdAt": wall(START + timedelta(seconds=at))[:23] + "Z"}
    dto |= {"payload": message if isinstance(message, dict) else json.loads(message)} | changes
    sent = published(message, channel=channel, at=at, seat="harness")
    return sent, stored(dto, row=row, at=at + 0.01), broadcast(dto, at=at + 0.02)


def without(value: Json, *names: str) -> Json:
    return {name: item for name, item in value.items() if name not in names}


def verdict(clause: str, *events: Event, **run: Any) -> Verdict:
    """What the check of this clause says of these events; its keeper took part."""
    run = {"seats": {"aura", AGREEMENT.clauses[clause].seat}, **run}
    return next(each for each in judge(AGREEMENT, history(*events, **run)) if each.clause == clause)


def finding(clause: str, *events: Event, **run: Any) -> Finding:
    """The only finding of a clause that these events break."""
    (only,) = verdict(clause, *events, **run).findings
    return only


def outcome(clause: str, *events: Event, **run: Any) -> str:
    return verdict(clause, *events, **run).outcome


def broken(*events: Event, **run: Any) -> set[str]:
    return {each.clause for each in judge(AGREEMENT, history(*events, **run)) if each.outcome == "broken"}


def broken_by_synapse(*events: Event, **run: Any) -> set[str]:
    """Of the clauses that a consumer keeps."""
    judged = judge(AGREEMENT, history(*events, **{"seats": ("aura", "synapse"), **run}))
    return {each.clause for each in judged if each.outcome == "broken" and each.seat == "synapse"}


def view(*events: Event) -> View:
    return View(AGREEMENT, history(*events))
