"""Messages are handled concurrently, a bad one harms no other, and a lost connection loses only the gap."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
import redis

from harness.bus import Bus, open_bus
from harness.synapse.container import LOST, Dispatcher, ListenerContainer, Subscription
from harness.virtual import run
from synapse.feeds import ALERT, Feed, always

KOREAN = "조치 승인됨 👍".encode()


class Heard:
    """A listener that keeps what it hears, and fails for `poison`."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self._news = asyncio.Event()

    async def __call__(self, channel: str, wire: bytes) -> None:
        if wire == b"poison":
            raise ValueError("unreadable")
        self.messages.append(wire)
        self._news.set()

    async def until(self, wire: bytes) -> None:
        while wire not in self.messages:
            self._news.clear()
            await self._news.wait()


def order_of(count: int, seed: int) -> list[int]:
    async def scene() -> list[int]:
        heard = Heard()
        feed = Feed(*(b"%d" % number for number in range(count)))
        container = ListenerContainer(always(feed), heard, Dispatcher(seed))
        await container.start()
        await feed.drained()
        await container.stop()
        return [int(wire) for wire in heard.messages]

    return run(scene())


def test_a_burst_is_not_handled_in_its_order() -> None:
    order = order_of(50, seed=1)
    assert order != sorted(order)
    assert sorted(order) == list(range(50))


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    assert order_of(50, seed=1) == order_of(50, seed=1)
    assert order_of(50, seed=1) != order_of(50, seed=2)


def test_dispatching_takes_no_time_on_the_clock_of_the_loop() -> None:
    async def scene() -> float:
        dispatcher = Dispatcher(1)
        for _ in range(100):
            dispatcher.dispatch(dispatcher.give_way)
        await dispatcher.idle()
        return asyncio.get_running_loop().time()

    assert run(scene()) == 0.0


def test_a_poisoned_message_is_kept_and_those_beside_it_are_handled(caplog: pytest.LogCaptureFixture) -> None:
    failed: list[tuple[str, bytes, str]] = []

    async def scene() -> tuple[list[bytes], int]:
        heard = Heard()
        feed = Feed(b"before", b"poison", KOREAN)

        def on_failure(channel: str, wire: bytes, error: Exception) -> None:
            failed.append((channel, wire, str(error)))

        container = ListenerContainer(always(feed), heard, Dispatcher(1), on_failure)
        await container.start()
        await heard.until(b"before")
        await heard.until(KOREAN)
        await container.idle()
        feed.feed(b"after")
        await heard.until(b"after")
        await container.stop()
        return heard.messages, container.failures

    with caplog.at_level(logging.WARNING, "harness.synapse"):
        messages, failures = run(scene())
    assert (sorted(messages), failures) == (sorted([b"before", KOREAN, b"after"]), 1)
    assert failed == [(ALERT, b"poison", "unreadable")]
    assert [(record.name, record.message) for record in caplog.records] == [
        ("harness.synapse", "Listener execution failed")
    ]


def test_stopping_handles_what_came_in_and_closes_the_subscription() -> None:
    async def scene() -> tuple[list[bytes], bool]:
        heard = Heard()
        feed = Feed(b"1", b"2")
        container = ListenerContainer(always(feed), heard, Dispatcher(4))
        await container.start()
        await feed.drained()
        await container.stop()
        feed.feed(b"3")
        await asyncio.sleep(1)
        return sorted(heard.messages), feed.closed

    assert run(scene()) == ([b"1", b"2"], True)


def test_it_starts_only_when_subscribed_and_tries_once() -> None:
    tries = 0

    async def refused() -> Subscription:
        nonlocal tries
        tries += 1
        raise ConnectionRefusedError("no Redis")

    async def scene() -> None:
        await ListenerContainer(refused, Heard(), Dispatcher(1)).start()

    with pytest.raises(ConnectionRefusedError):
        run(scene())
    assert tries == 1


@pytest.mark.parametrize("error", [ConnectionError("cut"), redis.ConnectionError("cut"), redis.TimeoutError("cut")])
def test_a_lost_connection_is_taken_up_again(error: Exception) -> None:
    assert isinstance(error, LOST)

    async def scene() -> tuple[list[bytes], list[bool]]:
        first, second = Feed(b"before", error, b"lost"), Feed(b"after")
        feeds = [first, second]
        heard = Heard()

        async def connect() -> Feed:
            return feeds.pop(0)

        container = ListenerContainer(connect, heard, Dispatcher(1))
        await container.start()
        await heard.until(b"after")
        closed = [first.closed, second.closed]
        await container.stop()
        return heard.messages, closed

    assert run(scene()) == ([b"before", b"after"], [True, False])


def test_it_waits_twice_as_long_before_each_new_try_up_to_half_a_minute() -> None:
    times: list[float] = []

    async def scene() -> None:
        heard = Heard()
        loop = asyncio.get_running_loop()

        async def connect() -> Feed:
            times.append(loop.time())
            if len(times) == 1:
                return Feed(ConnectionError("cut"))
            if len(times) < 20:
                raise redis.ConnectionError("still down")
            return Feed(b"back")

        container = ListenerContainer(connect, heard, Dispatcher(1))
        await container.start()
        await heard.until(b"back")
        await container.stop()

    run(scene())
    waits = [round(later - earlier, 6) for earlier, later in pairwise(times)]
    assert waits[:5] == [0.001, 0.002, 0.004, 0.008, 0.016]
    assert waits[14:] == [16.384, 30.0, 30.0, 30.0, 30.0]


def test_after_a_reconnect_the_waits_begin_anew() -> None:
    times: list[float] = []

    async def scene() -> None:
        heard = Heard()
        cuts = 3

        async def connect() -> Feed:
            times.append(asyncio.get_running_loop().time())
            return Feed(b"back") if len(times) > cuts else Feed(ConnectionError("cut"))

        container = ListenerContainer(connect, heard, Dispatcher(1))
        await container.start()
        await heard.until(b"back")
        await container.stop()

    run(scene())
    assert [round(time, 6) for time in times] == [0.0, 0.001, 0.002, 0.003]


def test_it_can_be_stopped_while_it_waits_to_reconnect() -> None:
    async def scene() -> list[bytes]:
        tried = asyncio.Event()
        heard = Heard()
        feeds = [Feed(ConnectionError("cut"))]

        async def connect() -> Feed:
            if not feeds:
                tried.set()
                raise ConnectionError("still down")
            return feeds.pop()

        container = ListenerContainer(connect, heard, Dispatcher(1))
        await container.start()
        await tried.wait()
        await container.stop()
        return heard.messages

    assert run(scene()) == []


def test_an_error_of_ours_is_not_taken_for_a_lost_connection() -> None:
    async def scene() -> None:
        container = ListenerContainer(always(Feed(KeyError("bug"))), Heard(), Dispatcher(1))
        await container.start()
        await asyncio.sleep(1)
        await container.stop()

    with pytest.raises(KeyError, match="bug"):
        run(scene())


# On Redis.


def on_redis(url: str | None, play: Callable[[Bus, Heard, ListenerContainer], Awaitable[None]]) -> list[bytes]:
    async def scene() -> list[bytes]:
        async with open_bus(url) as bus:
            heard = Heard()

            async def connect() -> Subscription:
                return await bus.subscribe("workbench:*")

            container = ListenerContainer(connect, heard, Dispatcher(1))
            await container.start()
            try:
                async with asyncio.timeout(10):
                    await play(bus, heard, container)
            finally:
                await container.stop()
            return heard.messages

    return asyncio.run(scene())


@pytest.mark.parametrize("channel", ["workbench:", "workbench:a:b", "workbench:한글"])
def test_every_channel_of_the_pattern_is_heard_and_no_other(redis_url: str | None, channel: str) -> None:
    async def play(bus: Bus, heard: Heard, container: ListenerContainer) -> None:
        publish = bus.publisher("aura")
        assert [await publish(other, b"not for it") for other in ("workbench", "Workbench:a")] == [0, 0]
        assert await publish(channel, KOREAN) == 1
        await heard.until(KOREAN)

    assert on_redis(redis_url, play) == [KOREAN]


def test_no_message_of_a_burst_is_lost(redis_url: str | None) -> None:
    async def play(bus: Bus, heard: Heard, container: ListenerContainer) -> None:
        publish = bus.publisher("aura")
        await asyncio.gather(*(publish(ALERT, b"%d" % number) for number in range(50)))
        for number in range(50):
            await heard.until(b"%d" % number)

    assert sorted(map(int, on_redis(redis_url, play))) == list(range(50))


def test_a_stopped_container_is_no_subscriber_any_more(redis_url: str | None) -> None:
    async def play(bus: Bus, heard: Heard, container: ListenerContainer) -> None:
        await container.stop()
        # A real server may look at the publisher before it does at who leaves.
        receivers = [await bus.publisher("aura")(ALERT, b"1") for _ in range(50)]
        assert receivers[-1] == 0

    assert on_redis(redis_url, play) == []


def test_a_killed_connection_loses_the_gap_and_receives_the_next_message(real_redis: str) -> None:
    async def scene() -> list[bytes]:
        async with open_bus(real_redis) as bus:
            heard = Heard()
            publish = bus.publisher("aura")
            subscribed, may_connect = asyncio.Event(), asyncio.Event()
            may_connect.set()

            async def connect() -> Subscription:
                await may_connect.wait()
                subscription = await bus.subscribe("workbench:*")
                subscribed.set()
                return subscription

            container = ListenerContainer(connect, heard, Dispatcher(1))
            await container.start()
            async with asyncio.timeout(10):
                await publish(ALERT, b"before")
                await heard.until(b"before")
                subscribed.clear()
                may_connect.clear()
                with redis.Redis.from_url(real_redis) as other:
                    other.client_kill_filter(_type="pubsub")
                assert await publish(ALERT, b"lost") == 0
                may_connect.set()
                await subscribed.wait()
                assert await publish(ALERT, b"after") == 1
                await heard.until(b"after")
            await container.stop()
            return heard.messages

    assert asyncio.run(scene()) == [b"before", b"after"]
