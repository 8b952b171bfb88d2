"""Approval requests: stored before the wait, and answered, refused or timed out as a person decided, once each."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from harness.checks.approvals import TIMED_OUT, Approval, Decision, Signal, waits
from harness.checks.http import shown
from harness.checks.registry import check
from harness.checks.view import ABSENT, CASE_ACTION, Line, Message, View
from harness.history import Event, decode
from harness.reproduce import listen, publish
from harness.verdict import Finding

Occasion = tuple[str, Finding | None]
Record = Message | Line

PUNCTUAL = 0.1
"""Seconds after its deadline in which a timeout is recorded."""
EARLY = 0.001
"""Seconds that a timer may be early."""
AT_ONCE = 0.1
"""Seconds in which a signal is acted on by whoever takes it for an answer."""

_CLAUSES = {True: "hitl.approve-recorded", False: "hitl.reject-recorded", None: "hitl.timeout-recorded"}


@check("hitl.request-stored")
def request_stored(view: View) -> Iterator[Finding | None]:
    expected = "the request, as the agreement describes it, is stored before Aura listens for its answer"
    for waiting, stored in waits(view.history):
        if stored is None:
            seen = "nothing was stored"
        elif stored.seq > waiting.seq:
            seen = f"it was stored by event {stored.seq}, Aura listened from event {waiting.seq}"
        elif stored.data["key"] != f"hitl:request:{stored.data['request'].get('requestId')}":
            seen = f"it was stored as {stored.data['key']}"
        else:
            violations = view.validators["hitl-request"].violations(stored.data["request"])
            seen = "; ".join(f"{violation.pointer or 'the request'} {violation.reason}" for violation in violations)
        if not seen:
            yield None
            continue
        yield Finding(
            clause="hitl.request-stored",
            expected=expected,
            seen=seen,
            evidence=shown(stored.data["request"]) if stored else "",
            events=(*((stored.seq,) if stored else ()), waiting.seq),
            reproduce=(listen(waiting.data["channel"]),),
        )


def _judged(view: View) -> dict[str, list[Finding | None]]:
    """Every occasion on which an approval request could have broken a clause, by clause."""
    if "hitl" not in view.cache:
        occasions: dict[str, list[Finding | None]] = {}
        for approval in view.approvals:
            if approval.recordable:
                for clause, finding in _occasions(view, approval):
                    occasions.setdefault(clause, []).append(finding)
        view.cache["hitl"] = occasions
    judged: dict[str, list[Finding | None]] = view.cache["hitl"]
    return judged


def _register(clause: str) -> None:
    @check(clause)
    def judged(view: View) -> list[Finding | None]:
        return _judged(view).get(clause, [])


for _clause in (
    "hitl.approve-recorded",
    "hitl.reject-recorded",
    "hitl.timeout-recorded",
    "hitl.deadline",
    "hitl.other-session",
    "hitl.other-request",
    "hitl.feedback",
):
    _register(_clause)


def _occasions(view: View, approval: Approval) -> Iterator[Occasion]:
    told = view.told.get(approval.stored.seq, ())
    messages = tuple(message for message in told if message.channel == CASE_ACTION)
    lines = view.logged.get(approval.stored.seq, ())
    records: tuple[Record, ...] = (*messages, *lines)
    first = min(records, key=lambda record: record.event.seq, default=None)
    decision = _decision(approval, first, lines)
    if first is not None and _decided_otherwise(approval, first, lines):
        yield _blamed(approval, first, lines)
        return
    if not approval.due:
        return
    for clause, signals in (("hitl.other-request", approval.strange), ("hitl.other-session", approval.elsewhere)):
        if signals:
            yield clause, None
    yield _recorded(approval, decision, messages, lines)
    if approval.timed_out and first is not None:
        yield _punctual(approval, first)
    yield _logged(approval, decision, messages, lines)


def _decision(approval: Approval, first: Record | None, lines: tuple[Line, ...]) -> Decision:
    """Which of the two it was, where answer and deadline came close together."""
    timed_out = _says_timeout(lines)
    for decision in approval.decisions:
        same = first is None or first.field("approved") is decision.approved
        if same and (not lines or timed_out is (decision.signal is None)):
            return decision
    return approval.decisions[0]


def _decided_otherwise(approval: Approval, first: Record, lines: tuple[Line, ...]) -> bool:
    """Whether it was recorded before anything decided it, or as somebody else was answered."""
    due = approval.decisions[0]
    if due.signal is None and first.event.at < due.at - EARLY:
        return True
    if due.signal is not None and first.event.seq < due.signal.event.seq:
        return True
    as_due = any(first.field("approved") is decision.approved for decision in approval.decisions)
    return not as_due and _taken(approval, first, lines) is not None


def _taken(approval: Approval, first: Record, lines: tuple[Line, ...]) -> Signal | None:
    """The answer to somebody else that was taken for one: the last before the record that says the same."""
    if _says_timeout(lines):
        return None

    def likely(signal: Signal) -> bool:
        waited = first.event.at - signal.at
        return signal.event.seq < first.event.seq and waited <= AT_ONCE and first.field("approved") is signal.approved

    for signals in (approval.strange, approval.elsewhere):
        found = [signal for signal in signals if likely(signal)]
        named = [signal for signal in found if signal.request == approval.request_id]
        if found:
            return (named or found)[-1]
    return None


def _blamed(approval: Approval, first: Record, lines: tuple[Line, ...]) -> Occasion:
    signal = _taken(approval, first, lines)
    early = approval.deadline - first.event.at
    if signal is not None:
        clause = "hitl.other-request" if signal in approval.strange else "hitl.other-session"
        whose = f"request {signal.request}" if signal in approval.strange else f"session {signal.session}"
        expected = "an answer to somebody else resolves nothing"
        seen = f"request {approval.request_id} was recorded upon the answer to {whose}"
    elif first.field("approved") is True:
        clause, expected = "hitl.approve-recorded", "nothing is approved before somebody approves it"
        when = f", {early:.3f} s before its deadline" if isfinite(early) else ""
        seen = f"request {approval.request_id} was recorded as approved{when}"
    else:
        clause, expected = "hitl.deadline", "a timeout is recorded at its deadline, not before"
        seen = f"request {approval.request_id} was recorded {early:.3f} s before"
    return clause, _finding(approval, clause, expected, seen, signal, first)


def _recorded(
    approval: Approval, decision: Decision, messages: tuple[Message, ...], lines: tuple[Line, ...]
) -> Occasion:
    clause = _CLAUSES[decision.signal.approved if decision.signal else None]
    if len(messages) != 1:
        expected, seen = f"one message on {CASE_ACTION}", f"{len(messages)} for request {approval.request_id}"
        return clause, _finding(approval, clause, expected, seen, decision.signal, *messages)
    (message,) = messages
    said: dict[str, object] = {"approved": decision.approved}
    if decision.signal is not None:
        said |= {"case_id": approval.case_id, "executor_id": approval.executor}
    for name, value in said.items():
        found = message.field(name)
        if type(found) is type(value) and found != value:
            expected = f"{name} as decided" if name == "approved" else f"{name} of the request"
            seen = f"{shown(found)} where it was {shown(value)}"
            return clause, _finding(approval, clause, expected, seen, decision.signal, message, pointer=f"/{name}")
    if decision.signal is None and lines and not _says_timeout(lines):
        expected, seen = f"the comment {TIMED_OUT}", shown(lines[0].field("comment"))
        return clause, _finding(approval, clause, expected, seen, None, lines[0], pointer="/comment")
    return clause, None


def _punctual(approval: Approval, first: Record) -> Occasion:
    late = first.event.at - approval.latest
    if late <= PUNCTUAL:
        return "hitl.deadline", None
    expected = f"a timeout is recorded within {PUNCTUAL:g} s of its deadline"
    seen = f"request {approval.request_id} was recorded {late:.3f} s after"
    return "hitl.deadline", _finding(approval, "hitl.deadline", expected, seen, None, first)


def _logged(approval: Approval, decision: Decision, messages: tuple[Message, ...], lines: tuple[Line, ...]) -> Occasion:
    clause, signal = "hitl.feedback", approval.decisions[0].signal
    if len(lines) != 1:
        seen = f"{len(lines)} lines for request {approval.request_id}"
        return clause, _finding(approval, clause, "one feedback line for an outcome", seen, signal, *lines)
    (line,) = lines
    for name, value in (
        ("request_id", approval.request_id),
        ("case_id", approval.case_id),
        ("doc_key", approval.doc_key),
        ("executor_id", approval.executor),
    ):
        found = line.field(name)
        if (found or "") != value and (value or found is not ABSENT):
            seen = f"{shown(found)} where it was {shown(value)}"
            return clause, _finding(
                approval, clause, f"{name} of the request in its feedback line", seen, signal, line, pointer=f"/{name}"
            )
    # What the message says wrongly in the same way is told of by its own clause.
    told = {message.field("approved") for message in messages if isinstance(message.field("approved"), bool)}
    if line.field("approved") is not decision.approved and line.field("approved") not in told:
        seen = f"{shown(line.field('approved'))} where it was {shown(decision.approved)}"
        expected = "the decision in its feedback line"
        return clause, _finding(approval, clause, expected, seen, signal, line, pointer="/approved")
    early = [message for message in messages if message.event.seq < line.event.seq]
    if early:
        seen = f"the message was event {early[0].event.seq}, its line {line.event.seq}"
        return clause, _finding(approval, clause, "the feedback line before the publish", seen, signal, *early, line)
    return clause, None


def _says_timeout(lines: tuple[Line, ...]) -> bool:
    return bool(lines) and lines[0].field("comment") == TIMED_OUT


def _finding(
    approval: Approval,
    clause: str,
    expected: str,
    seen: str,
    signal: Signal | None,
    *records: Record,
    pointer: str = "",
) -> Finding:
    told = [approval.stored, approval.waiting, *([signal.event] if signal else []), *(each.event for each in records)]
    return Finding(
        clause=clause,
        expected=expected,
        seen=seen,
        pointer=pointer,
        evidence="\n".join(map(_shown, told)),
        events=tuple(event.seq for event in told),
        reproduce=(listen(CASE_ACTION), *([publish(signal.event)] if signal else [])),
    )


def _shown(event: Event) -> str:
    match event.kind:
        case "hitl_request" if event.data["do"] == "stored":
            return f"SET {event.data['key']} EX {event.data['ttl']}\n{shown(event.data['request'])}"
        case "hitl_request":
            timeout = event.data["timeout"]
            return f"SUBSCRIBE {event.data['channel']}" + ("" if timeout is None else f", for {timeout:g} s")
        case "feedback":
            return f"feedback\n{event.data['line']}"
    return f"PUBLISH {event.data['channel']}\n{decode(event.data['wire']).decode(errors='backslashreplace')}"
