"""What the backend does about a decision once it is committed: tell the HITL session, tell Aura, tell the workbench."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from harness.clock import Clock
from harness.synapse.cases import Action
from harness.synapse.hitl import Hitl, Publish
from harness.synapse.node import Tree
from harness.synapse.notification import CASE_ACTION
from harness.synapse.writer import write

FollowUp = Callable[[Action], Awaitable[None]]

Record = Callable[[dict[str, object]], Awaitable[int]]
"""Calls Aura's record endpoint with this body; answers the HTTP status."""


class NotRecorded(Exception):
    """Aura's record endpoint refused."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Answers the HITL session that waits for this request, if one does."""

    hitl: Hitl
    clock: Clock

    async def __call__(self, action: Action) -> None:
        request = await self.hitl.request(action.decision.request_id)
        if request is not None:
            await self.hitl.signal(request, action.decision.approved, action.decision.comment, self.clock.now())


@dataclass(frozen=True, slots=True)
class RecordAtAura:
    """One call, which is not tried again: the documents leave open who would."""

    record: Record

    async def __call__(self, action: Action) -> None:
        decision = action.decision
        body: dict[str, object] = {
            "case_id": decision.case_id,
            "request_id": decision.request_id,
            "executor_id": decision.executor_id,
            "approved": decision.approved,
        }
        if decision.comment is not None:
            body["comment"] = decision.comment
        if decision.doc_key is not None:
            body["doc_key"] = decision.doc_key
        status = await self.record(body)
        if status != 200:
            raise NotRecorded(f"Aura answered {status} to the record of {decision.request_id}")


@dataclass(frozen=True, slots=True)
class PublishCompletion:
    """The deployed backend's own message, in the older shape, on the channel that Aura publishes on."""

    publish: Publish

    async def __call__(self, action: Action) -> None:
        decision = action.decision
        message: dict[str, Tree] = {
            "type": "case_action_completed",
            "case_id": decision.case_id,
            "request_id": decision.request_id,
            "executor_id": decision.executor_id,
            "action_type": decision.action_type,
            "approved": decision.approved,
            "status_code": decision.status_code,
            "at": str(action.created_at),
            "history_id": action.history_id,
            "fi_doc_updated": action.fi_doc_updated > 0,
            "tenant_id": decision.tenant_id,
            "action_id": decision.case_id,
        }
        await self.publish(CASE_ACTION, write(message))
