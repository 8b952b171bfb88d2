"""Redis as the seats see it, on the embedded and on a real one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from functools import partial

import pytest
import redis

from harness.bus import OUTAGE, Link, Subscription, open_bus, without_password
from harness.clock import WallClock
from harness.errors import HarnessError
from harness.history import History, Recorder, decode
from harness.redis_server import private_server

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


def test_equal_messages_that_several_publish_at_once_are_each_seen_by_the_tap(redis_url: str | None) -> None:
    async def scene() -> list[str | None]:
        async with open_bus(redis_url) as bus, asyncio.timeout(10):
            recorder = Recorder(WallClock())
            await bus.tap(recorder)
            publish = bus.publisher("aura")

            async def some(number: int) -> None:
                for _ in range(number):
                    await publish("workbench:alert", b"{}")

            await asyncio.gather(*map(some, range(20, 40)))
            return [event.seat for event in recorder.history()]

    assert asyncio.run(scene()) == ["aura"] * sum(range(20, 40))


def test_a_closed_subscription_is_not_counted_any_more(redis_url: str | None) -> None:
    async def scene() -> list[int]:
        async with open_bus(redis_url) as bus:
            subscription = await bus.subscribe("workbench:*")
            before = await bus.publisher("aura")("workbench:alert", b"1")
            await subscription.close()
            return [before, await bus.publisher("aura")("workbench:alert", b"2")]

    assert asyncio.run(scene()) == [1, 0]


def test_what_is_left_alone_reaches_no_subscriber_and_what_the_run_publishes_always_does(real_redis: str) -> None:
    async def scene() -> tuple[list[bytes], int]:
        async with open_bus(real_redis) as bus, open_bus(real_redis, "somebody-else") as other:
            bus.leave_alone(lambda wire: b"run-1-" in wire)
            await bus.tap(Recorder(WallClock()))
            subscription = await Link(bus, "synapse").subscribe("workbench:*")
            elsewhere, here = other.publisher("somebody"), bus.publisher("harness")
            for publish, wire in ((elsewhere, b"theirs"), (elsewhere, b"run-1-1"), (here, b"{"), (here, b"run-1-2")):
                await publish("workbench:alert", wire)
            heard: list[bytes] = []
            async for _, wire in subscription:
                heard.append(wire)
                if wire == b"run-1-2":
                    await subscription.close()
                    return heard, bus.foreign
        raise AssertionError

    assert asyncio.run(scene()) == ([b"run-1-1", b"{", b"run-1-2"], 1)


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

            async def listen(subscription: Subscription) -> None:
                while True:
                    with contextlib.suppress(ConnectionError):
                        async for _, wire in subscription:
                            received.append(wire)
                            first.set()
                            if wire == b"3":
                                await subscription.close()
                                return
                    subscription = await link.subscribe("workbench:*")

            listening = asyncio.create_task(listen(await link.subscribe("workbench:*")))
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


def test_a_connection_that_redis_closes_is_told_as_lost(real_redis: str) -> None:
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

    assert asyncio.run(scene()) == ["lost", "restored"]


def test_a_command_that_fails_beside_a_living_subscription_is_no_lost_subscription(real_redis: str) -> None:
    async def scene() -> tuple[list[str], bytes]:
        changes: list[str] = []
        async with open_bus(real_redis) as bus, asyncio.timeout(5):
            link = Link(bus, "synapse", changes.append)
            subscription = await link.subscribe("workbench:*")
            await link.publish("elsewhere", b"0")
            with redis.Redis.from_url(real_redis) as other:
                other.client_kill_filter(_type="normal")
                with pytest.raises((OSError, redis.ConnectionError)):
                    await link.publish("workbench:alert", b"1")
                other.publish("workbench:alert", b"2")
            async for _, wire in subscription:
                await subscription.close()
                return changes, wire
        raise AssertionError

    assert asyncio.run(scene()) == (["failed"], b"2")


def test_a_link_stores_for_a_while_and_what_it_stored_goes_with_the_run(redis_url: str | None) -> None:
    async def scene() -> tuple[str | None, int | None, str | None, int | None]:
        async with open_bus(redis_url) as bus:
            link = Link(bus, "aura")
            await link.store("hitl:request:1", "보류 중 👍", 1800)
            stored = await link.fetch("hitl:request:1"), await link.expires_in("hitl:request:1")
            return *stored, await link.fetch("hitl:request:2"), await link.expires_in("hitl:request:2")

    text, seconds, nothing, never = asyncio.run(scene())
    assert (text, nothing, never) == ("보류 중 👍", None, None)
    assert seconds in (1799, 1800)


def test_nothing_that_a_run_stored_is_left_on_a_real_redis(real_redis: str) -> None:
    async def scene() -> None:
        async with open_bus(real_redis) as bus:
            await Link(bus, "aura").store("hitl:request:left", "{}", 1800)
            await Link(bus, "synapse").store("hitl:signal:left", "{}", 300)

    with redis.Redis.from_url(real_redis) as other:
        other.set("hitl:request:of-others", "{}", ex=60)
        asyncio.run(scene())
        assert other.keys("hitl:*") == [b"hitl:request:of-others"]
        other.delete("hitl:request:of-others")


def test_an_exact_subscription_hears_its_channel_and_no_other(redis_url: str | None) -> None:
    async def scene() -> tuple[list[int], tuple[str, bytes]]:
        async with open_bus(redis_url) as bus:
            listening = await Link(bus, "aura").listen("hitl:channel:s[1]")
            publish = bus.publisher("synapse")
            receivers = [await publish(channel, b"1") for channel in ("hitl:channel:s1", "hitl:channel:s[1]")]
            async for received in listening:
                await listening.close()
                receivers.append(await publish("hitl:channel:s[1]", b"2"))
                return receivers, received
        raise AssertionError

    assert asyncio.run(scene()) == ([0, 1, 0], ("hitl:channel:s[1]", b"1"))


def test_a_signal_is_recorded_as_one_with_session_and_request(redis_url: str | None) -> None:
    async def scene() -> History:
        async with open_bus(redis_url) as bus:
            recorder = Recorder(WallClock())
            await bus.tap(recorder)
            publish = bus.publisher("synapse")
            await publish("hitl:channel:session-1", b'{"type":"approval","requestId":"request-1"}')
            await publish("hitl:channel:", b"\xff")
            return recorder.history()

    history = asyncio.run(scene())
    assert [(event.kind, event.seat, dict(event.about)) for event in history] == [
        ("hitl_signal", "synapse", {"session": "session-1", "request": "request-1"}),
        ("hitl_signal", "synapse", {"session": ""}),
    ]
    assert decode(history[1].data["wire"]) == b"\xff"


def test_a_link_holds_several_subscriptions_and_is_cut_and_restored_with_all_of_them(redis_url: str | None) -> None:
    async def scene() -> tuple[list[list[int]], list[str]]:
        changes: list[str] = []
        async with open_bus(redis_url) as bus:
            link, publish = Link(bus, "aura", changes.append), bus.publisher("synapse")
            channels = ("hitl:channel:1", "hitl:channel:2", "workbench:alert")

            async def heard() -> list[int]:
                return [await publish(channel, b"{}") for channel in channels]

            held = [await link.listen(channels[0]), await link.listen(channels[1]), await link.subscribe("workbench:*")]
            counts = [await heard()]
            await link.cut()
            counts.append(await heard())
            with pytest.raises(ConnectionError, match=r"of aura to .* was cut"):
                await link.fetch("hitl:request:1")
            await held[1].close()  # nobody wants this one any more
            restoring = asyncio.create_task(link.restore())
            held += [await link.listen(channels[0]), await link.subscribe("workbench:*")]
            await restoring
            counts.append(await heard())
            for subscription in held:
                await subscription.close()
            counts.append(await heard())
        return counts, changes

    counts, changes = asyncio.run(scene())
    assert counts == [[1, 1, 1], [0, 0, 0], [1, 0, 1], [0, 0, 0]]
    assert changes == ["cut", "restored"]


def test_of_two_listeners_on_one_channel_both_have_to_be_back(redis_url: str | None) -> None:
    async def scene() -> list[object]:
        changes: list[str] = []
        async with open_bus(redis_url) as bus, asyncio.timeout(5):
            link = Link(bus, "aura", changes.append)
            first, second, third = [await link.listen("hitl:channel:1") for _ in range(3)]
            await link.cut()
            restoring = asyncio.create_task(link.restore())
            again = await link.listen("hitl:channel:1")
            await first.close()  # whoever has another one closes what it lost
            told: list[object] = [restoring.done(), link.listens, list(changes)]
            await second.close()  # nobody wants this one any more
            told += [restoring.done(), link.listens]
            other = await link.listen("hitl:channel:1")
            await third.close()
            await restoring
            told += [link.listens, changes]
            await again.close()
            await other.close()
        return told

    assert asyncio.run(scene()) == [False, False, ["cut"], False, False, True, ["cut", "restored"]]


def test_a_link_without_subscriptions_is_restored_at_once(redis_url: str | None) -> None:
    async def scene() -> list[str]:
        changes: list[str] = []
        async with open_bus(redis_url) as bus, asyncio.timeout(5):
            link = Link(bus, "aura", changes.append)
            await (await link.listen("hitl:channel:1")).close()
            await link.cut()
            with pytest.raises(ConnectionError):
                await link.publish("workbench:alert", b"{}")
            await link.restore()
            await link.publish("workbench:alert", b"{}")
        return changes

    assert asyncio.run(scene()) == ["cut", "restored"]


def test_a_server_that_is_restarted_is_lost_and_found_by_the_seats_and_the_tap_misses_nothing() -> None:
    async def scene() -> tuple[list[str], list[str], list[bytes]]:
        of_synapse: list[str] = []
        of_aura: list[str] = []
        recorder = Recorder(WallClock())
        with private_server() as server:
            async with open_bus(server.url) as bus, asyncio.timeout(10):
                await bus.tap(recorder)
                synapse, aura = Link(bus, "synapse", of_synapse.append), Link(bus, "aura", of_aura.append)
                await synapse.subscribe("workbench:*")
                assert await aura.publish("workbench:alert", b"1") == 2
                await bus.down(partial(asyncio.to_thread, server.stop))
                await synapse.lost()
                for attempt in (aura.publish("workbench:alert", b"2"), synapse.fetch("hitl:request:1")):
                    with pytest.raises((OSError, redis.ConnectionError)):
                        await attempt
                await bus.up(partial(asyncio.to_thread, server.start))
                again = asyncio.create_task(synapse.subscribe("workbench:*"))
                await synapse.restore()
                assert await aura.publish("workbench:alert", b"3") == 2
                await (await again).close()
                bus.must_have_listened()
        return (
            of_synapse,
            of_aura,
            [decode(event.data.get("wire", event.data.get("do"))) for event in recorder.history()],
        )

    assert asyncio.run(scene()) == (["lost", "restored"], ["lost", "restored"], [b"1", b"emptied", b"3"])


def test_an_embedded_redis_that_vanished_is_empty_and_serves_nobody_until_it_reappears() -> None:
    async def scene() -> tuple[str | None, int, list[tuple[str, str | None]]]:
        recorder = Recorder(WallClock())
        async with open_bus(None) as bus:
            await bus.tap(recorder)
            await bus.store("hitl:request:1", "{}", 60)
            publish = bus.publisher("harness")
            await bus.vanish()
            for attempt in (publish("workbench:alert", b"1"), bus.subscribe("workbench:*"), bus.delete("1")):
                with pytest.raises(ConnectionError, match="is not up"):
                    await attempt
            bus.reappear()
            kept, receivers = await bus.fetch("hitl:request:1"), await publish("workbench:alert", b"2")
            return kept, receivers, [(event.kind, event.seat) for event in recorder.history()]

    assert asyncio.run(scene()) == (None, 1, [("fault", "redis"), ("published", "harness")])


def test_what_was_cut_for_two_reasons_is_restored_when_both_are_over(redis_url: str | None) -> None:
    async def scene() -> list[str]:
        changes: list[str] = []
        async with open_bus(redis_url) as bus, asyncio.timeout(5):
            link = Link(bus, "aura", changes.append)
            first = await link.listen("hitl:channel:1")
            await link.cut()
            await link.cut(OUTAGE)
            await link.restore()
            with pytest.raises(ConnectionError, match="was cut"):
                await link.publish("workbench:alert", b"{}")
            restoring = asyncio.create_task(link.restore(OUTAGE))
            again = await link.listen("hitl:channel:1")
            await first.close()
            await restoring
            await again.close()
        return changes

    assert asyncio.run(scene()) == ["cut", "restored"]


def test_a_link_that_is_restored_while_redis_is_gone_is_whole_when_redis_is_back() -> None:
    async def scene() -> list[str]:
        changes: list[str] = []
        with private_server() as server:
            async with open_bus(server.url) as bus, asyncio.timeout(10):
                link = Link(bus, "synapse", changes.append)
                lost = await link.subscribe("workbench:*")
                await bus.down(partial(asyncio.to_thread, server.stop))
                await link.lost()
                await lost.close()
                await link.cut()
                await link.restore()
                await bus.up(partial(asyncio.to_thread, server.start))
                again = asyncio.create_task(link.subscribe("workbench:*"))
                await link.restore(OUTAGE)
                await (await again).close()
        return changes

    assert asyncio.run(scene()) == ["lost", "restored"]


def test_a_run_that_ends_while_its_server_is_stopped_has_no_gap() -> None:
    async def scene() -> None:
        with private_server() as server:
            async with open_bus(server.url) as bus, asyncio.timeout(10):
                await bus.tap(Recorder(WallClock()))
                await bus.down(partial(asyncio.to_thread, server.stop))
                bus.must_have_listened()

    asyncio.run(scene())


def test_a_served_system_is_told_from_the_tap_beside_it_by_the_name_of_its_connections(real_redis: str) -> None:
    async def scene() -> tuple[int, int]:
        async with open_bus(real_redis) as gate:
            before = await gate.others()
            async with open_bus(real_redis, "served-synapse") as bus:
                await bus.tap(Recorder(WallClock()))
                with_tap = await gate.others() - before
                await Link(bus, "synapse").subscribe("workbench:*")
                return len(with_tap), len(await gate.others() - before)

    assert asyncio.run(scene()) == (0, 1)


def test_a_tap_that_lost_its_connection_is_put_back_and_the_gap_is_counted(real_redis: str) -> None:
    async def scene() -> tuple[int, list[str]]:
        recorder = Recorder(WallClock())
        async with open_bus(real_redis, "served-aura") as bus, open_bus(real_redis) as other:
            await bus.tap(recorder)
            keeping = asyncio.create_task(bus.keep_tapped())
            with redis.Redis.from_url(real_redis) as clients:
                for client in clients.client_list():
                    if client["name"] == "aura-harness" and client["psub"] != "0":
                        clients.client_kill_filter(_id=client["id"])
            publish = other.publisher("harness")
            async with asyncio.timeout(5):
                while True:
                    if bus.gaps and await publish("workbench:alert", HANGUL):
                        break
                    await asyncio.sleep(0.01)
            await bus.publisher("aura")("workbench:rag:status", HANGUL)
            keeping.cancel()
            await asyncio.wait({keeping})
            with pytest.raises(HarnessError, match="its history has a gap"):
                bus.must_have_listened()
            return bus.gaps, [event.data["channel"] for event in recorder.history()]

    assert asyncio.run(scene()) == (1, ["workbench:alert", "workbench:rag:status"])


def test_whether_redis_answers_and_a_seat_listens_can_be_asked(redis_url: str | None) -> None:
    async def scene() -> list[bool]:
        async with open_bus(redis_url) as bus:
            link = Link(bus, "synapse")
            asked = [await bus.answers(), link.listens]
            await link.subscribe("workbench:*")
            asked.append(link.listens)
            await link.cut()
            return [*asked, link.listens]

    assert asyncio.run(scene()) == [True, False, True, False]


def test_a_redis_that_is_gone_does_not_answer() -> None:
    async def scene() -> bool:
        with private_server() as server:
            async with open_bus(server.url) as bus:
                server.stop()
                return await bus.answers()

    assert asyncio.run(scene()) is False
