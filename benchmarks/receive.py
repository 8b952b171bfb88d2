"""Receiving and mapping: what Synapse's side makes of messages that wait in Redis, beside redis-py's own loop with
`json.loads` (hiredis, RESP2) and beside what C alone takes. Nothing is published while it is measured.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import hiredis
import redis
import redis.asyncio

from benchmarks.measure import Compared, Rate, Rounds
from benchmarks.samples import SIZES, SUBSCRIBERS, messages
from harness.bus import Subscription, open_bus
from harness.clock import WallClock
from harness.synapse.instant import Instant
from harness.synapse.notification import NotificationDto, read, to_json
from harness.synapse.seat import Synapse
from harness.synapse.settings import Settings
from harness.synapse.store import SqliteStore

LOOP = "redis-py loop, `json.loads`"
ASYNC_LOOP = "redis-py asyncio loop, `json.loads`"
C_LIMIT = "hiredis on a socket, `json.loads`"
C_ALONE = "hiredis on a socket alone"
MAPPED = "receive and map"
RECEIVED = "receive alone"
SYNAPSE = "receive, map, store, broadcast"
LOADS, MAP, WRITE = "`json.loads` alone", "map alone", "map, and write as JSON"

PATTERN = "workbench:*"
MESSAGES, FEWER, ROUNDS, GROWTH_ROUNDS = 20_000, 5_000, 9, 5
MOST_BYTES = 32 << 20
NOW = Instant(1_770_820_200)

Sent = Sequence[tuple[str, bytes]]
Take = Callable[[str, bytes], object]


def compared(redis_url: str) -> list[Compared]:
    sent, fewer = messages(MESSAGES), messages(FEWER)
    rounds = Rounds(
        ROUNDS,
        {
            LOOP: partial(_by_loop, redis_url, sent),
            ASYNC_LOOP: partial(_by_async_loops, redis_url, sent, 1),
            C_LIMIT: partial(_by_hiredis, redis_url, sent, lambda wire: json.loads(wire)),
            C_ALONE: partial(_by_hiredis, redis_url, sent, lambda wire: None),
            MAPPED: partial(_by_subscriptions, redis_url, sent, _map, 1),
            RECEIVED: partial(_by_subscriptions, redis_url, sent, lambda channel, wire: None, 1),
            SYNAPSE: partial(_by_synapse, redis_url, fewer),
            LOADS: partial(_each, sent, lambda channel, wire: json.loads(wire)),
            MAP: partial(_each, sent, _map),
            WRITE: partial(_each, sent, lambda channel, wire: to_json(_map(channel, wire))),
        },
    )
    return [
        rounds.compared(MAPPED, LOOP, required=0.5),
        rounds.compared(MAPPED, ASYNC_LOOP),
        rounds.compared(MAPPED, C_LIMIT),
        rounds.compared(RECEIVED, C_ALONE),
        rounds.compared(SYNAPSE, LOOP),
        rounds.compared(MAP, LOADS),
        rounds.compared(WRITE, LOADS),
    ]


def by_subscribers(redis_url: str) -> Mapping[str, Sequence[Compared]]:
    return {str(number): _column(redis_url, messages(MESSAGES // number), number) for number in SUBSCRIBERS}


def by_size(redis_url: str) -> Mapping[str, Sequence[Compared]]:
    of_each = {label: min(MESSAGES, MOST_BYTES // max(size, 300)) for label, size in SIZES.items()}
    return {label: _column(redis_url, messages(of_each[label], size), 1) for label, size in SIZES.items()}


def _column(redis_url: str, sent: Sent, subscribers: int) -> list[Compared]:
    candidates: dict[str, Rate] = {
        ASYNC_LOOP: partial(_by_async_loops, redis_url, sent, subscribers),
        MAPPED: partial(_by_subscriptions, redis_url, sent, _map, subscribers),
    }
    return [Rounds(GROWTH_ROUNDS, candidates).compared(MAPPED, ASYNC_LOOP)]


def _map(channel: str, wire: bytes) -> NotificationDto:
    return read(channel, wire, NOW)


def _publish(redis_url: str, sent: Sent) -> None:
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        for start in range(0, len(sent), 1000):
            pipeline = client.pipeline(transaction=False)
            for channel, wire in sent[start : start + 1000]:
                pipeline.publish(channel, wire)
            pipeline.execute()


def _each(sent: Sent, take: Take) -> float:
    began = time.perf_counter()
    for channel, wire in sent:
        take(channel, wire)
    return len(sent) / (time.perf_counter() - began)


def _by_loop(redis_url: str, sent: Sent) -> float:
    with redis.Redis.from_url(redis_url, protocol=2) as client, client.pubsub() as pubsub:
        pubsub.psubscribe(PATTERN)
        pubsub.get_message(timeout=1)
        _publish(redis_url, sent)
        began = time.perf_counter()
        for _, message in zip(sent, pubsub.listen(), strict=False):
            json.loads(message["data"])
        return len(sent) / (time.perf_counter() - began)


def _by_hiredis(redis_url: str, sent: Sent, take: Callable[[bytes], object]) -> float:
    address = urlsplit(redis_url)
    with socket.create_connection((str(address.hostname), address.port or 6379)) as connection:
        reader = hiredis.Reader(notEnoughData=None)
        connection.sendall(f"PSUBSCRIBE {PATTERN}\r\n".encode())
        connection.recv(1000)
        _publish(redis_url, sent)
        began, left = time.perf_counter(), len(sent)
        while left:
            reader.feed(connection.recv(1 << 16))
            while message := reader.gets():
                take(message[3])
                left -= 1
        return len(sent) / (time.perf_counter() - began)


def _by_async_loops(redis_url: str, sent: Sent, subscribers: int) -> float:
    async def receive(pubsub: Any) -> None:
        left = len(sent)
        async for message in pubsub.listen():
            json.loads(message["data"])
            left -= 1
            if not left:
                return

    async def measure() -> float:
        async with redis.asyncio.Redis.from_url(redis_url, protocol=2, max_connections=1000) as client:
            listening = [client.pubsub() for _ in range(subscribers)]
            for pubsub in listening:
                await pubsub.psubscribe(PATTERN)
                await pubsub.get_message(timeout=1)
            _publish(redis_url, sent)
            began = time.perf_counter()
            await asyncio.gather(*map(receive, listening))
            took = time.perf_counter() - began
            for pubsub in listening:
                await pubsub.aclose()  # type: ignore[no-untyped-call]
            return subscribers * len(sent) / took

    return asyncio.run(measure())


def _by_subscriptions(redis_url: str, sent: Sent, take: Take, subscribers: int) -> float:
    async def receive(subscription: Subscription) -> None:
        left = len(sent)
        async for channel, wire in subscription:
            take(channel, wire)
            left -= 1
            if not left:
                return

    async def measure() -> float:
        async with open_bus(redis_url) as bus:
            listening = [await bus.subscribe(PATTERN) for _ in range(subscribers)]
            _publish(redis_url, sent)
            began = time.perf_counter()
            await asyncio.gather(*map(receive, listening))
            took = time.perf_counter() - began
            for subscription in listening:
                await subscription.close()
            return subscribers * len(sent) / took

    return asyncio.run(measure())


class _Counting(SqliteStore):
    """Tells when all is stored; the last broadcast is a few rounds of the loop later."""

    def __init__(self, number: int, done: asyncio.Event) -> None:
        super().__init__()
        self._left = number
        self._done = done

    def save(self, dto: NotificationDto, now: Instant) -> NotificationDto:
        self._left -= 1
        if not self._left:
            self._done.set()
        return super().save(dto, now)


def _by_synapse(redis_url: str, sent: Sent) -> float:
    async def measure() -> float:
        async with open_bus(redis_url) as bus:
            stored = asyncio.Event()
            store = _Counting(len(sent), stored)
            connect = partial(bus.subscribe, PATTERN)
            async with Synapse(Settings(), connect, WallClock(), seed=1, store=store) as synapse:
                _publish(redis_url, sent)
                began = time.perf_counter()
                await stored.wait()
                await synapse.container.idle()
                took = time.perf_counter() - began
            store.close()
            return len(sent) / took

    return asyncio.run(measure())
