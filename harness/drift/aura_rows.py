"""How Aura drifts into the backend's tables, which it must leave alone."""

from __future__ import annotations

from functools import partial
from typing import Any

from harness.aura.actions import Actions, Feedback
from harness.aura.parts import Parts as AuraParts
from harness.aura.publishers import Action, Publishers
from harness.clock import Clock
from harness.drift.deviation import Deviation
from harness.seats import Parts
from harness.synapse.cases import Cases
from harness.synapse.decisions import Decisions
from harness.synapse.parts import Parts as SynapseParts

_of = partial(Deviation.of, "aura")

_DOCUMENTS = "UPDATE fi_doc_header SET status_code = ? WHERE case_id = ?"
_CASE = "UPDATE cases SET status = ? WHERE case_id = ?"


def _writing(*statements: str) -> Parts:
    """An Aura that has the password of the backend's database."""
    reached: list[Cases] = []

    def decisions(cases: Cases, *rest: Any, **more: Any) -> Decisions:
        reached[:] = [cases]
        return Decisions(cases, *rest, **more)

    class Writing(Actions):
        async def record(self, action: Action) -> None:
            for cases in reached:
                for statement in statements:
                    status = "APPROVED" if action.approved else "REJECTED"
                    cases._database.execute(statement, (status, action.case_id))
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
        _writing(_CASE),
    ),
)
