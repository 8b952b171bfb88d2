"""Subscriptions of the tests' own, and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

NOW = datetime(2026, 2, 11, 14, 30, 0, 123456, tzinfo=UTC)
ALERT = "workbench:alert"


class Stopped:
    """A clock."""

    def now(self) -> datetime:
        return NOW

    def elapsed(self) -> float:
        return 0.0


class Feed:
    """A subscription that gives what it is fed, and is cut by an error."""

    def __init__(self, *items: bytes | Exception) -> None:
        self.closed = False
        self._items: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.feed(*items)

    def feed(self, *items: bytes | Exception) -> None:
        for item in items:
            self._items.put_nowait(item)

    async def drained(self) -> None:
        """Returns when all that was fed has been taken."""
        await self._items.join()

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        while True:
            item = await self._items.get()
            self._items.task_done()
            if isinstance(item, Exception):
                raise item
            yield ALERT, item

    async def close(self) -> None:
        self.closed = True


def always(subscription: Feed) -> Callable[[], Awaitable[Feed]]:
    async def connect() -> Feed:
        return subscription

    return connect
