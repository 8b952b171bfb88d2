"""How Aura drifts into the backend's tables, which it must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from harness.aura.actions import Actions, Feedback
from harness.aura.hitl import TIMED_OUT
from harness.aura.parts import Parts as AuraParts
from harness.aura.publishers import Action, Publishers
from harness.clock import Clock
from harness.drift.deviation import Deviation
from harness.seats import Parts
from harness.synapse.cases import Cases
from harness.synapse.decisions import Decisions
from harness.synapse.parts import Parts as SynapseParts

_of = partial(Deviation.of, "aura")

_DOCUMENTS = "UPDATE fi_doc_header SET status_code = :status WHERE case_id = :case"
_CASE = "UPDATE cases SET status = :status WHERE case_id = :case"
_HISTORY = """
    INSERT INTO case_action_history
        (tenant_id, case_id, request_id, executor_id, approved, comment, doc_key, fi_doc_updated, created_at)
    SELECT tenant_id, case_id, :request, :executor, :approved, NULL, NULL, 0, 0 FROM cases WHERE case_id = :case
"""


def _writing(statement: str, when: Callable[[Action], bool] = lambda action: True) -> Parts:
    """An Aura that has the password of the backend's database."""
    reached: list[Cases] = []

    def decisions(cases: Cases, *rest: Any, **more: Any) -> Decisions:
        reached[:] = [cases]
        return Decisions(cases, *rest, **more)

    class Writing(Actions):
        async def record(self, action: Action) -> None:
            values = {
                "case": action.case_id,
                "request": action.request_id,
                "executor": action.executor_id,
                "approved": action.approved,
                "status": "APPROVED" if action.approved else "REJECTED",
            }
            for cases in reached if when(action) else ():
                cases.database.execute(statement, values)
            await Actions.record(self, action)

    def actions(publishers: Publishers, feedback: Feedback, clock: Clock) -> Actions:
        return Writing(publishers, feedback, clock)

    return Parts(aura=AuraParts(actions=actions), synapse=SynapseParts(decisions=decisions))


DEVIATIONS = (
    _of(
        "writes-document-status",
        "As before: a recorded action updates fi_doc_header, too.",
        "action.aura-writes-neither",
        _writing(_DOCUMENTS),
    ),
    _of(
        "writes-case-status",
        "A timeout closes the case, so that nobody waits for it.",
        "action.aura-writes-neither",
        _writing(_CASE, lambda action: action.comment == TIMED_OUT),
    ),
    _of(
        "writes-history",
        "As before: a recorded action gets its row in case_action_history.",
        "action.aura-writes-neither",
        _writing(_HISTORY),
    ),
)
