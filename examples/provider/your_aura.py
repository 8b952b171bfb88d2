"""Stands in for your code: what publishes when a case was found, and when a person has decided."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import redis
import redis.asyncio


def _notification(category: str, message: str, **fields: Any) -> bytes:
    common = {"type": "NOTIFICATION", "category": category, "message": message}
    stamped = {**common, "timestamp": datetime.now(UTC).isoformat(), **fields}
    return json.dumps(stamped, ensure_ascii=False).encode()


def publish_alert(client: redis.Redis, case_id: str, score: float) -> None:
    message = _notification("AI_DETECT", "신규 이상 징후 탐지", case_id=case_id, score=score, severity="HIGH")
    client.publish("workbench:alert", message)


async def publish_decision(client: redis.asyncio.Redis, case_id: str, request_id: str, *, approved: bool) -> None:
    message = _notification(
        "CASE_ACTION",
        "조치 승인됨" if approved else "조치 거절됨",
        case_id=case_id,
        request_id=request_id,
        executor_id="user-1",
        action_type="APPROVE" if approved else "REJECT",
        approved=approved,
        status_code="APPROVED" if approved else "REJECTED",
    )
    await client.publish("workbench:case:action", message)
