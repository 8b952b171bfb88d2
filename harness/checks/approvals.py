"""Approval requests as a history shows them: stored, waited for, answered or not, and what has to come of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from harness.checks.gaps import GRACE, Gap, gaps, grace
from harness.history import Event, History, decode

CHANNEL = "hitl:channel:"
TIMED_OUT = "HITL timeout"
_APPROVED = {"approval": True, "rejection": False}


@dataclass(frozen=True, slots=True)
class Signal:
    """A message on a session's channel. `approved` is None for one that is no answer."""

    event: Event
    session: str
    request: Any
    approved: bool | None
    reason: Any

    @property
    def at(self) -> float:
        return self.event.at


@dataclass(frozen=True, slots=True)
class Decision:
    """What decides a request: its first answer, or its deadline, and then `signal` is None."""

    at: float
    signal: Signal | None

    @property
    def approved(self) -> bool:
        return self.signal is not None and self.signal.approved is True

    @property
    def comment(self) -> Any:
        return TIMED_OUT if self.signal is None else self.signal.reason


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval request.

    `decisions` is what decides it: two of them where answer and deadline come too close together. `strange` are the
    answers to other requests that were heard on its channel before, `elsewhere` those of other sessions. `recordable`
    is whether its outcome can be recorded, `due` whether it has to be by the end of the run.
    """

    stored: Event
    waiting: Event
    deadline: float
    latest: float
    """The same, where it is only known that it began to wait some time before it was seen to."""
    grace: float
    decisions: tuple[Decision, ...]
    strange: tuple[Signal, ...]
    elsewhere: tuple[Signal, ...]
    recordable: bool
    due: bool

    @property
    def request_id(self) -> str:
        return _text(self.stored.data["request"].get("requestId"))

    @property
    def case_id(self) -> str:
        return _in_context(self.stored, "caseId", "case_id")

    @property
    def doc_key(self) -> str:
        return _in_context(self.stored, "docKey", "doc_key")

    @property
    def executor(self) -> str:
        return _text(self.stored.data["request"].get("userId"))

    @property
    def timed_out(self) -> bool:
        """Whether only the deadline can have decided it."""
        return all(decision.signal is None for decision in self.decisions)


def approvals(history: History) -> tuple[Approval, ...]:
    signals = tuple(map(_signal, history.of("hitl_signal")))
    apart = gaps(history)
    return tuple(
        _approval(history, stored, waiting, signals, apart) for waiting, stored in waits(history) if stored is not None
    )


def waits(history: History) -> Iterator[tuple[Event, Event | None]]:
    """Every request that was waited for: when Aura first listened for its answer, and when it was stored, if it was."""
    stored = [event for event in history.of("hitl_request") if isinstance(event.data.get("request"), dict)]
    seen: set[int] = set()
    for event in history.of("hitl_request"):
        if event.data["do"] != "waiting":
            continue
        request, session = event.about.get("request"), _session(event)
        of_it = [each for each in stored if each.data["request"].get("sessionId") == session]
        if request is not None:
            of_it = [each for each in of_it if each.data["request"].get("requestId") == request]
        free = [each for each in of_it if each.seq not in seen]
        before = [each for each in free if each.seq < event.seq]
        if before or free:
            mine = before[-1] if before else free[0]
            seen.add(mine.seq)
            yield event, mine
        elif not of_it:
            yield event, None


def _approval(
    history: History, stored: Event, waiting: Event, signals: Sequence[Signal], apart: Sequence[Gap]
) -> Approval:
    # Of a live Aura it is only seen that it listens, some time after it began to.
    began, timeout = waiting.data.get("began", waiting.at), waiting.data["timeout"]
    timeout = inf if timeout is None else timeout  # nobody knows how long it waits
    deadline, latest, unsure = began + timeout, waiting.at + timeout, grace(history) + waiting.at - began
    session, request = _session(waiting), stored.data["request"].get("requestId")
    answers = [
        signal
        for signal in signals
        if signal.approved is not None
        and signal.event.seq > waiting.seq
        and not any(gap.holds(signal.event) for gap in apart)
    ]
    own = [signal for signal in answers if (signal.session, signal.request) == (session, request)]
    decisions = _decisions(own, deadline, unsure)
    before = [signal for signal in answers if signal.at < decisions[0].at]
    recordable = _recordable(history, stored, decisions[0].at)
    return Approval(
        stored=stored,
        waiting=waiting,
        deadline=deadline,
        latest=latest,
        grace=unsure,
        decisions=decisions,
        strange=tuple(each for each in before if each.session == session and each.request != request),
        elsewhere=tuple(each for each in before if each.session != session),
        recordable=recordable,
        due=recordable and decisions[-1].at <= _seen_until(history) and not _in_a_gap(decisions, apart),
    )


def _decisions(own: Sequence[Signal], deadline: float, grace: float) -> tuple[Decision, ...]:
    """In the order in which they came."""
    late = Decision(deadline, None)
    if not own or own[0].at > deadline + grace:
        return (late,)
    answer = Decision(own[0].at, own[0])
    if answer.at < deadline - grace:
        return (answer,)
    return (answer, late) if answer.at < deadline else (late, answer)


def _seen_until(history: History) -> float:
    """When what was decided must have been recorded: a run that was interrupted had no time for its last events."""
    return history[-1].at - (0.0 if history.complete else GRACE)


def _recordable(history: History, stored: Event, at: float) -> bool:
    """Whether the stored request names a case, and was still there at that time."""
    expired = [
        event.at
        for event in history.of("step")
        if event.data.get("do") == "expire" and event.data.get("key") == stored.data["key"]
    ]
    emptied = [event.at for event in history.of("fault") if event.data["do"] == "emptied"]
    gone = min([stored.at + stored.data["ttl"], *(each for each in (*expired, *emptied) if each >= stored.at)])
    return bool(_in_context(stored, "caseId", "case_id")) and at < gone


def _in_a_gap(decisions: Sequence[Decision], apart: Sequence[Gap]) -> bool:
    """Whether Aura may not have reached Redis when it was decided: what it records is read there."""

    def within(decision: Decision, gap: Gap) -> bool:
        if decision.signal is None:
            return gap.meets(decision.at, decision.at + gap.grace)
        return gap.takes(decision.signal.event)

    return any(within(decision, gap) for decision in decisions for gap in apart)


def _signal(event: Event) -> Signal:
    try:
        value = json.loads(decode(event.data["wire"]))
    except (ValueError, RecursionError):
        value = None
    said: Mapping[str, Any] = value if isinstance(value, dict) else {}
    kind = said.get("type")
    return Signal(
        event=event,
        session=_session(event),
        request=said.get("requestId"),
        approved=_APPROVED.get(kind) if isinstance(kind, str) else None,
        reason=said.get("reason"),
    )


def _session(event: Event) -> str:
    channel: str = event.data["channel"]
    return channel.removeprefix(CHANNEL)


def _in_context(stored: Event, *names: str) -> str:
    context = stored.data["request"].get("context")
    found = [context[name] for name in names if context.get(name)] if isinstance(context, dict) else []
    return _text(found[0]) if found else ""


def _text(value: Any) -> str:
    return "" if value is None else str(value)
