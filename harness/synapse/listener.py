"""What the deployed listener does with one message: read it, store it, then broadcast it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from harness.clock import Clock
from harness.synapse.instant import Instant
from harness.synapse.notification import NotificationDto, read
from harness.synapse.store import Store

Broadcasts = Callable[[NotificationDto], None]
GiveWay = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class NotificationListener:
    store: Store
    broadcast: Broadcasts
    clock: Clock
    give_way: GiveWay
    """Lets other messages go first between the two steps: ids need not rise in the order of the broadcasts."""

    async def __call__(self, channel: str, wire: bytes) -> None:
        """Raises `Unreadable` and `Unstorable`, when nothing is stored, and `Unwritable`, when the row stays alone."""
        dto = self.read(channel, wire)
        stored = self.store.save(dto, self.now())
        await self.give_way()
        self.broadcast(stored)

    def read(self, channel: str, wire: bytes) -> NotificationDto:
        return read(channel, wire, self.now())

    def now(self) -> Instant:
        return Instant.of(self.clock.now())
