"""Publishing by several at once: on one connection beside redis-py's pool, and what a tap costs, for which each of them
waits until it has recorded the message.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import redis.asyncio

from benchmarks.measure import Compared, Rounds
from benchmarks.processes import started
from benchmarks.samples import SIZES, SUBSCRIBERS, messages
from harness.bus import open_bus
from harness.clock import WallClock
from harness.history import Recorder

TOGETHER = 16
PUBLISHED, TAPPED, POOL = "publish, 16 at once", "publish, 16 at once, tapped", "redis-py's pool"
ROUNDS, GROWTH_ROUNDS = 15, 7
MESSAGES, MOST_BYTES = 10_000, 32 << 20

Publish = Callable[[str, bytes], Awaitable[object]]


def compared(redis_url: str) -> list[Compared]:
    with started("benchmarks.subscribers", "1", redis_url):
        rounds = _rounds(ROUNDS, redis_url, 0)
    return [rounds.compared(PUBLISHED, POOL), rounds.compared(TAPPED, PUBLISHED), rounds.compared(TAPPED, POOL)]


def by_subscribers(redis_url: str) -> Mapping[str, Sequence[Compared]]:
    columns = {}
    for number in SUBSCRIBERS:
        with started("benchmarks.subscribers", str(number), redis_url):
            columns[str(number)] = _column(redis_url, 0)
    return columns


def by_size(redis_url: str) -> Mapping[str, Sequence[Compared]]:
    with started("benchmarks.subscribers", "1", redis_url):
        return {label: _column(redis_url, size) for label, size in SIZES.items()}


def _column(redis_url: str, size: int) -> list[Compared]:
    rounds = _rounds(GROWTH_ROUNDS, redis_url, size)
    return [rounds.compared(PUBLISHED, POOL), rounds.compared(TAPPED, PUBLISHED)]


def _rounds(number: int, redis_url: str, size: int) -> Rounds:
    return Rounds(
        number,
        {
            POOL: lambda: asyncio.run(_by_pool(redis_url, size)),
            PUBLISHED: lambda: asyncio.run(_by_bus(redis_url, size, tapped=False)),
            TAPPED: lambda: asyncio.run(_by_bus(redis_url, size, tapped=True)),
        },
    )


async def _by_pool(redis_url: str, size: int) -> float:
    async with redis.asyncio.Redis.from_url(redis_url, protocol=2) as client:
        return await _rate(client.publish, size)


async def _by_bus(redis_url: str, size: int, *, tapped: bool) -> float:
    async with open_bus(redis_url) as bus:
        if tapped:
            await bus.tap(Recorder(WallClock(), keep=False))
        return await _rate(bus.publisher("aura"), size)


async def _rate(publish: Publish, size: int) -> float:
    """Of so many that no subscriber falls far behind, for that would slow Redis down."""
    sent = messages(min(MESSAGES, MOST_BYTES // max(size, 300)), size)
    began = time.perf_counter()

    async def some(first: int) -> None:
        for channel, wire in sent[first::TOGETHER]:
            await publish(channel, wire)

    await asyncio.gather(*map(some, range(TOGETHER)))
    return len(sent) / (time.perf_counter() - began)
