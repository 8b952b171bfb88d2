"""Redis as the seats see it, embedded or by URL, and the tap that records what really passed over it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import weakref
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, MutableSet, Sequence
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.client import PubSub
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from harness.errors import HarnessError, UsageError
from harness.history import LEFT_ALONE, Recorder, encode, ids_of
from harness.pipeline import Pipeline

HITL_CHANNEL = "hitl:channel:"
PATTERNS = ("workbench:*", f"{HITL_CHANNEL}*")
CONNECT_SECONDS = 2.0
DELIVERY_SECONDS = 2.0
RECONNECT_SECONDS = 0.2
CLIENT_NAME = "aura-harness"
MOST_CONNECTIONS = 10_000
"""Every subscription has one of its own, and redis-py allows a hundred by itself."""

CUT, LOST, RESTORED, FAILED = "cut", "lost", "restored", "failed"
"""What a seat's connection can do; `failed` is of a command alone."""
EMPTIED = "emptied"
"""What happens to Redis itself when it goes away: every key is gone with it."""
OUTAGE = "outage"
EMBEDDED = ", or leave it out for the embedded one"
_OVERRUNS = "client_output_buffer_limit_disconnections"
_MESSAGES = (b"message", b"pmessage")
GONE = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError)

Publish = Callable[[str, bytes], Awaitable[int]]
"""Publishes bytes on a channel; answers how many subscribers received them."""


class Subscription:
    """A confirmed subscription, to patterns or to exact channels: it exists in Redis before anybody holds one.

    Iterating gives channel and bytes of each message, and raises ConnectionError when the connection is lost.
    """

    def __init__(
        self,
        pubsub: PubSub,
        names: tuple[str, ...],
        *,
        exact: bool = False,
        ours: Callable[[str, bytes], bool] = lambda channel, wire: True,
        on_lost: Callable[[], None] | None = None,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        """What is not `ours` is passed over."""
        self._pubsub = pubsub
        self._names = names
        self._ours = ours
        self._exact = exact
        self._on_lost = on_lost
        self._on_closed = on_closed
        self._received: asyncio.Queue[tuple[str, bytes] | ConnectionError] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None

    async def confirm(self) -> None:
        await (self._pubsub.subscribe if self._exact else self._pubsub.psubscribe)(*self._names)
        for _ in self._names:
            await self._pubsub.parse_response(block=True, timeout=CONNECT_SECONDS)
        self._reader = asyncio.create_task(self._read(), name=f"redis {' '.join(self._names)}")

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        while True:
            received = await self._received.get()
            if isinstance(received, ConnectionError):
                raise received
            yield received

    async def cut(self) -> None:
        """Take the connection away, as a broken network would: what is published from now on is lost."""
        await self._disconnect()
        self._lose("it was cut")

    async def close(self) -> None:
        if self._on_closed is not None:
            self._on_closed()
        await self._disconnect()

    async def _disconnect(self) -> None:
        if self._reader is not None:
            await _end(self._reader)
        # fakeredis goes on counting a subscriber that only closed its connection.
        with contextlib.suppress(RedisError, OSError):
            await (self._pubsub.unsubscribe if self._exact else self._pubsub.punsubscribe)()
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _read(self) -> None:
        """Straight from the connection: redis-py's own loop makes another of every lost one before it tells, and
        several objects of every message."""
        connection = self._pubsub.connection
        assert connection is not None
        connection.socket_timeout = None
        try:
            while True:
                answer = await connection.read_response(disconnect_on_error=False, push_request=True)
                if answer and answer[0] in _MESSAGES:
                    channel, wire = answer[-2].decode(errors="replace"), answer[-1]
                    if self._ours(channel, wire):
                        self._received.put_nowait((channel, wire))
        except (RedisError, OSError) as error:
            self._lose(str(error))

    def _lose(self, why: str) -> None:
        self._received.put_nowait(ConnectionError(f"the subscription to {' '.join(self._names)} is lost: {why}"))
        if self._on_lost is not None:
            self._on_lost()


class Stream:
    """A confirmed subscription to patterns, read straight from its connection and by one reader: for who sees all of
    a busy Redis. What is not read waits in the connection, and Redis ends a connection where too much waits.
    """

    def __init__(self, pubsub: PubSub, patterns: tuple[str, ...]) -> None:
        self._pubsub = pubsub
        self._patterns = patterns

    async def confirm(self) -> None:
        """Raises what a lost connection raises."""
        await self._pubsub.psubscribe(*self._patterns)
        for _ in self._patterns:
            if await self._pubsub.parse_response(block=False, timeout=CONNECT_SECONDS) is None:
                raise ConnectionError(f"no subscription was confirmed in {CONNECT_SECONDS:g} s")

    async def read(self) -> tuple[bytes, bytes] | None:
        """Channel and bytes of the next message, or None for an answer to `ping`; does not give way while there is
        one. Raises what a lost connection raises."""
        connection = self._pubsub.connection
        if connection is None:
            raise ConnectionError("the connection is closed")
        answer = await connection.read_response(timeout=math.inf, disconnect_on_error=False, push_request=True)
        return (answer[2], answer[3]) if answer[0] == b"pmessage" else None

    async def ping(self) -> None:
        """Make Redis say something, or a lost connection be noticed."""
        await self._pubsub.ping()

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._pubsub.punsubscribe()
        await self._pubsub.aclose()  # type: ignore[no-untyped-call]


class Link:
    """One seat's way to Redis, which a run can cut and restore.

    While it is cut, subscribing waits, and everything else raises ConnectionError. `on_change` is told `cut` at once,
    `lost` when a connection is found to be gone that nobody cut here, and `restored`; `failed` is a command that did
    not reach Redis although the subscriptions live, for they have connections of their own.
    """

    def __init__(self, bus: Bus, seat: str, on_change: Callable[[str], None] = lambda what: None) -> None:
        self._bus = bus
        self._seat = seat
        self._on_change = on_change
        self._told = RESTORED
        self._barred: set[str] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._held: dict[Subscription, tuple[str, ...]] = {}
        self._dropped = asyncio.Event()
        self._missing: Counter[tuple[str, ...]] = Counter()
        self._unclosed: set[Subscription] = set()
        self._replaced: Counter[tuple[str, ...]] = Counter()
        self._whole = asyncio.Event()

    async def publish(self, channel: str, wire: bytes) -> int:
        with self._noticing():
            return await self._bus.publisher(self._seat)(channel, wire)

    async def store(self, key: str, text: str, seconds: int) -> None:
        """Keep it for that long, at most until the run ends."""
        with self._noticing():
            await self._bus.store(key, text, seconds)

    async def fetch(self, key: str) -> str | None:
        with self._noticing():
            return await self._bus.fetch(key)

    async def expires_in(self, key: str) -> int | None:
        """Seconds; None for a key that is not there, or stays."""
        with self._noticing():
            return await self._bus.expires_in(key)

    async def subscribe(self, *patterns: str) -> Subscription:
        """Waits for as long as the link is cut. Whoever loses this subscription is expected to subscribe again."""
        return await self._subscribe(patterns, exact=False)

    async def listen(self, channel: str) -> Subscription:
        """A subscription to exactly this channel, for a while: once it is closed, nobody misses it."""
        return await self._subscribe((channel,), exact=True)

    async def cut(self, why: str = CUT) -> None:
        """Returns when Redis does not deliver to this seat any more. What was cut for two reasons is cut until both are
        over."""
        self._barred.add(why)
        self._open.clear()
        for subscription in tuple(self._held):
            await subscription.cut()
        self._tell(CUT)

    async def lost(self) -> None:
        """Returns when the seat has noticed that every subscription it holds is gone."""
        while self._held:
            self._dropped.clear()
            await self._dropped.wait()

    @property
    def listens(self) -> bool:
        """Whether the seat holds every subscription that it wants, one at least."""
        return bool(self._held) and not self._missing.total()

    async def restore(self, why: str = CUT) -> None:
        """Returns when the seat has subscribed again; at once where it cannot, being cut for another reason, or Redis
        gone."""
        self._barred.discard(why)
        if self._barred:
            return
        self._open.set()
        if self._bus.is_down:
            return
        if self._missing.total():
            await self._whole.wait()
        self._tell(RESTORED)

    async def _subscribe(self, names: tuple[str, ...], *, exact: bool) -> Subscription:
        await self._open.wait()
        subscription: Subscription

        def lost() -> None:
            if self._held.pop(subscription, None) is not None:
                self._missing[names] += 1
                self._unclosed.add(subscription)
                self._whole.clear()
                self._dropped.set()
                self._tell(LOST if self._open.is_set() else CUT)

        def closed() -> None:
            self._held.pop(subscription, None)
            self._dropped.set()
            if exact and subscription in self._unclosed:
                self._given_up(names)
            self._unclosed.discard(subscription)

        subscription = await self._bus.subscribe(*names, exact=exact, on_lost=lost, on_closed=closed)
        self._held[subscription] = names
        if self._missing[names]:
            self._found(names)
            self._replaced[names] += exact
        if not self._missing.total():
            self._tell(RESTORED)
        return subscription

    def _given_up(self, names: tuple[str, ...]) -> None:
        """A lost one is closed: by who has another now, or by who wants none any more."""
        if self._replaced[names]:
            self._replaced[names] -= 1
        elif self._missing[names]:
            self._found(names)

    def _found(self, names: tuple[str, ...]) -> None:
        self._missing[names] -= 1
        if not self._missing.total():
            self._whole.set()

    def _tell(self, what: str) -> None:
        if (what == RESTORED) != (self._told == RESTORED):
            self._told = what
            self._on_change(what)

    @contextlib.contextmanager
    def _noticing(self) -> Iterator[None]:
        """Whoever sends something finds out whether there is a connection."""
        if not self._open.is_set():
            raise ConnectionError(f"the connection of {self._seat} to {self._bus.description} was cut")
        try:
            yield
        except GONE:
            if self._held:
                self._on_change(FAILED)
            else:
                self._tell(LOST if self._open.is_set() else CUT)
            raise
        if self._open.is_set() and not self._missing.total():
            self._tell(RESTORED)


class Bus:
    """One Redis. Publishing through it returns only when the tap has seen the message.

    So in one process the order of a history is the order in which things happened, and each message is known to
    come from the seat that published it.
    """

    def __init__(
        self, client: redis.asyncio.Redis, description: str, tap_client: redis.asyncio.Redis | None = None
    ) -> None:
        """`tap_client`: for a tap whose connection is not to be taken for a seat's."""
        self.description = description
        self.gaps = 0
        """How often the tap was lost and put back by `keep_tapped`."""
        self._redis = client
        self._pipeline = Pipeline(client)
        self._tap_client = tap_client or client
        self._tap: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._recorder: Recorder | None = None
        self._ours: Callable[[bytes], bool] | None = None
        self._sent: set[tuple[str, bytes]] = set()
        """What was published through this bus and is not `ours` by itself."""
        self._before: Callable[[], None] = lambda: None
        self.foreign = 0
        """How many messages of others the tap has left alone."""
        self._announced: dict[tuple[str, bytes], deque[tuple[str, float, asyncio.Future[None]]]] = {}
        self._stored: set[str] = set()
        self.is_down = False
        """Whether the run has taken this Redis away."""
        self._refuses = False

    def publisher(self, seat: str) -> Publish:
        """How `seat` publishes: what passes through it is recorded as that seat's."""

        async def publish(channel: str, wire: bytes) -> int:
            return await self._publish(seat, channel, wire)

        return publish

    async def subscribe(
        self,
        *names: str,
        exact: bool = False,
        on_lost: Callable[[], None] | None = None,
        on_closed: Callable[[], None] | None = None,
    ) -> Subscription:
        """To patterns, or to channels that are named exactly. What is left alone does not come."""
        self._must_serve()
        return await self._subscribe(*names, exact=exact, ours=self._is_ours, on_lost=on_lost, on_closed=on_closed)

    async def _subscribe(
        self,
        *names: str,
        exact: bool = False,
        ours: Callable[[str, bytes], bool] = lambda channel, wire: True,
        on_lost: Callable[[], None] | None = None,
        on_closed: Callable[[], None] | None = None,
        client: redis.asyncio.Redis | None = None,
    ) -> Subscription:
        pubsub = (client or self._redis).pubsub()
        subscription = Subscription(pubsub, names, exact=exact, ours=ours, on_lost=on_lost, on_closed=on_closed)
        await subscription.confirm()
        return subscription

    async def others_connected(self) -> bool:
        """Whether anybody but the run has a connection to this Redis."""
        clients: Any = await self._redis.client_list()
        return any(client["name"] != CLIENT_NAME for client in clients)

    async def listeners(self, channel: str) -> int:
        """How many listen on exactly this channel."""
        ((_, count),) = await self._redis.pubsub_numsub(channel)
        return int(count)

    async def stream(self, *patterns: str) -> Stream:
        """Raises what a lost connection raises."""
        stream = Stream(self._redis.pubsub(), patterns)
        try:
            await stream.confirm()
        except BaseException:
            await stream.close()
            raise
        return stream

    async def overruns(self) -> int | None:
        """How many connections this Redis has ended because too much waited in them; None where it does not say."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                told: Any = await self._redis.info("stats")
            return int(told[_OVERRUNS]) if _OVERRUNS in told else None
        return None

    async def others(self) -> frozenset[int]:
        """The connections that listen on patterns and are not a run's, by the number that Redis gives them."""
        clients: Any = await self._redis.client_list()
        listening = (client for client in clients if client["psub"] != "0" and client["name"] != CLIENT_NAME)
        return frozenset(int(client["id"]) for client in listening)

    async def publish_at_once(
        self, seat: str, messages: Sequence[tuple[str, bytes]], *, ending: Iterable[int] = ()
    ) -> None:
        """Channels and bytes, in one transaction; `ending` first ends connections, which so cannot have them, for
        nobody is back in between."""
        async with self._redis.pipeline(transaction=True) as together:
            for connection in ending:
                together.client_kill_filter(_id=str(connection))
            for channel, wire in messages:
                together.publish(channel, wire)
            async with contextlib.AsyncExitStack() as announced:
                for channel, wire in messages:
                    await announced.enter_async_context(self._announced_to_tap(seat, channel, wire))
                await together.execute()

    async def store(self, key: str, text: str, seconds: int) -> None:
        """What is stored through a bus is deleted when it is closed."""
        self._stored.add(key)
        await self._redis.set(key, text, ex=seconds)

    async def fetch(self, key: str) -> str | None:
        found: Any = await self._redis.get(key)
        return None if found is None else bytes(found).decode(errors="replace")

    async def keys(self, pattern: str) -> list[str]:
        return [key.decode(errors="replace") async for key in self._redis.scan_iter(match=pattern)]

    async def expires_in(self, key: str) -> int | None:
        seconds = int(await self._redis.ttl(key))
        return None if seconds < 0 else seconds

    async def delete(self, key: str) -> None:
        self._must_serve()
        await self._redis.delete(key)

    def leave_alone(self, ours: Callable[[bytes], bool], before: Callable[[], None] = lambda: None) -> None:
        """Of what is not published through this bus, record only what is `ours`, and give its subscribers nothing else:
        a simulated seat that took what the tap leaves alone would be judged by messages that no history has. `before`
        is called before each message on a workbench channel is recorded."""
        self._ours, self._before = ours, before

    def tell_foreign(self, recorder: Recorder) -> None:
        """At the end of a run, how many messages of others were left alone, where any would have been."""
        if self._ours is not None:
            recorder.record("step", {"do": LEFT_ALONE, "messages": self.foreign})

    async def tap(self, recorder: Recorder) -> None:
        """Record every message on the channels of the agreement from now on."""
        self._recorder = recorder
        self._tap = await self._subscribe(*PATTERNS, client=self._tap_client)
        self._task = asyncio.create_task(self._listen(self._tap, recorder), name="redis tap")

    async def keep_tapped(self) -> None:
        """Put the tap back whenever its connection is lost, until cancelled; what passed meanwhile is not recorded."""
        while True:
            task, recorder = self._task, self._recorder
            if task is None or recorder is None or self.is_down:
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            await asyncio.wait({task})
            if self.is_down:
                continue
            if self._tap is not None:
                lost, self._tap = self._tap, None
                task.exception()  # that its connection is lost
                self.gaps += 1
                await lost.close()
            try:
                await self.tap(recorder)
            except (RedisError, OSError):
                await asyncio.sleep(RECONNECT_SECONDS)

    async def answers(self) -> bool:
        """Whether Redis can be reached now."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return False
        return True

    async def down(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Let `stop` end the server. The tap goes with it and misses nothing, for nobody can publish until `up`."""
        self.is_down = True
        await stop()
        self._emptied()
        task, tap, self._task, self._tap = self._task, self._tap, None, None
        if task is not None and tap is not None:
            await asyncio.wait([task])
            task.exception()  # that its connection is lost
            await tap.close()

    async def up(self, start: Callable[[], Awaitable[None]]) -> None:
        """Let `start` begin the server again. The tap is the first that it serves, and then the seats are."""
        self._refuses = True
        try:
            await start()
            if self._recorder is not None:
                await self.tap(self._recorder)
        finally:
            self._refuses = self.is_down = False

    async def vanish(self) -> None:
        """As `down`, for an embedded one, which cannot end: what the run has stored is gone, and nobody is served until
        `reappear`. The tap may stay, for nothing passes."""
        self.is_down = self._refuses = True
        if self._stored:
            await self._redis.delete(*self._stored)
        self._emptied()

    def reappear(self) -> None:
        self.is_down = self._refuses = False

    @property
    def tapped(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def missed(self) -> bool:
        """Whether the tap was cut off: then the history has a gap that is nobody's fault."""
        return bool(self.gaps or (self._task is not None and self._task.done() and self._task.exception()))

    async def lost(self) -> None:
        """Raises HarnessError once the tap, which has to be there, has missed something."""
        assert self._task is not None
        await asyncio.wait({self._task})
        self.must_have_listened()

    def must_have_listened(self) -> None:
        """Raises HarnessError when the tap has missed something."""
        if self.missed:
            raise HarnessError(f"the connection to {self.description} was lost during the run; its history has a gap")

    async def close(self) -> None:
        if self._task is not None:
            await _end(self._task)
        if self._tap is not None:
            await self._tap.close()
        if self._stored:
            with contextlib.suppress(RedisError, OSError):  # a server that is gone has nothing to be deleted
                await self._redis.delete(*self._stored)
        await self._pipeline.close()
        await self._redis.aclose()
        await self._tap_client.aclose()

    def _must_serve(self) -> None:
        if self._refuses:
            raise ConnectionError(f"{self.description} is not up")

    def _emptied(self) -> None:
        self._stored.clear()
        if self._recorder is not None:
            self._recorder.record("fault", {"do": EMPTIED}, seat="redis")

    def _is_ours(self, channel: str, wire: bytes) -> bool:
        return self._ours is None or self._ours(wire) or (channel, wire) in self._sent

    async def _publish(self, seat: str, channel: str, wire: bytes) -> int:
        self._must_serve()
        async with self._announced_to_tap(seat, channel, wire):
            return await self._pipeline.publish(channel, wire)

    @contextlib.asynccontextmanager
    async def _announced_to_tap(self, seat: str, channel: str, wire: bytes) -> AsyncIterator[None]:
        """Left when the tap has seen what was published within."""
        if self._ours is not None and not self._ours(wire):
            self._sent.add((channel, wire))
        recorder = self._recorder
        if recorder is None or self._task is None or self._task.done() or not channel.startswith(_PREFIXES):
            yield
            return
        seen = asyncio.get_running_loop().create_future()
        waiting = self._announced.setdefault((channel, wire), deque())
        announced = (seat, recorder.elapsed(), seen)
        waiting.append(announced)
        try:
            yield
            async with asyncio.timeout(DELIVERY_SECONDS):
                await seen
        except TimeoutError as error:
            raise HarnessError(
                f"{self.description} did not deliver a message on {channel} to the tap within {DELIVERY_SECONDS:g} s; "
                "the history would not be complete"
            ) from error
        finally:
            if announced in waiting:
                waiting.remove(announced)
            # Where it is another by now, somebody has announced the same message anew.
            if not waiting and self._announced.get((channel, wire)) is waiting:
                del self._announced[(channel, wire)]

    async def _listen(self, subscription: Subscription, recorder: Recorder) -> None:
        async for channel, wire in subscription:  # ends with a ConnectionError, which `must_have_listened` tells
            waiting = self._announced.get((channel, wire))
            seat, began, seen = waiting.popleft() if waiting else (None, recorder.elapsed(), None)
            if seat is None and not self._is_ours(channel, wire):
                self.foreign += 1
                continue
            kind = "hitl_signal" if channel.startswith(HITL_CHANNEL) else "published"
            if kind == "published":
                self._before()
            data = {"channel": channel, "wire": encode(wire), "began": began}
            recorder.record(kind, data, seat=seat, about=_about(channel, wire))
            if seen is not None and not seen.done():
                seen.set_result(None)


def stop_if_cancelled() -> None:
    """For whoever asks Redis again and again: redis-py waits by `asyncio.wait_for`, which in Python 3.11 can swallow a
    cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _about(channel: str, wire: bytes) -> dict[str, object]:
    if not channel.startswith(HITL_CHANNEL):
        return ids_of(wire)
    return {"session": channel.removeprefix(HITL_CHANNEL), "request": _requested(wire)}


def _requested(wire: bytes) -> object:
    try:
        value = json.loads(wire)
    except (ValueError, RecursionError):
        return None
    return value.get("requestId") if isinstance(value, dict) else None


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel until it has ended: redis-py waits by `asyncio.wait_for`, which in Python 3.11 can swallow it once."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    if not task.cancelled():
        task.exception()  # whoever read from it has been told already


_PREFIXES = tuple(pattern.removesuffix("*") for pattern in PATTERNS)


@contextlib.asynccontextmanager
async def open_bus(url: str | None, name: str = CLIENT_NAME, *, instead: str = EMBEDDED) -> AsyncIterator[Bus]:
    """The Redis at `url`, where its connections have this name, the tap's always that of the harness; or an embedded
    one.

    Raises HarnessError within three seconds if it cannot be reached; `instead` is what else could be done then.
    """
    bus = _embedded() if url is None else await _connected(url, name, instead)
    try:
        yield bus
    finally:
        await bus.close()


class _InOrder(MutableSet[Any]):
    """A set of weak references that keeps the order in which they came."""

    def __init__(self) -> None:
        self._members: weakref.WeakKeyDictionary[Any, None] = weakref.WeakKeyDictionary()

    def add(self, value: Any) -> None:
        self._members[value] = None

    def discard(self, value: Any) -> None:
        self._members.pop(value, None)

    def __contains__(self, value: object) -> bool:
        return value in self._members

    def __iter__(self) -> Iterator[Any]:
        return iter(tuple(self._members))

    def __len__(self) -> int:
        return len(self._members)


def _embedded() -> Bus:
    import fakeredis

    server = fakeredis.FakeServer()
    # fakeredis keeps subscribers in sets, whose order differs between two runs with the same seed.
    server.subscribers = defaultdict(_InOrder)  # type: ignore[arg-type]
    server.psubscribers = defaultdict(_InOrder)  # type: ignore[arg-type]
    client = fakeredis.FakeAsyncRedis(server=server, max_connections=MOST_CONNECTIONS)
    return Bus(client, f"embedded (fakeredis {fakeredis.__version__})")


async def _connected(url: str, name: str, instead: str) -> Bus:
    shown = without_password(url)
    options: dict[str, Any] = {
        "protocol": 2,
        "max_connections": MOST_CONNECTIONS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    try:
        client = redis.asyncio.Redis.from_url(url, client_name=name, **options)
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
            f"HARNESS_REDIS_URL){instead}"
        ) from error
    own_tap = None if name == CLIENT_NAME else redis.asyncio.Redis.from_url(url, client_name=CLIENT_NAME, **options)
    return Bus(client, f"{shown} (Redis {info.get('redis_version', 'of unknown version')})", own_tap)


def without_password(url: str) -> str:
    """Works on text that is no URL, too: what is shown in an error must hide the password all the same."""
    hidden = re.sub(r"(://[^:/?#]*):[^/?#]*@", r"\1:***@", url)
    return re.sub(r"([?&]password=)[^&#]*", r"\1***", hidden)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    return str(error).rstrip(".") or type(error).__name__
