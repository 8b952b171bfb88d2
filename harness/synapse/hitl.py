"""The backend's half of an approval: what Aura asked is read from Redis, and the answer is kept there and published."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from harness.synapse.java import decode
from harness.synapse.node import Tree, as_text
from harness.synapse.reader import Unreadable, read_tree

log = logging.getLogger("harness.synapse")

SIGNAL_SECONDS: Final = 300

Publish = Callable[[str, bytes], Awaitable[object]]
Fetch = Callable[[str], Awaitable[str | bytes | None]]
"""The text under a key of Redis."""
Keep = Callable[[str, str, int], Awaitable[object]]
"""Puts a text under a key of Redis, for so many seconds."""


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What the backend needs of `hitl:request:{requestId}`; what is missing there is None."""

    request_id: str
    session_id: str
    tenant_id: str | None
    case_id: str | None
    doc_key: str | None


@dataclass(frozen=True, slots=True)
class Hitl:
    fetch: Fetch
    keep: Keep
    publish: Publish

    async def request(self, request_id: str) -> ApprovalRequest | None:
        """None where it has expired or never was, and where it names no session."""
        stored = await self.fetch(f"hitl:request:{request_id}")
        if stored is None:
            return None
        try:
            found = read_tree(decode(stored) if isinstance(stored, bytes) else stored)
        except Unreadable as error:
            log.warning("hitl:request:%s cannot be read: %s", request_id, error)
            return None
        fields = found if isinstance(found, dict) else {}
        given = fields.get("context")
        context = given if isinstance(given, dict) else {}
        session_id = _first(fields, "sessionId")
        if session_id is None:
            return None
        return ApprovalRequest(
            request_id,
            session_id,
            tenant_id=_first(fields, "tenantId"),
            case_id=_first(context, "caseId", "case_id"),
            doc_key=_first(context, "docKey", "doc_key"),
        )

    async def signal(self, request: ApprovalRequest, approved: bool, reason: str | None, now: datetime) -> None:
        """Kept before it is published: whoever missed the message finds it."""
        answer: dict[str, object] = {
            "type": "approval" if approved else "rejection",
            "requestId": request.request_id,
            "status": "approved" if approved else "rejected",
        }
        if reason is not None and not approved:
            answer["reason"] = reason
        answer["timestamp"] = int(now.timestamp())
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
        await self.keep(f"hitl:signal:{request.session_id}", text, SIGNAL_SECONDS)
        await self.publish(f"hitl:channel:{request.session_id}", text.encode())


def _first(fields: dict[str, Tree], *names: str) -> str | None:
    """The first that is there and not empty, as text."""
    for name in names:
        value = fields.get(name)
        if value is not None and as_text(value):
            return as_text(value)
    return None
