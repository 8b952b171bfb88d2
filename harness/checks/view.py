"""A history read for judging: exchanges with the refusals that apply to them, messages, and what caused each.

Everything is derived from agreement and history alone, once for all checks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from harness.agreement import Agreement
from harness.checks.approvals import Approval, approvals
from harness.checks.gaps import Gap, gaps
from harness.history import Event, History, decode
from harness.schema import Validator, compile_schemas

ABSENT: Any = object()
CASE_ACTION = "workbench:case:action"
ALERT = "workbench:alert"
RAG_STATUS = "workbench:rag:status"
OLDER_SHAPE = "case_action_completed"
OPTIONAL = ("comment", "doc_key")
GATEWAY_BODY_LIMIT = 256 * 1024
_DETECTED = ("case_id", "score", "severity")
_VECTORISED = ("rag_document_id", "chunks_added")
UNFINISHED = 2.0
"""Seconds before its end within which an interrupted run proves no absence."""


class Fields:
    """What has fields, as far as it could be read: `field` gives ABSENT for one that is not there."""

    __slots__ = ()
    value: Any

    def field(self, name: str) -> Any:
        return self.value.get(name, ABSENT) if isinstance(self.value, dict) else ABSENT


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call of the record endpoint. `refusals` are the statuses that apply to it, in the order of decision 4.

    `unclear` says why the agreement is silent about it; then only what holds for every answer is judged.
    """

    event: Event
    body: Any
    answer: Any
    refusals: tuple[int, ...]
    missing_field: bool
    unclear: str
    gateway: bool
    tenant_named: bool

    @property
    def status(self) -> int | None:
        status: int | None = self.event.data["status"]
        return status

    @property
    def valid(self) -> bool:
        return not self.refusals and not self.unclear

    @property
    def accepted(self) -> bool:
        return self.valid and self.status == 200

    @property
    def refused(self) -> bool:
        return self.status is not None and 400 <= self.status < 500

    def field(self, name: str) -> Any:
        return self.body.get(name, ABSENT) if isinstance(self.body, dict) else ABSENT


@dataclass(frozen=True, slots=True)
class Message(Fields):
    """One message on a channel, as far as its bytes can be read: `text` and `value` are ABSENT where they cannot."""

    event: Event
    channel: str
    wire: bytes
    text: Any
    value: Any

    def under_way(self, at: float) -> bool:
        """Whether it was being published at that time; of a foreign message only its arrival is known."""
        return float(self.event.data.get("began", self.event.at)) <= at <= self.event.at


@dataclass(frozen=True, slots=True)
class Line(Fields):
    """One feedback line."""

    event: Event
    value: Any


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that Aura may publish or log for: a record call, an approval request, a detection, a RAG run.

    `ids` are what a message is known by; `told` is all that it has to repeat. `due` is whether one message is
    promised, `possible` whether one may come. `marks` tell it from another cause with the same ids: the same action
    may be recorded by a call and by an approval request.
    """

    event: Event
    channel: str
    began: float
    ended: float
    moment: datetime
    ids: Mapping[str, Any]
    told: Mapping[str, Any]
    due: bool
    possible: bool
    approved: bool | None = None
    exchange: Exchange | None = None
    marks: Mapping[str, Any] = field(default_factory=dict)

    def differs(self, thing: Message | Line) -> int:
        """How many of its marks stand otherwise in this message or line; nothing, null and empty text are the same."""
        found = {name: thing.field(name) for name in self.marks}
        return sum(found[name] is not ABSENT and _mark(found[name]) != _mark(self.marks[name]) for name in found)

    def within(self, at: float) -> bool:
        return self.began <= at <= self.ended


class View:
    def __init__(self, agreement: Agreement, history: History) -> None:
        self.agreement = agreement
        self.history = history
        self.tolerance = float(history.run.get("tolerance", 0))
        self.cache: dict[object, Any] = {}

    @cached_property
    def validators(self) -> Mapping[str, Validator]:
        return compile_schemas(self.agreement)

    @cached_property
    def exchanges(self) -> tuple[Exchange, ...]:
        paths = record_paths(self.agreement)
        return tuple(self._exchange(event) for event in self.history.of("http") if event.data["path"] in paths)

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """Everything on the workbench channels, whoever sent it."""
        published = (read_message(event, decode(event.data["wire"])) for event in self.history.of("published"))
        return tuple(message for message in published if message.channel.startswith("workbench:"))

    @cached_property
    def notifications(self) -> tuple[Message, ...]:
        """Aura's: known to be, or from nobody that we know and not in the shape that only the backend publishes."""
        return tuple(filter(of_aura, self.messages))

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        return tuple(Line(event, json_of(event.data["line"])) for event in self.history.of("feedback"))

    @cached_property
    def causes(self) -> tuple[Cause, ...]:
        return tuple(sorted(self._causes(), key=lambda cause: cause.event.seq))

    @cached_property
    def approvals(self) -> tuple[Approval, ...]:
        """The approval requests for whose answer Aura waited."""
        return approvals(self.history)

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """When Aura was cut off from Redis."""
        return gaps(self.history)

    @cached_property
    def told(self) -> Mapping[int, tuple[Message, ...]]:
        """The messages of each cause, by the `seq` of its event."""
        return _by_cause(self.cause_of, self.notifications)

    @cached_property
    def cause_of(self) -> Mapping[int, Cause]:
        """The cause of each of Aura's messages, by the `seq` of the message; a message without one is not in it."""
        return attribute(self.notifications, self.causes, self.logged)

    @cached_property
    def logged(self) -> Mapping[int, tuple[Line, ...]]:
        """The feedback lines of each cause on the case action channel, by the `seq` of its event."""
        causes = [cause for cause in self.causes if cause.channel == CASE_ACTION]
        return _by_cause(attribute(self.lines, causes), self.lines)

    def unfinished(self, events: Sequence[int]) -> bool:
        """Whether something may only be missing because the history was cut off soon after these events."""
        if self.history.complete or not events:
            return False
        return self.history[max(events)].at > self.history[-1].at - UNFINISHED

    def _causes(self) -> Iterator[Cause]:
        for exchange in self.exchanges:
            yield _call(exchange, due=exchange.accepted and not self._without_redis(exchange))
        for approval in self.approvals:
            yield _approval(approval)
        for event in self.history.of("step"):
            unreachable = any(gap.takes(event) for gap in self.gaps)
            if event.data.get("do") == "detect":
                high = event.data["severity"] == "HIGH"
                yield _step(event, ALERT, _DETECTED, due=high and not unreachable, possible=high)
            elif event.data.get("do") == "decided" and self.history.run["seats"].get("synapse") != "simulated":
                yield _decided_elsewhere(event)
            elif event.data.get("do") == "rag":
                well = event.data["succeeded"] is True
                yield _step(event, RAG_STATUS, _VECTORISED, due=well and not unreachable, possible=well)

    def _without_redis(self, exchange: Exchange) -> bool:
        """Whether Aura's connection was gone at some time of the call: nothing is promised then (decision 7)."""
        return any(gap.meets(exchange.event.data["began"], exchange.event.at) for gap in self.gaps)

    def _exchange(self, event: Event) -> Exchange:
        data = event.data
        tenant = data["headers"].get("x-tenant-id", "").strip()
        gateway = data["path"].startswith("/api/")
        wire = decode(data["body"])
        body, unclear = self._body(wire, data["headers"].get("content-type"))
        wrong = self.validators["record-request"].violations(body) if body is not ABSENT else ()
        missing = not isinstance(body, dict) or any(violation.keyword == "required" for violation in wrong)
        token = data["auth"]["token"]
        applies = {
            401: token not in ("valid", "unclear"),
            403: token == "valid" and bool(tenant) and tenant != data["auth"].get("tenant"),
            405: data["method"] != "POST",
            422: data["method"] == "POST" and (missing or bool(wrong)),
        }
        if token == "unclear":
            unclear = "its token cannot be judged"
        if gateway and len(wire) > GATEWAY_BODY_LIMIT:
            unclear = "the gateway may cap its body"
        return Exchange(
            event=event,
            body=body,
            answer=json_of(decode(data["answer"])),
            refusals=tuple(status for status, applied in applies.items() if applied),
            missing_field=missing,
            unclear=unclear,
            gateway=gateway,
            tenant_named=bool(tenant),
        )

    def _body(self, wire: bytes, content_type: str | None) -> tuple[Any, str]:
        """The body, or ABSENT; and why the documents do not say what becomes of it."""
        media_type = (content_type or "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return json_of(wire), "it is not declared as application/json"
        value = json_of(wire)
        if value is ABSENT and _lenient(wire):
            return ABSENT, "some JSON readers take it and some do not"
        if value is not ABSENT and not _is_text(value):
            return value, "a text in it holds U+0000 or a lone surrogate"
        return value, ""


def record_paths(agreement: Agreement) -> frozenset[str]:
    """The paths of the record endpoint, direct and behind the gateway."""
    bases = [urlsplit(server["url"]).path.rstrip("/") for server in agreement.openapi["servers"]]
    return frozenset(base + path for base in bases for path in agreement.openapi["paths"])


def attribute(
    things: Sequence[Message] | Sequence[Line],
    causes: Sequence[Cause],
    logged: Mapping[int, Sequence[Line]] = MappingProxyType({}),
) -> dict[int, Cause]:
    """Which cause each message or line belongs to, by the `seq` of its event.

    The ids decide: the request's, else the case's or document's. What carries no known id belongs to the first cause
    of its channel that misses one and was under way at that time. `logged` are the lines of each cause, which messages
    follow.
    """
    found: dict[int, Cause] = {}
    taken: dict[int, int] = {}

    def give(thing: Message | Line, cause: Cause) -> None:
        found[thing.event.seq] = cause
        taken[cause.event.seq] = taken.get(cause.event.seq, 0) + 1

    index: dict[tuple[str, str], list[Cause]] = {}
    for cause in causes:
        for name, value in cause.ids.items():
            if isinstance(value, str) and name != "executor_id":
                index.setdefault((name, value), []).append(cause)
    unknown = []
    for thing in things:
        candidates = _candidates(thing, index)
        if candidates:
            give(thing, _best(candidates, thing, taken, logged))
        else:
            unknown.append(thing)
    for thing in unknown:
        channel = thing.channel if isinstance(thing, Message) else CASE_ACTION
        for cause in causes:
            free = not taken.get(cause.event.seq) and cause.possible
            if free and cause.channel == channel and cause.within(thing.event.at):
                give(thing, cause)
                break
    return found


def _candidates(thing: Message | Line, index: Mapping[tuple[str, str], list[Cause]]) -> list[Cause]:
    for name in ("request_id", "case_id", "rag_document_id"):
        value = thing.field(name)
        known = index.get((name, value), []) if isinstance(value, str) else []
        began = [cause for cause in known if cause.began <= thing.event.at]
        if began:
            return began
    return []


def _best(
    candidates: list[Cause], thing: Message | Line, taken: Mapping[int, int], logged: Mapping[int, Sequence[Line]]
) -> Cause:
    """Of several causes with the same id: one of this channel, due and without any yet, that says the same, has just
    been logged, and is under way if possible. A call that is under way is likelier than an approval request.
    """

    def rank(cause: Cause) -> tuple[object, ...]:
        here = not isinstance(thing, Message) or cause.channel == thing.channel
        count = taken.get(cause.event.seq, 0)
        follows = sum(line.event.seq < thing.event.seq for line in logged.get(cause.event.seq, ())) > count
        within = cause.within(thing.event.at)
        alike = -cause.differs(thing)
        free = cause.possible and not count
        return (here, cause.due and not count, alike, free, follows, within, cause.exchange is not None, cause.due)

    return max(candidates, key=rank)


def _by_cause(cause_of: Mapping[int, Cause], things: Sequence[Any]) -> dict[int, tuple[Any, ...]]:
    grouped: dict[int, list[Any]] = {}
    for thing in things:
        cause = cause_of.get(thing.event.seq)
        if cause is not None:
            grouped.setdefault(cause.event.seq, []).append(thing)
    return {seq: tuple(several) for seq, several in grouped.items()}


def _call(exchange: Exchange, *, due: bool) -> Cause:
    event = exchange.event
    said = {name: exchange.field(name) for name in ("case_id", "request_id", "executor_id")}
    told = {name: value for name, value in said.items() if isinstance(value, str)}
    approved = exchange.field("approved")
    return Cause(
        event=event,
        channel=CASE_ACTION,
        began=event.data["began"],
        ended=event.at,
        moment=datetime.fromisoformat(event.data["began_wall"]),
        ids=told,
        told=told,
        due=due,
        possible=True,
        approved=approved if isinstance(approved, bool) else None,
        exchange=exchange,
        marks={name: exchange.field(name) for name in ("executor_id", "approved", *OPTIONAL)},
    )


def _approval(approval: Approval) -> Cause:
    """What the decision has to be is judged by the clauses of the approval requests."""
    told = {"case_id": approval.case_id, "request_id": approval.request_id, "executor_id": approval.executor}
    certain = approval.decisions[0] if len(approval.decisions) == 1 else None
    marks = {"executor_id": approval.executor, "doc_key": approval.doc_key}
    return Cause(
        event=approval.stored,
        channel=CASE_ACTION,
        began=min(approval.stored.at, approval.waiting.at),
        ended=max(decision.at for decision in approval.decisions) + approval.grace,
        moment=approval.stored.moment,
        ids={"request_id": approval.request_id, "case_id": approval.case_id},
        told={name: value for name, value in told.items() if value},
        due=approval.due,
        possible=True,
        marks=marks | ({} if certain is None else {"approved": certain.approved, "comment": certain.comment}),
    )


def _decided_elsewhere(event: Event) -> Cause:
    """By a live backend, which may have told Aura in a call that nobody saw."""
    return Cause(
        event=event,
        channel=CASE_ACTION,
        began=event.data["began"],
        ended=float("inf"),
        moment=event.moment - timedelta(seconds=event.at - event.data["began"]),
        ids={"case_id": event.data["case"]},
        told={"case_id": event.data["case"]},
        due=False,
        possible=True,
        approved=event.data["approved"],
    )


def _step(event: Event, channel: str, names: tuple[str, ...], *, due: bool, possible: bool) -> Cause:
    """The first of `names` is what the message is known by."""
    return Cause(
        event=event,
        channel=channel,
        began=event.at,
        ended=float("inf"),
        moment=event.moment,
        ids={names[0]: event.data[names[0]]},
        told={name: event.data[name] for name in names},
        due=due,
        possible=possible,
    )


def of_aura(message: Message) -> bool:
    """Whether it is one of Aura's, as `View.notifications` has them."""
    return message.event.seat == "aura" or (message.event.seat is None and message.field("type") != OLDER_SHAPE)


def read_message(event: Event, wire: bytes) -> Message:
    """`wire` are the bytes that the event holds."""
    try:
        text: Any = wire.decode()
    except UnicodeDecodeError:
        text = ABSENT
    return Message(event, event.data["channel"], wire, text, ABSENT if text is ABSENT else json_of(text))


def json_of(wire: str | bytes) -> Any:
    """Strict JSON, or ABSENT: no byte order mark, no NaN, nothing behind the value."""
    try:
        text = wire.decode() if isinstance(wire, bytes) else wire
        return _STRICT.decode(text)
    except (ValueError, RecursionError):
        return ABSENT


def _mark(value: Any) -> Any:
    return "" if value is None or value is ABSENT else value


def _refuse(constant: str) -> None:
    raise ValueError(constant)


_STRICT = json.JSONDecoder(parse_constant=_refuse)


def _lenient(wire: bytes) -> bool:
    """Whether a reader that is not strict would read these bytes: NaN, a byte order mark, UTF-16, deep nesting."""
    try:
        json.loads(wire)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _is_text(value: Any) -> bool:
    if isinstance(value, str):
        return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return all(_is_text(key) and _is_text(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_text, value))
    return True
