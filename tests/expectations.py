"""Stories of one case and literal events for them, for the tests of what is said of expectations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from histories import Json, call, feedback, handled, history, step
from histories import answered as signalled

from harness import scenario
from harness.expect import Judged, judge
from harness.history import Event
from harness.scenario import Scenario

GIVEN = """title: A story.
given:
  cases:
    odd:
    other:
  documents:
    voucher: {case: odd}
  viewers:
    reviewer: {shows: odd}
    colleague: {shows: odd}
steps:
"""
IDS = {
    "cases": {"odd": ["case-1"], "other": ["case-2"]},
    "documents": {"voucher": ["doc-1"]},
    "requests": {"question": ["request-1"]},
    "rag": {"manual": ["document-1"]},
    "actions": {"odd": ["17"], "other": ["18"]},
}
GIVEN_STEP = step("given", at=0, ids=IDS)
COMPLETED: Json = {"type": "case_action_completed", "case_id": "case-1", "request_id": "request-1", "approved": True}


def story(*steps: str) -> Scenario:
    return scenario.parse(GIVEN + "".join(f"  - {each}\n" for each in steps), Path("story.yaml"))


def begins(index: int, at: float = 1.0, **data: Any) -> Event:
    return step("…", at=at, step=index, line=0, **data)


def judged(told: Scenario, *events: Event) -> tuple[Judged, ...]:
    """The run began the first step before these events, and every other step that they do not begin behind them."""
    begun = {event.data["step"] for event in events if "step" in event.data}
    first = [begins(0)] if 0 not in begun else []
    rest = [begins(index) for index in range(1, len(told.steps)) if index not in begun]
    return judge(told, history(GIVEN_STEP, *first, *events, *rest))


def only(told: Scenario, *events: Event) -> Judged:
    (found,) = judged(told, *events)
    return found


def stopped(told: Scenario, *events: Event) -> tuple[str, str, str, str]:
    found = only(told, *events)
    return found.outcome, found.hop, found.seat, found.seen


def refetch(viewer: str = "reviewer", reason: str = "notification", status: str = "APPROVED", at: float = 1.3) -> Event:
    data = {"viewer": viewer, "case": "case-1", "reason": reason, "seen": {"documents": {"doc-1": status}}}
    return dataclasses.replace(step("", at=at), kind="refetch", seat="workbench", data=data)


def answered(status: int | None = 200, path: str = "/api/synapse/actions/17/approve", **changes: Any) -> Event:
    return dataclasses.replace(call(b"{}", status=status, path=path, **changes), seat="synapse")


def read(status: str, at: float = 1.5) -> Event:
    answer = {"success": True, "data": {"docKey": "doc-1", "status": status}}
    return answered(path="/api/synapse/documents/doc-1", method="GET", answer=answer, at=at)


SIGNAL = dataclasses.replace(signalled(), seat="synapse")
APPROVE = "approve: {case: odd, by: api}"
RECORD = "record: {case: odd, approved: true}"
SENT, STORED, FRAMED = handled()
SENT = dataclasses.replace(SENT, seat="aura")
WHOLE = (feedback(), SENT, STORED, FRAMED, refetch(), call(), answered())
