"""A watch: what it says of messages as they come, what it tells of itself, and that it touches nothing."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
from rich.console import Console

from harness import watch as watching
from harness.agreement import Agreement
from harness.bus import Bus, open_bus
from harness.checks import SINGLE, Tally, judge
from harness.checks.view import read_message
from harness.cli import main
from harness.clock import Ids, WallClock
from harness.history import Event, encode, load
from harness.messages import consumer_messages
from harness.redis_server import private_server
from harness.report import watch as report
from harness.verdict import Told
from harness.watch import Follower, Watch

CASE_ACTION = "workbench:case:action"
RUN = {"seats": {"aura": "watched"}, "reach": [SINGLE], "redis": "one", "command": ["aura-harness", "watch"]}


class Notes:
    """What a watch told of itself, and a way to wait for it."""

    def __init__(self, watch: Watch) -> None:
        self.texts: list[str] = []
        self.found: list[Told] = []
        watch.note = lambda at, text: self.texts.append(text)
        watch.found = self.found.append

    def said(self, part: str) -> bool:
        return any(part in text for text in self.texts)


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not fact():  # noqa: ASYNC110  (no event is set for each fact)
            await asyncio.sleep(0.001)


@asynccontextmanager
async def following(bus: Bus, watch: Watch) -> AsyncIterator[Follower]:
    """A watch that is subscribed; left when it has ended."""
    follower = Follower(bus, watch)
    task = asyncio.create_task(follower.follow(None, 0.005, lambda: None))
    await until(lambda: task.done() or follower.subscribed)
    try:
        yield follower
    finally:
        task.cancel()
        await task


def wires(agreed: Agreement) -> list[tuple[str, bytes]]:
    return [(sample.channel, sample.wire) for sample in agreed.samples.values() if sample.channel]


def escaped(agreed: Agreement) -> bytes:
    return json.dumps(agreed.samples["alert"].value).encode()


def outcomes(watch: Watch) -> dict[str, str]:
    return {verdict.clause: verdict.outcome for verdict in watch.verdicts() if verdict.in_reach}


# ---- What it says of messages


def test_a_message_is_judged_as_it_comes(agreed: Agreement, redis_url: str | None) -> None:
    watch = Watch(agreed, WallClock())
    notes = Notes(watch)

    async def run() -> None:
        async with open_bus(redis_url) as bus:
            watch.begin(RUN)
            async with following(bus, watch):
                publish = bus.publisher("somebody")
                for channel, wire in wires(agreed):
                    await publish(channel, wire)
                await publish("workbench:alert", escaped(agreed))
                await publish("elsewhere", b"no business of ours")
                await until(lambda: len(notes.found) == 1)

    asyncio.run(run())
    assert [told.finding.clause for told in notes.found] == ["publish.unescaped"]
    assert notes.found[0].finding.evidence.endswith(escaped(agreed).decode())
    assert outcomes(watch) == {
        "publish.agree": "kept",
        "publish.common-fields": "kept",
        "publish.channel-category": "kept",
        "publish.event-fields": "kept",
        "publish.utf8-json": "kept",
        "publish.unescaped": "broken",
        "publish.timestamp-format": "kept",
        "publish.no-database-fields": "kept",
        "publish.message-text": "kept",
    }


def test_what_one_message_alone_does_not_show_is_out_of_reach(agreed: Agreement) -> None:
    watch = Watch(agreed, WallClock())
    watch.begin(RUN)
    once = next(verdict for verdict in watch.verdicts() if verdict.clause == "publish.once")
    assert (once.outcome, once.reason) == ("unproven", "out of reach: one message alone does not show it")
    agree = next(verdict for verdict in watch.verdicts() if verdict.clause == "publish.agree")
    assert agree.promise.endswith("(Not seen here: the decision.)")


def test_a_watch_says_what_is_said_of_its_history(agreed: Agreement, tmp_path: Path) -> None:
    """The same functions judge a message as it comes and a whole history, whatever the message."""
    path = tmp_path / "watch.jsonl"
    with path.open("w", encoding="utf-8") as out, asyncio.Runner() as runner:
        watch = Watch(agreed, WallClock(), out)

        async def began() -> None:
            async with open_bus(None) as bus:
                watch.begin(watching.described(agreed, bus, "0", ("aura-harness", "watch")))

        runner.run(began())
        for index, (channel, wire) in enumerate(wires(agreed)):
            watch.take(index / 1000, channel.encode(), wire)
        for each in consumer_messages(3, Ids("w"), 20):
            watch.take(2.0, each.channel.encode(), each.wire)
        watch.end()

    def told(verdicts: object) -> list[tuple[object, ...]]:
        return [
            (each.clause, each.outcome, each.exercised, sum(found.times for found in each.findings), each.reason)
            for each in verdicts  # type: ignore[attr-defined]
        ]

    assert told(watch.verdicts()) == told(judge(agreed, load(path)))
    assert {"publish.utf8-json", "publish.common-fields"} <= {
        clause for clause, outcome in outcomes(watch).items() if outcome == "broken"
    }


def test_a_message_of_the_backend_is_not_auras(agreed: Agreement) -> None:
    watch = Watch(agreed, WallClock())
    watch.begin(RUN)
    watch.take(0, CASE_ACTION.encode(), agreed.samples["case-action-completed"].wire)
    watch.take(0, b"hitl:channel:s-1", b'{"type":"approval"}')
    assert (watch.seen, watch.judged) == (2, 0)
    assert set(outcomes(watch).values()) == {"unproven"}


def test_of_findings_the_first_are_kept_and_the_rest_are_counted(agreed: Agreement) -> None:
    watch = Watch(agreed, WallClock())
    notes = Notes(watch)
    watch.begin(RUN)
    for _ in range(1000):
        watch.take(0, b"workbench:alert", escaped(agreed))
    verdict = next(verdict for verdict in watch.verdicts() if verdict.clause == "publish.unescaped")
    assert (verdict.exercised, [found.times for found in verdict.findings]) == (1000, [1, 1, 998])
    assert len(notes.found) == watching.TOLD_EACH


def test_evidence_is_cut_before_it_is_kept(agreed: Agreement) -> None:
    tally = Tally(agreed)
    wire = b"\xff" * 1_000_000
    event = Event(1, 0, "", "published", data={"channel": "workbench:alert", "wire": encode(wire)})
    (finding,) = tally.judge(read_message(event, wire))
    assert len(finding.evidence) < 20_000


def test_channels_are_counted_by_name_only_up_to_a_number(agreed: Agreement) -> None:
    watch = Watch(agreed, WallClock())
    for index in range(1000):
        watch.count(f"workbench:{index}")
        watch.count(f"hitl:channel:{index}")
    assert len(watch.channels) <= watching.MOST_CHANNELS + 2
    assert watch.channels["hitl:channel:*"] == 1000
    assert watch.channels.total() == 2000


# ---- What it tells of itself


def test_a_lost_connection_is_told_made_again_and_the_gap_stands_in_the_history(
    agreed: Agreement, real_redis: str, tmp_path: Path
) -> None:
    path = tmp_path / "watch.jsonl"
    with path.open("w", encoding="utf-8") as out:
        watch = Watch(agreed, WallClock(), out)
        notes = Notes(watch)

        async def run() -> None:
            async with open_bus(real_redis) as bus, open_bus(real_redis) as other:
                watch.begin(watching.described(agreed, bus, "0", ("aura-harness", "watch")))
                async with following(bus, watch):
                    (connection,) = await _watchers(real_redis)
                    redis.Redis.from_url(real_redis).client_kill_filter(_id=connection)
                    await until(lambda: notes.said("subscribed again"))
                    await other.publisher("somebody")(*wires(agreed)[0])
                    await until(lambda: watch.seen == 1)

        asyncio.run(run())
        watch.end()
    assert notes.texts[0].startswith("the connection to Redis is lost (")
    assert [gap.missed for gap in watch.gaps] == [None]
    (fault,) = load(path).of("fault")
    assert fault.data["do"] == "gap"
    assert fault.data["began"] <= fault.data["ended"]


async def _watchers(url: str) -> list[str]:
    return [client["id"] for client in redis.Redis.from_url(url).client_list() if client["psub"] == "2"]


def test_a_redis_that_ends_a_slow_reader_is_told_as_that(agreed: Agreement) -> None:
    watch = Watch(agreed, WallClock())
    notes = Notes(watch)

    async def run(url: str) -> None:
        async with open_bus(url) as bus:
            watch.begin(RUN)
            async with following(bus, watch):
                client = redis.Redis.from_url(url)
                client.config_set("client-output-buffer-limit", "pubsub 100000 0 0")
                together = client.pipeline(transaction=True)
                for _ in range(100):
                    together.publish("workbench:alert", b"x" * 10_000)
                together.execute()
                await until(lambda: notes.said("subscribed again"))

    with private_server() as server:
        asyncio.run(run(server.url))
    assert notes.said("client-output-buffer-limit")
    assert watch.seen < 100


def test_what_cannot_be_judged_in_time_is_counted_and_told(
    agreed: Agreement, redis_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MOST_WAITING", 20_000)
    monkeypatch.setattr(watching, "TURN", 10_000)
    watch = Watch(agreed, WallClock())
    notes = Notes(watch)
    channel, wire = wires(agreed)[1]

    async def run() -> None:
        async with open_bus(redis_url) as bus:
            watch.begin(RUN)
            async with following(bus, watch):
                await bus.publish_at_once("somebody", [(channel, wire)] * 2000)
                await until(lambda: watch.seen == 2000 and notes.said("judging again"))

    asyncio.run(run())
    assert notes.said("too far behind: what comes is counted and not judged")
    missed = sum(gap.missed or 0 for gap in watch.gaps)
    assert missed > 0
    assert watch.judged + missed == 2000


def test_a_watch_that_is_behind_says_so_and_says_when_it_is_in_time_again(
    agreed: Agreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BEHIND", 0.02)
    monkeypatch.setattr(watching, "IN_TIME", 0.01)
    watch = Watch(agreed, WallClock())
    notes = Notes(watch)

    async def run() -> None:
        async with open_bus(None) as bus:
            watch.begin(RUN)
            async with following(bus, watch):
                await bus.publish_at_once("somebody", [wires(agreed)[1]] * 20_000)
                await until(lambda: notes.said("in time again"))

    asyncio.run(run())
    assert notes.texts[0].startswith("behind: ")
    assert watch.judged == 20_000


# ---- That it touches nothing


def test_a_watch_asks_redis_for_nothing_that_changes_it(agreed: Agreement) -> None:
    watch = Watch(agreed, WallClock())

    async def run(url: str) -> None:
        async with open_bus(url) as bus:
            watch.begin(RUN)
            async with following(bus, watch):
                redis.Redis.from_url(url).publish("workbench:alert", b"{}")
                await until(lambda: watch.seen == 1)

    with private_server() as server:
        client = redis.Redis.from_url(server.url, protocol=2)
        client.publish("x", b"")
        client.config_resetstat()
        asyncio.run(run(server.url))
        used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
        keys = client.dbsize()
    assert used <= {"psubscribe", "punsubscribe", "info", "client", "client|setinfo", "client|setname", "publish"} | {
        "hello",
        "config|resetstat",
        "config",
        "auth",
        "select",
        "ping",
    }
    assert keys == 0
    assert watch.seen == 1


# ---- The command


def command(*arguments: str) -> int:
    try:
        return main(("watch", *arguments))
    except SystemExit as stop:
        return int(stop.code or 0)


class Publishing:
    """Publishes from a process of its own as soon as somebody watches."""

    SCRIPT = """
import json, sys, time, redis
client = redis.Redis.from_url(sys.argv[1])
while client.pubsub_numpat() < 2:
    time.sleep(0.005)
for channel, wire in json.loads(sys.argv[2]):
    client.publish(channel, wire)
"""

    def __init__(self, url: str, messages: list[tuple[str, bytes]]) -> None:
        told = json.dumps([(channel, wire.decode()) for channel, wire in messages])
        self.process = subprocess.Popen([sys.executable, "-c", self.SCRIPT, url, told])

    def __enter__(self) -> None: ...

    def __exit__(self, *raised: object) -> None:
        self.process.kill()
        self.process.wait()


def test_the_exit_code_is_that_of_the_verdicts(
    agreed: Agreement, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with private_server() as server:
        arguments = ("--redis", server.url, "--for", "1s")
        with Publishing(server.url, wires(agreed)):
            assert command(*arguments) == 0
        assert "0 broken" in capsys.readouterr().out
        broken = [("workbench:alert", escaped(agreed))]
        with Publishing(server.url, broken):
            assert command(*arguments, "--report", f"json={tmp_path / 'report.json'}") == 1
        out = capsys.readouterr().out
        assert "publish.unescaped broken on workbench:alert: expected text outside ASCII as it stands" in out
        assert "\\uc2e0" in out
        assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["exit_code"] == 1
        with Publishing(server.url, broken):
            assert command(*arguments, "--fail-on", "never") == 0
        assert "a clause that counts is broken, which was not to fail the run (exit 0)" in capsys.readouterr().out


def test_nothing_seen_is_no_success(capsys: pytest.CaptureFixture[str], real_redis: str) -> None:
    assert command("--redis", real_redis, "--for", "0.1") == 3
    assert "nothing of Aura's came by" in capsys.readouterr().out


def test_a_watch_that_ends_without_a_connection_did_not_work(agreed: Agreement) -> None:
    with private_server() as server:
        script = f"import sys; from harness.cli import main; sys.exit(main(['watch', '--redis', '{server.url}']))"
        watcher = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        _await_watch(server.url)
        for channel, wire in wires(agreed):
            redis.Redis.from_url(server.url).publish(channel, wire)
        server.stop()
        out = ""
        assert watcher.stdout is not None
        for line in watcher.stdout:
            out += line
            if "is lost" in line:
                break
        watcher.send_signal(signal.SIGINT)
        out += watcher.communicate(timeout=20)[0]
    assert watcher.returncode == 4
    assert "ended without a connection" in out
    assert "the run did not come to its end" in out


def test_ctrl_c_is_a_clean_end_with_verdicts(agreed: Agreement, real_redis: str) -> None:
    script = f"import sys; from harness.cli import main; sys.exit(main(['watch', '--redis', '{real_redis}']))"
    watcher = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    _await_watch(real_redis)
    for channel, wire in wires(agreed):
        redis.Redis.from_url(real_redis).publish(channel, wire)
    watcher.send_signal(signal.SIGINT)
    out, _ = watcher.communicate(timeout=20)
    assert watcher.returncode == 0
    assert "workbench:case:action 3 (" in out
    assert "9 kept" in out


def _await_watch(url: str) -> None:
    client, end = redis.Redis.from_url(url), time.monotonic() + 20
    while client.pubsub_numpat() < 2:
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "--redis: no URL was found"),
        (("--redis", "redis://:secret@127.0.0.1:1"), 4, "redis://:***@127.0.0.1:1: cannot be reached"),
        (("--redis", "localhost"), 2, "give redis://"),
        (("--redis", "redis://127.0.0.1", "--for", "soon"), 2, "a time such as 60s, 5m or 2h was expected"),
    ],
)
def test_what_is_wrong_with_the_call_is_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.delenv("HARNESS_REDIS_URL", raising=False)
    assert command(*arguments) == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert said in last
    assert "secret" not in last
    assert "embedded" not in last


# ---- The screen


def test_the_screen_shows_rates_clauses_and_the_bytes_of_the_latest_findings(agreed: Agreement) -> None:
    watch = Watch(agreed, WallClock())
    watch.begin(RUN)
    watch.take(0, b"workbench:alert", json.dumps({"message": "신규 🚨\x1b[2J"}, ensure_ascii=False).encode())
    shown = report.Screen(
        redis="redis://one",
        seconds=12,
        until=60,
        channels=watch.channels,
        rates={"workbench:alert": 1234.5},
        verdicts=watch.verdicts(),
        latest=tuple(watch.latest),
        notes=["a note"],
        lag=2.5,
        connected=False,
    )
    out = io.StringIO()
    Console(file=out, width=150).print(report.screen(shown))
    text = out.getvalue()
    assert "watching redis://one  12 s of 60 s  no connection  2.5 s behind" in text
    assert "1,234/s" in text
    assert "broken    must    publish.common-fields" in text
    assert "신규 🚨" in text
    assert "\x1b[2J" not in text
    assert "56 clauses are out of reach" in text
