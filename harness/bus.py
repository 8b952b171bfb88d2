"""Redis as the seats see it, embedded or by URL, and the tap that records what really passed over it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import redis.asyncio
from redis.asyncio.client import PubSub
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from harness.errors import HarnessError, UsageError
from harness.history import Recorder, encode, ids_of

PATTERNS = ("workbench:*", "hitl:channel:*")
CONNECT_SECONDS = 2.0
DELIVERY_SECONDS = 2.0

Publish = Callable[[str, bytes], Awaitable[int]]
"""Publishes bytes on a channel; answers how many subscribers received them."""


class Subscription:
    """A confirmed pattern subscription: it exists in Redis before anybody holds one.

    Iterating gives channel and bytes of each message, and raises ConnectionError when the connection is lost.
    """

    def __init__(self, pubsub: PubSub, patterns: tuple[str, ...], on_lost: Callable[[], None] | None = None) -> None:
        self._pubsub = pubsub
        self._patterns = patterns
        self._on_lost = on_lost
        self._received: asyncio.Queue[tuple[str, bytes] | ConnectionError] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None

    async def confirm(self) -> None:
        await self._pubsub.psubscribe(*self._patterns)
        for _ in self._patterns:
            await self._pubsub.parse_response(block=True, timeout=CONNECT_SECONDS)
        self._reader = asyncio.create_task(self._read(), name=f"redis {' '.join(self._patterns)}")

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        while True:
            received = await self._received.get()
            if isinstance(received, ConnectionError):
                raise received
            yield received

    async def cut(self) -> None:
        """Take the connection away, as a broken network would: what is published from now on is lost."""
        await self.close()
        self._lose("it was cut")

    async def close(self) -> None:
        if self._reader is not None:
            await _end(self._reader)
        # fakeredis goes on counting a subscriber that only closed its connection.
        with contextlib.suppress(RedisError, OSError):
            await self._pubsub.punsubscribe()
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _read(self) -> None:
        try:
            async for message in self._pubsub.listen():
                if message["type"] == "pmessage":
                    self._received.put_nowait((message["channel"].decode(errors="replace"), message["data"]))
        except (RedisError, OSError) as error:
            self._lose(str(error))

    def _lose(self, why: str) -> None:
        self._received.put_nowait(ConnectionError(f"the subscription to {' '.join(self._patterns)} is lost: {why}"))
        if self._on_lost is not None:
            self._on_lost()


class Link:
    """One seat's way to Redis, which a run can cut and restore. Losing it otherwise is told in the same way."""

    def __init__(self, bus: Bus, seat: str, on_change: Callable[[str], None]) -> None:
        self._bus = bus
        self._on_change = on_change
        self._open = asyncio.Event()
        self._open.set()
        self._subscribed = asyncio.Event()
        self._current: Subscription | None = None
        self.publish = bus.publisher(seat)

    async def subscribe(self, *patterns: str) -> Subscription:
        """Waits for as long as the link is cut."""
        await self._open.wait()
        again = self._current is not None
        self._current = await self._bus.subscribe(*patterns, on_lost=self._lost)
        self._subscribed.set()
        if again:
            self._on_change("restored")
        return self._current

    async def cut(self) -> None:
        """Returns when Redis does not deliver to this seat any more."""
        self._open.clear()
        if self._current is not None:
            await self._current.cut()

    async def restore(self) -> None:
        """Returns when the seat has subscribed again."""
        self._open.set()
        await self._subscribed.wait()

    def _lost(self) -> None:
        self._subscribed.clear()
        self._on_change("cut")


class Bus:
    """One Redis. Publishing through it returns only when the tap has seen the message.

    So in one process the order of a history is the order in which things happened, and each message is known to
    come from the seat that published it.
    """

    def __init__(self, client: redis.asyncio.Redis, description: str) -> None:
        self._redis = client
        self.description = description
        self._tap: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._recorder: Recorder | None = None
        self._announced: dict[tuple[str, bytes], deque[tuple[str, float, asyncio.Future[None]]]] = {}

    def publisher(self, seat: str) -> Publish:
        """How `seat` publishes: what passes through it is recorded as that seat's."""

        async def publish(channel: str, wire: bytes) -> int:
            return await self._publish(seat, channel, wire)

        return publish

    async def subscribe(self, *patterns: str, on_lost: Callable[[], None] | None = None) -> Subscription:
        subscription = Subscription(self._redis.pubsub(), patterns, on_lost)
        await subscription.confirm()
        return subscription

    async def tap(self, recorder: Recorder) -> None:
        """Record every message on the channels of the agreement from now on."""
        self._recorder = recorder
        self._tap = await self.subscribe(*PATTERNS)
        self._task = asyncio.create_task(self._listen(self._tap, recorder), name="redis tap")

    def must_have_listened(self) -> None:
        """Raises HarnessError when the tap was cut off: then the history has a gap that is nobody's fault."""
        if self._task is not None and self._task.done() and self._task.exception():
            raise HarnessError(f"the connection to {self.description} was lost during the run; its history has a gap")

    async def close(self) -> None:
        if self._task is not None:
            await _end(self._task)
        if self._tap is not None:
            await self._tap.close()
        await self._redis.aclose()

    async def _publish(self, seat: str, channel: str, wire: bytes) -> int:
        recorder = self._recorder
        if recorder is None or self._task is None or self._task.done() or not channel.startswith(_PREFIXES):
            return int(await self._redis.publish(channel, wire))
        seen = asyncio.get_running_loop().create_future()
        waiting = self._announced.setdefault((channel, wire), deque())
        announced = (seat, recorder.elapsed(), seen)
        waiting.append(announced)
        try:
            receivers = int(await self._redis.publish(channel, wire))
            async with asyncio.timeout(DELIVERY_SECONDS):
                await seen
            return receivers
        except TimeoutError as error:
            raise HarnessError(
                f"{self.description} did not deliver a message on {channel} to the tap within {DELIVERY_SECONDS:g} s; "
                "the history would not be complete"
            ) from error
        finally:
            if announced in waiting:
                waiting.remove(announced)
            if not waiting:
                self._announced.pop((channel, wire), None)

    async def _listen(self, subscription: Subscription, recorder: Recorder) -> None:
        async for channel, wire in subscription:  # ends with a ConnectionError, which `must_have_listened` tells
            waiting = self._announced.get((channel, wire))
            seat, began, seen = waiting.popleft() if waiting else (None, recorder.elapsed(), None)
            data = {"channel": channel, "wire": encode(wire), "began": began}
            recorder.record("published", data, seat=seat, about=ids_of(wire))
            if seen is not None and not seen.done():
                seen.set_result(None)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel until it has ended: redis-py waits by `asyncio.wait_for`, which in Python 3.11 can swallow it once."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    if not task.cancelled():
        task.exception()  # whoever read from it has been told already


_PREFIXES = tuple(pattern.removesuffix("*") for pattern in PATTERNS)


@contextlib.asynccontextmanager
async def open_bus(url: str | None) -> AsyncIterator[Bus]:
    """The Redis at `url`, or an embedded one. Raises HarnessError within three seconds if it cannot be reached."""
    bus = _embedded() if url is None else await _connected(url)
    try:
        yield bus
    finally:
        await bus.close()


def _embedded() -> Bus:
    import fakeredis

    server = fakeredis.FakeServer()
    return Bus(fakeredis.FakeAsyncRedis(server=server), f"embedded (fakeredis {fakeredis.__version__})")


async def _connected(url: str) -> Bus:
    shown = without_password(url)
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    try:
        client = redis.asyncio.Redis.from_url(url, **options)
    except ValueError as error:
        raise UsageError(
            f"--redis {shown}: {error}; give redis://, rediss:// or unix:// (also HARNESS_REDIS_URL)"
        ) from error
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            info = await client.info("server")
    except (RedisError, OSError, TimeoutError) as error:
        await client.aclose()
        raise HarnessError(
            f"--redis {shown}: cannot be reached ({_reason(error)}); start it, correct the URL (also "
            "HARNESS_REDIS_URL), or leave it out for the embedded one"
        ) from error
    return Bus(client, f"{shown} (Redis {info.get('redis_version', 'of unknown version')})")


def without_password(url: str) -> str:
    """Works on text that is no URL, too: what is shown in an error must hide the password all the same."""
    hidden = re.sub(r"(://[^:/?#]*):[^/?#]*@", r"\1:***@", url)
    return re.sub(r"([?&]password=)[^&#]*", r"\1***", hidden)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    return str(error).rstrip(".") or type(error).__name__
