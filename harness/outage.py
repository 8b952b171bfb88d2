"""How a connection to Redis breaks and comes back: of both seats, when Redis is gone, or of the consumer alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from harness.bus import CUT, OUTAGE, RESTORED, Bus, Link, Publish
from harness.errors import HarnessError
from harness.history import Recorder
from harness.redis_server import RedisServer

A_MOMENT = 0.001
"""Seconds; of what is published at the very time of a cut, nobody can say what becomes of it."""


class Outage(Protocol):
    """How the Redis of a run is taken away from both seats with all its keys, and given back to them, empty."""

    async def begin(self) -> None: ...

    async def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CutOff:
    """Of the embedded one: it goes on, and nobody reaches it."""

    bus: Bus
    links: Sequence[Link]

    async def begin(self) -> None:
        for link in self.links:
            await link.cut(OUTAGE)
        await self.bus.vanish()

    async def end(self) -> None:
        self.bus.reappear()
        for link in self.links:
            await link.restore(OUTAGE)


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
            await link.restore(OUTAGE)


class Gap(Protocol):
    """How a consumer loses what is published while it is cut off."""

    async def lose(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Returns when it listens again."""


@dataclass(frozen=True, slots=True)
class CutGap:
    """Of a simulated consumer: its link is cut, and restored."""

    link: Link
    publish: Publish

    async def lose(self, messages: Sequence[tuple[str, bytes]]) -> None:
        await self.link.cut()
        await asyncio.sleep(A_MOMENT)
        for channel, wire in messages:
            await self.publish(channel, wire)
        await self.link.restore()
        await asyncio.sleep(A_MOMENT)


@dataclass(frozen=True, slots=True)
class KilledGap:
    """Of a live consumer, the only one on this Redis, which ends its connections: it comes back by itself."""

    bus: Bus
    recorder: Recorder
    patience: float
    """Seconds within which it has to come back."""

    async def lose(self, messages: Sequence[tuple[str, bytes]]) -> None:
        before = await self.bus.others()
        if len(before) != 1:
            raise HarnessError(
                f"--may-cut: {len(before)} connections listen on patterns of {self.bus.description}, one was expected, "
                "the live Synapse's; end the others, or leave --may-cut out"
            )
        self.recorder.record("fault", {"do": CUT}, seat="synapse")
        await self.bus.publish_at_once("harness", messages, ending=before)
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    if await self.bus.others() - before:
                        break
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pass  # what is published now and not handled is lost after the gap, and judged so
        self.recorder.record("fault", {"do": RESTORED}, seat="synapse")
