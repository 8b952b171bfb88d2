"""Load runs as a whole, each a locust of its own: they are few and short, for what they are made of is tested apart."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from loading import COMMAND, NEEDED, Onlooker, alone, locust

from harness import history
from harness.agreement import Agreement
from harness.checks import judge
from harness.redis_server import private_server

pytestmark = NEEDED
SECRET = "a-secret-of-more-than-32-bytes-in-all"


def added_up(told: dict[str, Any], word: str) -> int:
    """Of all channels; a word of an account, or of its way over Redis."""
    return sum(account[word] if word in account else account["delivery"][word] for account in told["channels"].values())


@contextmanager
def served(redis_url: str) -> Iterator[str]:
    """The URL of both simulated systems, on this Redis."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "serve", "--port", "0", "--redis", redis_url, "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
        env={**alone(), "JWT_SECRET": SECRET},
    )
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


def test_two_processes_come_to_one_ledger_and_to_a_history_that_is_judged(tmp_path: Path, agreed: Agreement) -> None:
    asked = ["-u", "20", "-t", "2s", "--processes", "2", "--max-p95", "mapped=1us", "--min-rate", "1"]
    with locust(tmp_path, *asked) as run, Onlooker(run.redis_url, run.id) as onlooker:
        code = run.end()
    told = run.told()
    assert told["workers"] == [0, 1], run.rest
    assert added_up(told, "sent") == added_up(told, "accepted") == added_up(told, "reached") >= onlooker.seen > 100
    assert added_up(told, "lost") == added_up(told, "duplicated") == added_up(told, "in_gap") == 0
    for hop in ("HTTP record", "Redis delivery", "mapped", "broadcast"):
        assert f" {hop} " in run.rest
    recorded = history.load(run.history)
    assert len(recorded.of("published")) == len(recorded.of("broadcast")) == added_up(told, "sent")
    found = {verdict.clause: verdict for verdict in judge(agreed, recorded)}
    assert {clause for clause, verdict in found.items() if verdict.outcome == "broken"} == set()
    assert found["publish.once"].exercised == told["channels"]["workbench:case:action"]["sent"]
    # The p95 may round to nothing, and then the threshold is kept.
    assert code == ("fault mapped: p95" in run.rest)


def test_what_was_published_while_the_subscriber_was_cut_off_is_the_gaps_and_is_counted_exactly(
    tmp_path: Path,
) -> None:
    with locust(tmp_path, "-u", "40", "-t", "4s") as run, Onlooker(run.redis_url, run.id) as onlooker:
        onlooker.wait_for(100)
        with redis.Redis.from_url(run.redis_url) as killer:
            ends = time.monotonic() + 2
            while time.monotonic() < ends:
                for client in killer.client_list(_type="pubsub"):
                    if client["name"] == f"aura-harness-load-{run.id}-w0":
                        killer.client_kill_filter(_id=client["id"])
        code = run.end()
    told = run.told()
    assert onlooker.seen == added_up(told, "accepted"), run.rest
    assert onlooker.seen - added_up(told, "reached") == added_up(told, "in_gap") > 100
    assert added_up(told, "in_gap") == sum(gap["lost"] for gap in told["gaps"])
    assert (added_up(told, "lost"), code) == (0, 0)


def test_without_redis_for_two_seconds_refused_and_lost_are_told_apart(tmp_path: Path) -> None:
    with private_server() as server, served(server.url) as url:
        asked = ["-u", "40", "-t", "4s", "--host", url, "--synapse", url, "--redis-url", server.url]
        with locust(tmp_path, *asked, "--secret", SECRET) as run:
            with Onlooker(server.url, run.id) as onlooker:
                onlooker.wait_for(100)
            server.stop()
            time.sleep(2)  # which is what is tried
            server.start()
            code = run.end()
    told = run.told()
    assert added_up(told, "refused") > 100, run.rest
    # Aura answers that it has recorded what it cannot publish; that is lost in the gap, and not refused.
    assert told["channels"]["workbench:case:action"]["refused"] == 0
    assert told["channels"]["workbench:case:action"]["delivery"]["in_gap"] > 50
    assert added_up(told, "lost") == added_up(told, "duplicated") == 0
    assert added_up(told, "accepted") + added_up(told, "indeterminate") >= added_up(told, "reached")
    assert added_up(told, "accepted") <= added_up(told, "reached") + added_up(told, "in_gap")
    assert code == 1  # locust's own, for what was refused


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_by_a_signal_tells_its_ledger_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    with locust(tmp_path, "-u", "10") as run:
        with Onlooker(run.redis_url, run.id) as onlooker:
            onlooker.wait_for(50)
        run.process.send_signal(number)
        run.end()
    assert "nothing lost, nothing malformed" in run.rest
    assert added_up(run.told(), "accepted") >= 50
    for url in (run.redis_url, run.said["synapse"].split()[-1], run.said["aura"].split()[-1]):
        parts = urlsplit(url)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((parts.hostname or "", parts.port or 0), 1)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--redis-url", "redis://127.0.0.1:1"], 2, "--redis-url (also HARNESS_REDIS_URL) is given without --host"),
        (["--host", "http://127.0.0.1:1", "--processes", "2"], 2, "--host is given without --redis-url"),
        (
            ["--host", "http://127.0.0.1:1", "--redis-url", "redis://127.0.0.1:1", "--secret", SECRET],
            4,
            "--redis-url redis://127.0.0.1:1: cannot be reached",
        ),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_sent(arguments: list[str], code: int, told: str) -> None:
    found = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, env=alone())
    assert (found.returncode, told in found.stderr) == (code, True), found.stderr
