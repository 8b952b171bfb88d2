"""Approve and reject, from the screen or as the answer to a HITL request: first the commit, then the follow-ups.

A follow-up that fails is logged and changes nothing, for the decision stands and nobody is agreed on to try again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from harness.clock import Clock
from harness.synapse.cases import Action, Cases, Decision, Unknown
from harness.synapse.follow_ups import FollowUp
from harness.synapse.hitl import ApprovalRequest, Hitl
from harness.synapse.instant import Instant

log = logging.getLogger("harness.synapse")


class OtherTenant(Exception):
    """The request belongs to another tenant than the one that answers it."""


class NoHitl(Exception):
    """This backend was given no way to the requests."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`action` is None where the request names no case that the backend knows, so that nothing was written."""

    request: ApprovalRequest
    action: Action | None


@dataclass(frozen=True, slots=True)
class Decisions:
    cases: Cases
    clock: Clock
    after_action: Sequence[FollowUp] = ()
    """Run one after the other when a person has decided by the action's own endpoint."""
    after_answer: Sequence[FollowUp] = ()
    """When a person has answered a HITL request; one of them has to signal the answer."""
    hitl: Hitl | None = None

    async def decide(self, decision: Decision) -> Action:
        """Raises Unknown and AlreadyDecided, when nothing is written and nobody is told."""
        return await self._commit(decision, self.after_action)

    async def answer(
        self, tenant: int, request_id: str, executor_id: str, approved: bool, reason: str | None = None
    ) -> Answer:
        """Raises as `decide` does, NoHitl, and OtherTenant; Unknown also for a request that has expired."""
        if self.hitl is None:
            raise NoHitl("There is no way to the approval requests: publish, keep and fetch were not given")
        request = await self.hitl.request(request_id)
        if request is None:
            raise Unknown(f"There is no approval request {request_id}, or it has expired")
        if request.tenant_id not in (None, str(tenant)):
            raise OtherTenant(f"Approval request {request_id} belongs to another tenant")
        if request.case_id is None or not self.cases.knows(tenant, request.case_id):
            await self.hitl.signal(request, approved, reason, self.clock.now())
            return Answer(request, None)
        decision = Decision(tenant, request.case_id, request_id, executor_id, approved, reason, request.doc_key)
        return Answer(request, await self._commit(decision, self.after_answer))

    async def _commit(self, decision: Decision, follow_ups: Sequence[FollowUp]) -> Action:
        action = self.cases.decide(decision, Instant.of(self.clock.now()))
        for follow_up in follow_ups:
            try:
                await follow_up(action)
            except Exception as error:  # whatever it was, the decision is committed and the others are due
                log.warning("after the decision on %s: %s: %s", decision.case_id, type(error).__name__, error)
        return action
