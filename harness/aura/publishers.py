"""The three notifications that Aura publishes, one method each."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from harness.aura.settings import Settings
from harness.clock import Clock

Publish = Callable[[str, bytes], Awaitable[int]]
Encode = Callable[[dict[str, Any]], bytes]


def encoded(notification: dict[str, Any]) -> bytes:
    """JSON in UTF-8, with Korean as it stands (redis-messages §2.1)."""
    return json.dumps(notification, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Action:
    """A decision that a person took, or a timeout took for them."""

    case_id: str
    request_id: str
    executor_id: str
    approved: bool
    comment: str | None = None
    doc_key: str | None = None

    @property
    def action_type(self) -> str:
        return "APPROVE" if self.approved else "REJECT"


@dataclass(frozen=True, slots=True)
class Publishers:
    settings: Settings
    publish: Publish
    clock: Clock
    encode: Encode = encoded

    async def case_created(self, case_id: str, severity: str, score: float) -> None:
        """Analysis created a case; only a HIGH one raises an alert."""
        if severity == "HIGH":
            await self._notify(
                self.settings.workbench_alert_channel,
                "AI_DETECT",
                "신규 이상 징후 탐지",
                case_id=case_id,
                score=score,
                severity=severity,
            )

    async def rag_finished(self, rag_document_id: str, chunks_added: int, succeeded: bool) -> None:
        """Vectorisation ended; only a success is told."""
        if succeeded:
            await self._notify(
                self.settings.workbench_rag_status_channel,
                "RAG_STATUS",
                "학습 완료",
                rag_document_id=rag_document_id,
                chunks_added=chunks_added,
            )

    async def action_recorded(self, action: Action) -> None:
        await self._notify(
            self.settings.case_action_redis_channel,
            "CASE_ACTION",
            "조치 승인됨" if action.approved else "조치 거절됨",
            case_id=action.case_id,
            request_id=action.request_id,
            executor_id=action.executor_id,
            action_type=action.action_type,
            approved=action.approved,
            status_code="APPROVED" if action.approved else "REJECTED",
        )

    async def _notify(self, channel: str, category: str, message: str, **fields: object) -> None:
        notification = {
            "type": "NOTIFICATION",
            "category": category,
            "message": message,
            "timestamp": self.clock.now().isoformat(),
            **fields,
        }
        await self.publish(channel, self.encode(notification))
