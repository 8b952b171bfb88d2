"""Stands in for your code: listens to the channels, and keeps what can be read."""

from __future__ import annotations

import json
from typing import Any

import redis
import redis.asyncio


def entry(wire: bytes) -> dict[str, Any] | None:
    """None for what is no JSON object. The backend's own messages have no category and no message."""
    try:
        value = json.loads(wire)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return {**value, "type": value.get("category") or "CASE_ACTION", "text": value.get("message") or "조치 완료"}


class Inbox:
    """One that blocks: `take` the next message."""

    def __init__(self, client: redis.Redis) -> None:
        self._pubsub = client.pubsub()  # type: ignore[no-untyped-call]
        self._pubsub.psubscribe("workbench:*")
        self._pubsub.get_message(timeout=2)

    def take(self) -> dict[str, Any] | None:
        message = self._pubsub.get_message(timeout=2)
        return None if message is None else entry(message["data"])


async def listen(client: redis.asyncio.Redis, entries: list[dict[str, Any]], wanted: int) -> None:
    """One on an event loop: returns when it has so many entries."""
    async with client.pubsub() as pubsub:
        await pubsub.psubscribe("workbench:*")
        async for message in pubsub.listen():
            found = entry(message["data"]) if message["type"] == "pmessage" else None
            entries += [found] if found else []
            if len(entries) == wanted:
                return
