"""Who writes what: the backend its own rows, before anybody hears of it, and only those that were decided on.

Rows are judged by what the screens saw of them: a status of a case or document, as a viewer fetched it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any
from urllib.parse import unquote

from harness.checks.registry import check
from harness.checks.screens import (
    CaseAction,
    Decision,
    Load,
    again,
    case_actions,
    case_path,
    decisions,
    document_path,
    finding,
    get,
    gets,
    got,
    loads,
)
from harness.checks.view import CASE_ACTION, View
from harness.history import Event
from harness.reproduce import listen
from harness.verdict import Finding

TIMEOUT = "HITL timeout"
"""What Aura's feedback says where nobody decided: on the wire it is a rejection (decision 2)."""


@check("action.recorded-first")
def recorded_first(view: View) -> Iterator[Finding | None]:
    """One occasion for each notification of a decision, and one for each refetch that it caused."""
    clause = "action.recorded-first"
    for decision in decisions(view):
        for early in _told_early(view, decision):
            seen = f"it was event {early.seq}, the commit {decision.seq}"
            yield Finding(
                clause=clause,
                expected="the commit before anybody is told",
                seen=seen,
                evidence=f"{early.kind} {dict(early.data)}",
                events=(early.seq, decision.seq),
                reproduce=(listen(CASE_ACTION),),
            )
        for action in case_actions(view):
            if not _tells(view, action, decision):
                continue
            if action.seq < decision.seq:
                expected = "the commit before the notification"
                seen = f"the frame was event {action.seq}, the commit {decision.seq}"
                yield finding(clause, expected, seen, shown=[action, decision], reproduce=[again(action)])
                continue
            yield None
            for load in loads(view):
                if load.case == action.case and _told_by_it_alone(view, load, action):
                    yield from _sees(view, load, action, decision)


def _told_early(view: View, decision: Decision) -> Iterator[Event]:
    """What the backend set in motion for its decision before it was committed: its signal, its message, its call."""
    told = [*view.history.of("hitl_signal"), *view.history.of("published")]
    mine = [event for event in told if event.seat == "synapse"]
    mine += [exchange.event for exchange in view.exchanges if exchange.field("approved") is decision.approved]
    for event in mine:
        if event.seq < decision.seq and decision.request and event.about.get("request") == decision.request:
            yield event


@check("action.only-named-document")
def only_named_document(view: View) -> Iterator[Finding | None]:
    """One occasion for each time that another document of the case is seen again after a decision."""
    for case in dict.fromkeys(decision.case for decision in decisions(view)):
        yield from _others_unchanged(view, case)


@check("action.aura-writes-neither")
def aura_writes_neither(view: View) -> Iterator[Finding | None]:
    """One occasion for each time that a case is seen again which Aura recorded and the backend did not decide on, and
    for each answer that lists the history of a case which Aura recorded."""
    yield from _rows_of_others(view)
    for case, recorded in _recorded(view).items():
        decided = min((one.seq for one in decisions(view) if one.case == case), default=inf)
        before: dict[str, str] = {}
        for load in loads(view):
            if load.case != case or load.seq > decided:
                continue
            for path, status in _statuses(load).items():
                if load.seq > recorded.seq and path in before:
                    kept = status == before[path]
                    yield None if kept else _rewritten(recorded, load, path, f"{status}, which was {before[path]}")
                before[path] = status


def _rows_of_others(view: View) -> Iterator[Finding | None]:
    """Whether a case has more rows of history than the backend decided."""
    for case, recorded in _recorded(view).items():
        for answer in gets(view).get(unquote(case_path(case)), ()):
            if answer.rows is None or answer.seq < recorded.seq:
                continue
            known = sum(one.case == case and one.seq < answer.seq for one in decisions(view))
            if len(answer.rows) <= known:
                yield None
                continue
            yield finding(
                "action.aura-writes-neither",
                "the history of a case holds what the backend decided, and nothing else",
                f"{len(answer.rows)} rows where the backend decided {known} times",
                "/data/history",
                shown=[recorded, answer.event],
                reproduce=[get(case_path(case))],
            )


def _may_be_auras(view: View, latest: Decision, load: Load, key: str, status: str) -> bool:
    """Whether the backend had left the document as it was, and Aura recorded the case before this was seen: then nobody
    can say who changed it. That Aura writes is seen where the backend decides nothing."""
    recorded = (event for event, case in _signs(view) if case == load.case and latest.seq < event.seq < load.seq)
    return latest.changed_since(key, status) and any(recorded)


def _tells(view: View, action: CaseAction, decision: Decision) -> bool:
    """Whether this notification is about this decision."""
    if action.case != decision.case or action.told("approved") is not decision.approved:
        return False
    if decision.request is not None and action.told("request_id") != decision.request:
        return False
    if any(_same_request(one, decision) and one.seq < action.seq < decision.seq for one in decisions(view)):
        return False  # it tells of the one before, rightly or not
    return not any(
        line.field("request_id") == decision.request
        and line.field("comment") == TIMEOUT
        and line.event.seq < action.seq < decision.seq
        for line in view.lines
    )


def _told_by_it_alone(view: View, load: Load, action: CaseAction) -> bool:
    """Two notifications of a case with the same id leave open which one a load was made for."""
    same = [other for other in case_actions(view) if other.case == action.case and load.told_by(other)]
    return same == [action]


def _same_request(one: Decision, other: Decision) -> bool:
    return (one.case, one.request) == (other.case, other.request)


def _sees(view: View, load: Load, action: CaseAction, decision: Decision) -> Iterator[Finding | None]:
    """Whether a refetch sees what was decided, or what was decided after it, and the decision in the case's history."""
    yield from _lists(view, load, action, decision)
    since = [one for one in decisions(view) if one.case == decision.case and decision.seq <= one.seq < load.seq]
    seen = [(key, status) for key, status in load.seen.items() if decision.about(key) and load.fetched(key)]
    if any(status in {one.status for one in since if one.about(key)} for key, status in seen):
        yield None
        return
    for key, status in seen[:1]:
        yield finding(
            "action.recorded-first",
            "the refetch sees the decided status",
            f"{status or 'no status'} instead of {decision.status}",
            _pointer(key),
            shown=[decision, action, load],
            reproduce=[again(action), get(document_path(key))],
        )


def _lists(view: View, load: Load, action: CaseAction, decision: Decision) -> Iterator[Finding | None]:
    """Whether the history that came with the case holds the decision, if it came with one."""
    path = case_path(load.case)
    answer = got(view, load.viewer, path, max(load.after, decision.seq), load.seq)
    if answer is None or answer.rows is None:
        return
    due = sum(_same_request(one, decision) and one.seq <= decision.seq for one in decisions(view))
    rows = [row for row in answer.rows if decision.request in (None, row.get("requestId"))]
    if len(rows) >= due:
        yield None
        return
    yield finding(
        "action.recorded-first",
        "the refetch finds the decision in the history of its case",
        f"{len(rows)} of {due} decisions",
        "/data/history",
        shown=[decision, action, load],
        reproduce=[again(action), get(path)],
    )


def _others_unchanged(view: View, case: str) -> Iterator[Finding | None]:
    """Each decision allows one new status of the documents that it is about, whatever it is called.

    A refetch may come late with what another has seen change already, so that no status is ever forbidden again.
    """
    known: dict[str, set[str]] = {}
    allowed: Counter[str | None] = Counter()
    latest: Decision | None = None
    steps: tuple[Decision | Load, ...] = (*decisions(view), *loads(view))
    for step in sorted((one for one in steps if one.case == case), key=lambda one: one.seq):
        if isinstance(step, Decision):
            latest = step
            allowed.update([step.document] if step.document else list(known))
            continue
        for key, status in step.seen.items():
            if status is None:
                continue
            new = key in known and status not in known[key]
            if new and allowed[key]:
                allowed[key] -= 1
            elif new and latest is not None and _may_be_auras(view, latest, step, key, status):
                continue
            elif new and latest is not None:
                yield _changed(step, latest, key, status, known[key])
            elif latest is not None and key in known and not latest.about(key):
                yield None
            known.setdefault(key, set()).add(status)


def _changed(load: Load, latest: Decision, key: str, status: str, known: set[str]) -> Finding:
    return finding(
        "action.only-named-document",
        "documents that were not decided on keep their status",
        f"{status}, which was {' or '.join(sorted(known))}",
        _pointer(key),
        shown=[latest, load],
        reproduce=[get(document_path(key))],
    )


def _recorded(view: View) -> Mapping[str, Event]:
    """The cases that Aura recorded an action for, with the first sign of it."""
    found: dict[str, Event] = {}
    for event, case in _signs(view):
        if isinstance(case, str):
            found.setdefault(case, event)
    return found


def _signs(view: View) -> list[tuple[Event, Any]]:
    """Of an action that Aura recorded, with its case."""
    signs: list[tuple[Event, Any]] = [(one.event, one.field("case_id")) for one in view.exchanges if one.accepted]
    signs += [(one.event, one.field("case_id")) for one in view.notifications if one.channel == CASE_ACTION]
    signs += [(one.event, one.field("case_id")) for one in view.lines]
    return sorted(signs, key=lambda sign: sign[0].seq)


def _rewritten(recorded: Event, load: Load, path: str, seen: str) -> Finding:
    pointers = {document_path(key): _pointer(key) for key in load.seen}
    return finding(
        "action.aura-writes-neither",
        "the case and its documents keep their status",
        seen,
        pointers.get(path, "/seen/case"),
        shown=[recorded, load],
        reproduce=[get(path)],
    )


def _statuses(load: Load) -> dict[str, str]:
    """By the path of each."""
    statuses = {case_path(load.case): load.case_status}
    statuses |= {document_path(key): status for key, status in load.seen.items()}
    return {path: status for path, status in statuses.items() if status is not None}


def _pointer(document: str) -> str:
    return "/seen/documents/" + document.replace("~", "~0").replace("/", "~1")
