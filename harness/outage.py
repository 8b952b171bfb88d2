"""How the Redis of a run is taken away from both seats, and given back to them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from harness.bus import Bus, Link
from harness.redis_server import RedisServer


class Outage(Protocol):
    async def begin(self) -> None: ...

    async def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CutOff:
    """Of the embedded one: it goes on, and no seat reaches it."""

    links: Sequence[Link]

    async def begin(self) -> None:
        for link in self.links:
            await link.cut()

    async def end(self) -> None:
        for link in self.links:
            await link.restore()


@dataclass(frozen=True, slots=True)
class Restart:
    """Of a server of our own: it ends and begins again, and the seats find out by themselves."""

    server: RedisServer
    bus: Bus
    links: Sequence[Link]

    async def begin(self) -> None:
        await self.bus.down(partial(asyncio.to_thread, self.server.stop))
        for link in self.links:
            await link.lost()

    async def end(self) -> None:
        await self.bus.up(partial(asyncio.to_thread, self.server.start))
        for link in self.links:
            await link.restore()
