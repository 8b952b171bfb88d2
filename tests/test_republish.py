"""A recorded history is published again: which messages, at which moments, with which bytes, and who is told."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from histories import ACTION, ALERTS, CASE_ACTION, RAG, call, history, published

from harness import virtual
from harness.bus import open_bus
from harness.cli import main
from harness.errors import HarnessError, UsageError
from harness.history import Event, History, to_line
from harness.republish import Message, messages, republish

OLDER = {"type": "case_action_completed", "case_id": "case-1"}
NO_TEXT = b"\xff\xfe\x00"
WIRES = ('{"message": "조치 승인됨 👍"}'.encode(), NO_TEXT, b"\xef\xbb\xbf{}", b"", b"a\r\nb\x00c")
RUN = {
    "seats": {"aura": "simulated"},
    "reach": ["redis"],
    "command": ["aura-harness", "gate"],
    "redis": "embedded",
    "harness": "0.1.0",
    "agreement": "1.0.0",
    "seed": 1,
    "tolerance": 0,
}


@pytest.fixture(autouse=True)
def _no_redis_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_REDIS_URL", raising=False)


def of(*moments: float) -> History:
    return history(*(published(f"{at}".encode(), at=at) for at in moments))


def moments(histories: Sequence[History], speed: float, *, slow: float = 0.0) -> list[tuple[float, bytes]]:
    """When each message is published on virtual time; `slow` is what each publish takes."""

    async def scene() -> list[tuple[float, bytes]]:
        loop, seen = asyncio.get_running_loop(), []

        async def publish(channel: str, wire: bytes) -> int:
            seen.append((loop.time(), wire))
            await asyncio.sleep(slow)
            return 1

        await republish(histories, publish, speed, lambda message, receivers: None)
        return seen

    return virtual.run(scene())


def test_the_first_message_comes_at_once_and_the_others_at_their_distance_from_it() -> None:
    assert moments([of(40, 40.25, 340)], 1) == [(0, b"40"), (0.25, b"40.25"), (300, b"340")]


@pytest.mark.parametrize(("speed", "at"), [(10, [0, 0.5, 30]), (0.5, [0, 10, 600]), (math.inf, [0, 0, 0])])
def test_a_speed_divides_the_distances(speed: float, at: list[float]) -> None:
    assert [moment for moment, _ in moments([of(1, 6, 301)], speed)] == at


def test_histories_come_one_after_another_without_a_pause_between_them() -> None:
    seen = moments([of(5, 7), history(call()), of(100, 103)], 1)
    assert seen == [(0, b"5"), (2, b"7"), (2, b"100"), (5, b"103")]


def test_what_publishing_takes_does_not_add_up() -> None:
    assert [moment for moment, _ in moments([of(0, 1, 2, 3)], 1, slow=0.75)] == [0, 1, 2, 3]


def test_a_publish_that_takes_longer_than_the_distance_delays_and_never_reorders() -> None:
    assert moments([of(0, 1, 10)], 1, slow=4) == [(0, b"0"), (4, b"1"), (10, b"10")]


def test_only_what_aura_published_is_taken() -> None:
    recorded = history(
        call(),
        published(b"1"),
        published(b"2", seat="synapse"),
        published(b"3", seat="harness"),
        published(OLDER, seat="synapse"),
    )
    assert [message.wire for message in messages(recorded)] == [b"1"]


def test_of_an_unknown_seat_all_is_taken_but_the_backends_own_shape() -> None:
    deep = b"[" * 100_000
    recorded = history(*(published(each, seat=None) for each in (ACTION, OLDER, NO_TEXT, b"[]", deep)))
    found = [message.wire for message in messages(recorded)]
    assert found[1:] == [NO_TEXT, b"[]", deep]
    assert len(found) == 4


def test_auras_own_is_taken_whatever_its_shape() -> None:
    assert len(messages(history(published(OLDER)))) == 1


@pytest.mark.parametrize(
    "event",
    [
        dataclasses.replace(published(), data={"channel": CASE_ACTION}),
        dataclasses.replace(published(), data={"channel": 7, "wire": "{}"}),
        dataclasses.replace(published(), data={"channel": "\ud800", "wire": "{}"}),
        dataclasses.replace(published(), data={"channel": CASE_ACTION, "wire": {"base64": "a"}}),
        dataclasses.replace(published(), data={"channel": CASE_ACTION, "wire": 7}),
        dataclasses.replace(published(), at=math.nan),
        dataclasses.replace(published(), at="soon"),  # type: ignore[arg-type]
    ],
)
def test_an_event_that_cannot_be_published_is_told_with_its_number(event: Event) -> None:
    with pytest.raises(UsageError, match="event 0: this is no published message"):
        messages(History([event]))


def test_the_same_bytes_arrive_on_the_same_channels(redis_url: str | None) -> None:
    channels = (CASE_ACTION, ALERTS, RAG, "workbench:other", CASE_ACTION)
    sent = list(zip(channels, WIRES, strict=True))
    recorded = history(*(published(wire, channel=channel) for channel, wire in sent))

    async def scene() -> list[tuple[str, bytes]]:
        async with open_bus(redis_url) as bus, asyncio.timeout(5):
            subscription = await bus.subscribe("workbench:*")
            received = await republish([recorded], bus.publisher("aura"), math.inf, lambda message, receivers: None)
            assert received == len(sent)
            arrived = []
            async for each in subscription:
                arrived.append(each)
                if len(arrived) == len(sent):
                    break
            await subscription.close()
            return arrived

    assert asyncio.run(scene()) == sent


def test_each_message_is_told_with_its_receivers(redis_url: str | None) -> None:
    async def scene() -> tuple[int, list[tuple[str, int]]]:
        told: list[tuple[str, int]] = []
        async with open_bus(redis_url) as bus:
            subscriptions = [await bus.subscribe("workbench:*"), await bus.subscribe(ALERTS, exact=True)]
            recorded = history(*(published(channel=channel) for channel in (CASE_ACTION, ALERTS, "elsewhere")))

            def progress(message: Message, receivers: int) -> None:
                told.append((message.channel, receivers))

            received = await republish([recorded], bus.publisher("aura"), math.inf, progress)
            for subscription in subscriptions:
                await subscription.close()
        return received, told

    assert asyncio.run(scene()) == (2, [(CASE_ACTION, 1), (ALERTS, 2), ("elsewhere", 0)])


def test_a_message_that_is_under_way_at_an_interruption_is_finished_and_counted() -> None:
    async def scene() -> list[bytes]:
        told: list[bytes] = []
        began, answer = asyncio.Event(), asyncio.Event()

        async def publish(channel: str, wire: bytes) -> int:
            began.set()
            await answer.wait()
            return 1

        running = asyncio.create_task(republish([of(1, 2)], publish, 1, lambda message, _: told.append(message.wire)))
        await began.wait()
        running.cancel()
        await asyncio.sleep(1)
        answer.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        return told

    assert virtual.run(scene()) == [b"1"]


@pytest.mark.parametrize("gone", [redis.ConnectionError("Connection closed by server."), ConnectionResetError("reset")])
def test_a_redis_that_goes_away_is_told_with_how_many_were_before(gone: Exception) -> None:
    left = [1]

    async def publish(channel: str, wire: bytes) -> int:
        if not left:
            raise gone
        return left.pop()

    with pytest.raises(
        HarnessError, match=rf"^{CASE_ACTION}: a message could not be published \(.+\); published before it: 1$"
    ):
        virtual.run(republish([of(1, 2)], publish, 1, lambda message, receivers: None))


def test_a_redis_that_never_answers_ends_it() -> None:
    async def publish(channel: str, wire: bytes) -> int:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    with pytest.raises(HarnessError, match="no answer within 5 s"):
        virtual.run(republish([of(1)], publish, 1, lambda message, receivers: None))


def written(folder: Path, *events: Event) -> str:
    """A file of one history, as `--history` writes it."""
    first = dataclasses.replace(published(at=0), kind="run", seat=None, data=RUN)
    path = folder / "run.jsonl"
    numbered = (dataclasses.replace(event, seq=seq) for seq, event in enumerate((first, *events)))
    path.write_text("".join(map(to_line, numbered)), encoding="utf-8", newline="\n")
    return str(path)


@contextmanager
def listening(url: str) -> Iterator[redis.client.PubSub]:
    """Somebody else's confirmed subscription to all channels of Aura."""
    with redis.Redis.from_url(url) as client, client.pubsub() as pubsub:
        pubsub.psubscribe("workbench:*")
        assert pubsub.get_message(timeout=5)["type"] == "psubscribe"
        yield pubsub


def test_the_command_says_what_it_will_do_and_who_received_it(
    tmp_path: Path, real_redis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = [published(wire, at=number) for number, wire in enumerate(WIRES)]
    path = written(tmp_path, *sent, published(b"last", channel="elsewhere", at=9))
    with listening(real_redis) as pubsub:
        assert main(["replay", "--from", path, "--redis", real_redis, "--speed", "max"]) == 0
        arrived = [pubsub.get_message(timeout=5)["data"] for _ in sent]
    assert arrived == list(WIRES)
    out, err = capsys.readouterr()
    first, *others = out.splitlines()
    assert first.startswith(f"6 messages of Aura will be published on {real_redis} (Redis ")
    assert first.endswith("), without waiting")
    assert others == ["5 messages received by 1", "1 message received by nobody"]
    assert err == "published again: 6\n"


def test_the_command_fails_where_nobody_listened(
    tmp_path: Path, real_redis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, published(at=1), published(at=2))
    assert main(["replay", "--from", path, "--redis", real_redis, "--speed", "1000"]) == 3
    first, *others = capsys.readouterr().out.splitlines()
    assert first.endswith("), over 0.0 s")
    assert others == [
        "2 messages received by nobody",
        "nobody listened: start what subscribes to workbench:* before (exit 3)",
    ]


def test_an_interruption_says_how_many_were_published(tmp_path: Path, real_redis: str) -> None:
    path = written(tmp_path, published(b"1", at=1), published(b"2", at=601))
    command = [sys.executable, "-m", "harness.cli", "replay", "--from", path, "--redis", real_redis]
    with (
        listening(real_redis) as pubsub,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert pubsub.get_message(timeout=30)["data"] == b"1"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 4
    assert out.startswith("2 messages of Aura will be published on ")
    assert out.endswith("over 600.0 s\n")
    assert err == "aura-harness: interrupted; 1 of 2 messages published\n"


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ([], "give the Redis to publish on, --redis URL (HARNESS_REDIS_URL)"),
        (["timeout", "approve"], "it plays no scenario; leave out timeout approve"),
        (["--list"], "leave out --list"),
        (["--repeat", "2"], "leave out --repeat"),
        (["--timeline"], "leave out --timeline"),
        (["--timeline-to", "x.html"], "leave out --timeline-to"),
        (["--report", "json=x.json"], "leave out --report"),
        (["--seed", "2"], "leave out --seed"),
        (["--speed", "fast"], "'fast' was found, a number above 0 or `max` was expected"),
        (["--speed", "0"], "'0' was found, a number above 0 or `max` was expected"),
        (["--speed", "nan"], "'nan' was found, a number above 0 or `max` was expected"),
    ],
)
def test_what_cannot_be_carried_out_is_told_before_anything_is_published(
    tmp_path: Path, extra: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_of_nobody = ["--redis", "redis://127.0.0.1:1"] if extra else []
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(main(["replay", "--from", written(tmp_path, published()), *redis_of_nobody, *extra]))
    assert stop.value.code == 2
    assert text in capsys.readouterr().err


def test_a_history_without_aura_is_no_history_to_publish(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, published(seat="synapse"))
    assert main(["replay", "--from", path, "--redis", "redis://127.0.0.1:1"]) == 2
    assert f"{path}: Aura published nothing in it" in capsys.readouterr().err


def test_a_speed_is_nothing_for_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--speed", "10"]) == 2
    assert "--speed is for --from HISTORY.jsonl" in capsys.readouterr().err


def test_a_redis_out_of_reach_is_exit_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--from", written(tmp_path, published()), "--redis", "redis://127.0.0.1:1"]) == 4
    assert "cannot be reached" in capsys.readouterr().err
