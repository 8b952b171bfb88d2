"""Load runs as a whole, each a locust of its own: they are few and short, for what they are made of is tested apart."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from loading import COMMAND, NEEDED, Onlooker, Run, alone, locust

from harness import history
from harness.agreement import Agreement
from harness.checks import judge
from harness.redis_server import private_server

pytestmark = NEEDED
SECRET = "a-secret-of-more-than-32-bytes-in-all"


def added_up(told: dict[str, Any], word: str) -> int:
    """Of all channels; a word of an account, or of its way over Redis."""
    return sum(account[word] if word in account else account["delivery"][word] for account in told["channels"].values())


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    process: subprocess.Popen[str]


@contextmanager
def served(redis_url: str) -> Iterator[Served]:
    """Both simulated systems, on this Redis."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "serve", "--port", "0", "--redis", redis_url, "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
        env={**alone(), "JWT_SECRET": SECRET},
    )
    with process:
        try:
            assert process.stdout is not None
            yield Served(process.stdout.readline().split()[1], process)
        finally:
            process.terminate()


def test_two_processes_come_to_one_ledger_and_to_a_history_that_is_judged(tmp_path: Path, agreed: Agreement) -> None:
    asked = ["-u", "20", "-t", "2s", "--processes", "2", "--max-p95", "mapped=1s", "--min-rate", "100000"]
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
    (fault,) = told["faults"]
    assert fault.startswith("accepted: ")
    assert fault.endswith(" a second, at least 100,000 was expected")
    assert (f"fault {fault}" in run.rest, code) == (True, 1)


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
    assert (told["lost"], added_up(told, "lost"), code) == (0, 0, 0)
    assert "every threshold is kept, as far as gaps let it be seen" in run.rest


def test_a_synapse_that_dies_in_the_middle_and_for_good_is_a_fault(tmp_path: Path) -> None:
    with private_server() as server, served(server.url) as aura, served(server.url) as synapse:
        asked = ["-u", "20", "-t", "3s", "--host", aura.url, "--synapse", synapse.url, "--redis-url", server.url]
        with locust(tmp_path, *asked, "--secret", SECRET) as run, Onlooker(server.url, run.id) as onlooker:
            onlooker.wait_for(100)
            synapse.process.kill()
            code = run.end()
    told = run.told()
    (gap,) = told["gaps"]
    assert (gap["hop"], gap["ended"], gap["excused"], gap["lost"] > 100) == ("broadcast", None, False, True), run.rest
    assert told["lost"] == gap["lost"]
    assert f"fault broadcast: gone to the end ({gap['why']}), {gap['lost']} lost" in run.rest
    assert (code, "every threshold is kept" in run.rest) == (1, False)


def test_without_redis_for_two_seconds_refused_and_lost_are_told_apart(tmp_path: Path) -> None:
    with private_server() as server, served(server.url) as both:
        asked = ["-u", "40", "-t", "4s", "--host", both.url, "--synapse", both.url, "--redis-url", server.url]
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
    assert [url for url in urls(run) if listens(url)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of the end of the one that started it")
def test_a_run_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    with locust(tmp_path, "-u", "10") as run:
        assert all(listens(url) for url in urls(run))
        run.process.kill()
        run.end()
    ends = time.monotonic() + 10
    while left := [url for url in urls(run) if listens(url)]:
        assert time.monotonic() < ends, left
        time.sleep(0.05)


def urls(run: Run) -> list[str]:
    """Of what an embedded run started."""
    return [run.redis_url, run.said["synapse"].split()[-1], run.said["aura"].split()[-1]]


def listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), 1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_wrong_secret_is_told_in_one_line(tmp_path: Path) -> None:
    with private_server() as server, served(server.url) as both:
        asked = ["--host", both.url, "--redis-url", server.url, "--secret", f"not-{SECRET}", "-L", "WARNING"]
        found = subprocess.run([*COMMAND, *asked], capture_output=True, text=True, check=False, env=alone())
    assert found.returncode == 4
    (line,) = found.stderr.splitlines()
    assert "a valid call was answered 401, 200 was expected; correct the secret" in line


def test_what_does_not_work_is_told_although_the_time_of_the_run_ends_first(tmp_path: Path) -> None:
    with private_server() as server, served(server.url) as both:
        asked = ["-t", "1s", "--host", both.url, "--redis-url", server.url, "--secret", SECRET, "-L", "WARNING"]
        with locust(tmp_path, *asked) as run:
            both.process.send_signal(signal.SIGSTOP)  # its connections are taken, and nothing is answered
            code = run.end()
        both.process.send_signal(signal.SIGCONT)
    assert (code, "cannot be reached (timed out)" in run.rest, "Traceback" in run.rest) == (4, True, False), run.rest


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
