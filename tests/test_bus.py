"""Redis as the seats see it, on the embedded and on a real one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time

import pytest
import redis

from harness.bus import Link, open_bus, without_password
from harness.clock import WallClock
from harness.errors import HarnessError
from harness.history import History, Recorder, decode

HANGUL = "{'message': '조치 승인됨 👍'}".encode()


def test_a_message_is_recorded_with_its_publisher_before_publishing_returns(redis_url: str | None) -> None:
    async def scene() -> tuple[History, int]:
        async with open_bus(redis_url) as bus:
            recorder = Recorder(WallClock())
            await bus.tap(recorder)
            receivers = await bus.publisher("aura")("workbench:alert", HANGUL)
            return recorder.history(), receivers

    history, receivers = asyncio.run(scene())
    assert receivers == 1
    assert [(event.kind, event.seat, event.data["channel"]) for event in history] == [
        ("published", "aura", "workbench:alert")
    ]
    assert decode(history[0].data["wire"]) == HANGUL


def test_bytes_that_are_no_text_arrive_unchanged(redis_url: str | None) -> None:
    async def scene() -> bytes:
        async with open_bus(redis_url) as bus:
            subscription = await bus.subscribe("workbench:*")
            await bus.publisher("aura")("workbench:alert", b"\xff\xfe\x00")
            async for _, wire in subscription:
                await subscription.close()
                return wire
        raise AssertionError

    assert asyncio.run(scene()) == b"\xff\xfe\x00"


def test_equal_messages_of_two_publishers_are_told_apart(redis_url: str | None) -> None:
    async def scene() -> list[str | None]:
        async with open_bus(redis_url) as bus:
            recorder = Recorder(WallClock())
            await bus.tap(recorder)
            for seat in ("aura", "synapse", "aura"):
                await bus.publisher(seat)("workbench:case:action", b"{}")
            return [event.seat for event in recorder.history()]

    assert asyncio.run(scene()) == ["aura", "synapse", "aura"]


def test_a_closed_subscription_is_not_counted_any_more(redis_url: str | None) -> None:
    async def scene() -> list[int]:
        async with open_bus(redis_url) as bus:
            subscription = await bus.subscribe("workbench:*")
            before = await bus.publisher("aura")("workbench:alert", b"1")
            await subscription.close()
            return [before, await bus.publisher("aura")("workbench:alert", b"2")]

    assert asyncio.run(scene()) == [1, 0]


def test_what_somebody_else_publishes_is_recorded_without_a_seat(real_redis: str) -> None:
    async def scene() -> History:
        async with open_bus(real_redis) as bus:
            recorder = Recorder(WallClock())
            await bus.tap(recorder)
            with redis.Redis.from_url(real_redis) as foreign:
                foreign.publish("workbench:alert", HANGUL)
            await bus.publisher("aura")("workbench:alert", b"{}")
            return recorder.history()

    assert [event.seat for event in asyncio.run(scene())] == [None, "aura"]


def test_publishing_on_a_channel_that_is_not_tapped_waits_for_nobody(redis_url: str | None) -> None:
    async def scene() -> int:
        async with open_bus(redis_url) as bus:
            await bus.tap(Recorder(WallClock()))
            return await bus.publisher("aura")("elsewhere", b"{}")

    assert asyncio.run(scene()) == 0


def test_a_tap_that_was_cut_off_ends_the_run(real_redis: str) -> None:
    async def scene() -> None:
        async with open_bus(real_redis) as bus, asyncio.timeout(5):
            await bus.tap(Recorder(WallClock()))
            with redis.Redis.from_url(real_redis) as other:
                other.client_kill_filter(_type="pubsub")
            while True:
                bus.must_have_listened()
                await asyncio.sleep(0)

    with pytest.raises(HarnessError, match="was lost during the run"):
        asyncio.run(scene())


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://:s3cret@127.0.0.1:1/2", r"--redis redis://:\*\*\*@127\.0\.0\.1:1/2: cannot be reached"),
        ("127.0.0.1:6379", "give redis://, rediss:// or unix://"),
        ("redis://[", "--redis"),
        ("redis://127.0.0.1:port", "--redis"),
    ],
)
def test_a_redis_out_of_reach_is_one_line_within_three_seconds(url: str, text: str) -> None:
    async def scene() -> None:
        async with open_bus(url):
            pass

    began = time.monotonic()
    with pytest.raises(HarnessError, match=text) as caught:
        asyncio.run(scene())
    assert time.monotonic() - began < 3
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_never_answers_is_told(unanswering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.bus.CONNECT_SECONDS", 0.05)

    async def scene() -> None:
        async with open_bus(unanswering):
            pass

    with pytest.raises(HarnessError, match=r"no answer within 0\.05 s"):
        asyncio.run(scene())


def test_a_password_is_hidden_and_the_rest_is_not() -> None:
    assert without_password("rediss://user:p%40ss@host:6380/3?x=1") == "rediss://user:***@host:6380/3?x=1"
    assert without_password("redis://host/0") == "redis://host/0"


def test_a_recorder_writes_each_event_at_once() -> None:
    out = io.StringIO()
    Recorder(WallClock(), out).record("step", {"do": "검토"})
    assert '"do":"검토"' in out.getvalue()


def test_a_link_that_is_cut_loses_what_is_published_until_it_is_restored(redis_url: str | None) -> None:
    async def scene() -> tuple[list[bytes], list[str]]:
        changes: list[str] = []
        received: list[bytes] = []
        first = asyncio.Event()
        async with open_bus(redis_url) as bus:
            link = Link(bus, "synapse", changes.append)

            async def listen() -> None:
                while True:
                    subscription = await link.subscribe("workbench:*")
                    with contextlib.suppress(ConnectionError):
                        async for _, wire in subscription:
                            received.append(wire)
                            first.set()
                            if wire == b"3":
                                await subscription.close()
                                return

            listening = asyncio.create_task(listen())
            await link.restore()
            publish = bus.publisher("aura")
            receivers = [await publish("workbench:alert", b"1")]
            await first.wait()  # what is under way when the link is cut is lost with it
            await link.cut()
            receivers.append(await publish("workbench:alert", b"2"))
            await link.restore()
            receivers.append(await publish("workbench:alert", b"3"))
            await listening
            assert receivers == [1, 0, 1]
        return received, changes

    assert asyncio.run(scene()) == ([b"1", b"3"], ["cut", "restored"])


def test_a_connection_that_redis_closes_is_told_like_one_that_is_cut(real_redis: str) -> None:
    async def scene() -> list[str]:
        changes: list[str] = []
        async with open_bus(real_redis) as bus:
            link = Link(bus, "synapse", changes.append)
            subscription = await link.subscribe("workbench:*")
            with redis.Redis.from_url(real_redis) as other:
                other.client_kill_filter(_type="pubsub")
            with pytest.raises(ConnectionError):
                async for _ in subscription:
                    pass
            await subscription.close()
            await (await link.subscribe("workbench:*")).close()
        return changes

    assert asyncio.run(scene()) == ["cut", "restored"]
