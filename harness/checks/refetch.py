"""The screens: whoever shows a case that was acted upon looks again, and nobody else does."""

from __future__ import annotations

from collections.abc import Iterator

from harness.checks.notifications import NOTICED_WITHIN
from harness.checks.registry import check
from harness.checks.screens import (
    CATCH_UP,
    CaseAction,
    Decision,
    Gap,
    Load,
    Showing,
    Shown,
    again,
    case_actions,
    case_path,
    decisions,
    document_path,
    finding,
    get,
    gets,
    loads,
    refetches,
    showings,
)
from harness.checks.view import View
from harness.history import Event
from harness.verdict import Finding

POLLED_WITHIN = 10.0
"""Seconds; the documents name no interval, and nobody who polls more seldom is accused in a shorter run."""
REFETCHED_WITHIN = 30.0
"""Seconds in which a refetch that names no notification may be for one; what comes later is for something else."""
RECENT_PATH = "/api/synapse/actions/recent"
RECENT = f"{RECENT_PATH}?since="


@check("refetch.showing")
def showing(view: View) -> Iterator[Finding | None]:
    """One occasion for each case action and viewer that showed the case, connected."""
    expected = "case detail and documents are fetched again"
    for action in case_actions(view):
        for screen in showings(view):
            if not screen.receives(action) or not screen.concerned_by(action):
                continue
            found = [load for load in refetches(view) if _answers(view, screen, load, action)]
            if found:
                lacking = _lacking(view, action, found)
                if not lacking:
                    yield None
                    continue
                seen = f"{screen.viewer} did not fetch {lacking}"
            elif _excused(view, screen, action):
                continue
            else:
                seen = f"{screen.viewer} fetched nothing"
            yield finding(
                "refetch.showing",
                expected,
                seen,
                shown=[screen.opened, action, *found],
                reproduce=[again(action)],
            )


@check("refetch.others")
def others(view: View) -> Iterator[Finding | None]:
    """One occasion for each case action and viewer that was open and not concerned, and for each catching up."""
    for action in case_actions(view):
        concerned = {screen.viewer for screen in _concerned(view, action)}
        because = [load for load in refetches(view) if load.told_by(action) and not _told_otherwise(view, load, action)]
        for load in because:
            if load.viewer not in concerned:
                expected = "only viewers that show this case, for this tenant, refetch"
                shown: list[Shown] = [*_opened(view, load), action, load]
                seen = f"{load.viewer} refetched case {load.case}"
                yield finding("refetch.others", expected, seen, shown=shown, reproduce=[again(action)])
        looked = {load.viewer for load in because}
        connected = {screen.viewer for screen in showings(view) if screen.receives(action)}
        yield from (None for _ in connected - concerned - looked)
    for load in refetches(view):
        if load.reason == CATCH_UP:
            yield None if _acted_upon_before(view, load) else _caught_up_on_nothing(view, load)


@check("refetch.catch-up")
def catch_up(view: View) -> Iterator[Finding | None]:
    """One occasion for each reconnect of a viewer that did not show yet what the backend had decided."""
    for screen in showings(view):
        for gap in screen.gaps:
            missed = _missed(view, screen, gap)
            if gap.restored is None or not missed:
                continue
            if any(_caught_up(screen, load, gap.restored.seq) for load in refetches(view)):
                yield None
            elif _not_listed(view, screen, gap.restored.seq):
                continue
            elif not screen.interrupted_within(gap.restored.at, gap.restored.at + NOTICED_WITHIN):
                expected = "after a reconnect the case is fetched again if it is among the recent actions"
                shown: list[Shown] = [gap.cut, *missed, gap.restored]
                seen, since = f"{screen.viewer} fetched nothing", get(RECENT + _instant(missed[0].event))
                yield finding("refetch.catch-up", expected, seen, shown=shown, reproduce=[since])


def _answers(view: View, screen: Showing, load: Load, action: CaseAction) -> bool:
    """Whether a refetch shows what this action did: it was for this notification, or came after it and not too late.

    A viewer may be done before the frame of the same notification has reached the tap.
    """
    if load.viewer != screen.viewer or load.case != screen.case:
        return False
    if load.notification is None:
        return load.seq > action.seq and load.event.at <= action.frame.event.at + REFETCHED_WITHIN
    return any(load.told_by(one) and one.seq >= action.seq for one in case_actions(view))


def _lacking(view: View, action: CaseAction, found: list[Load]) -> str:
    """What none of these fetched; empty where one fetched everything."""
    decided = {one.document for one in decisions(view) if one.case == action.case and one.document}
    known = {document for load in loads(view) if load.case == action.case for document in load.seen}
    wanted = [case_path(action.case), *map(document_path, sorted((known & decided) or known or decided))]
    lacking = [[path for path in wanted if path not in load.paths] for load in found]
    return ", ".join(sorted(lacking, key=len)[0])


def _excused(view: View, screen: Showing, action: CaseAction) -> bool:
    """It lost its connection just then; or it polls, and there was nothing to find or no time to find it."""
    at = action.frame.event.at
    if screen.source == "polling" and _not_listed(view, screen, action.seq):
        return True
    if screen.source != "polling":
        return screen.interrupted_within(at, at + NOTICED_WITHIN)
    decided = any(one.case == action.case and one.seq < action.seq for one in decisions(view))
    over = view.history[-1].at < at + POLLED_WITHIN
    return not decided or over or screen.interrupted_within(at, at + POLLED_WITHIN)


def _told_otherwise(view: View, load: Load, action: CaseAction) -> bool:
    """Whether another notification with the same id concerns this viewer: not every backend gives each its own."""
    others = [other for other in case_actions(view) if other is not action and load.told_by(other)]
    return any(load.viewer in {screen.viewer for screen in _concerned(view, other)} for other in others)


def _not_listed(view: View, screen: Showing, since: int) -> bool:
    """Whether it asked for the recent actions, and the backend named none of its case."""
    answers = [one for one in gets(view).get(RECENT_PATH, ()) if since < one.seq and one.by(screen.viewer)]
    listed = [row for one in answers for row in one.rows or ()]
    return bool(answers) and not any(row.get("caseId") == screen.case for row in listed)


def _concerned(view: View, action: CaseAction) -> list[Showing]:
    """A viewer may hear of what was sent while it was being opened."""
    return [screen for screen in showings(view) if screen.concerned_by(action) and action.seq < screen.until]


def _opened(view: View, load: Load) -> list[Load]:
    """The first load of this viewer, which tells what it shows."""
    return [one for one in loads(view) if one.viewer == load.viewer and one.seq < load.seq][:1]


def _acted_upon_before(view: View, load: Load) -> bool:
    happened: tuple[CaseAction | Decision, ...] = (*case_actions(view), *decisions(view))
    return any(one.case == load.case and one.seq < load.seq for one in happened)


def _caught_up_on_nothing(view: View, load: Load) -> Finding:
    expected = "catching up, a viewer refetches only a case that was acted upon"
    seen = f"{load.viewer} refetched case {load.case}"
    return finding("refetch.others", expected, seen, shown=[load], reproduce=[get(RECENT + _instant(view.history[0]))])


def _missed(view: View, screen: Showing, gap: Gap) -> list[Decision]:
    """What the backend had decided before the viewer came back and its screen did not show yet."""
    if gap.restored is None:
        return []
    back = gap.restored.seq
    own = [load.seq for load in loads(view) if load.viewer == screen.viewer and load.seq < back]
    known = max([screen.opened.seq, *own])
    return [one for one in decisions(view) if screen.concerned_by(one) and known < one.seq < back]


def _caught_up(screen: Showing, load: Load, back: int) -> bool:
    mine = load.viewer == screen.viewer and load.case == screen.case
    return mine and load.reason == CATCH_UP and back < load.seq < screen.until


def _instant(event: Event) -> str:
    return event.wall.replace("+00:00", "Z")
