"""What a run comes to: its exit code, what is said of it, and its files."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.agreement import Agreement
from harness.history import load
from harness.ledger import DELIVERY, Account, Gap, Hop, Result
from harness.load import options
from harness.load.conclusion import conclude, write
from harness.load.options import Options
from harness.load.recording import Parts
from harness.load.run import LostError
from harness.load.session import measured, only_losses
from harness.load.thresholds import Measured

ALERT = "workbench:alert"
HOPS = {DELIVERY: Measured(p95=0.01, rate=10.0, count=100)}


def result(lost: int = 0, in_gap: int = 0, malformed: int = 0, drained: bool = True) -> Result:
    reached = 100 - lost - in_gap
    delivery = Hop(reached=reached, lost=lost, in_gap=in_gap)
    account = Account(sent=100, accepted=100, mapped=reached - malformed, malformed=malformed, delivery=delivery)
    gaps = (Gap(DELIVERY, "it was cut", 1.0, 3.0, lost=in_gap),) if in_gap else ()
    return Result("l1", (0,), {ALERT: account}, gaps=gaps, seconds=10.0, drained=drained)


def asked(*arguments: str) -> Options:
    parser = argparse.ArgumentParser()
    options.add(parser)
    return options.read(parser.parse_args(arguments))


def test_a_run_that_keeps_everything_is_without_a_fault() -> None:
    found = conclude(result(), {}, asked("--max-p95", "Redis delivery=10ms", "--min-rate", "10"), HOPS, {})
    assert found.faults == ()
    assert found.text.endswith("\nnothing lost, nothing malformed: every threshold is kept")


def test_what_a_gap_took_is_told_and_is_no_fault() -> None:
    found = conclude(result(in_gap=7), {}, asked(), HOPS, {})
    assert found.faults == ()
    assert (
        "nothing lost but 7 in gaps, nothing malformed: every threshold is kept, as far as gaps let it be seen"
        in found.text
    )
    assert "gap   Redis delivery of worker 0, 2.000 s: 7 lost in it (it was cut)" in found.text


def test_the_table_names_channels_hops_gaps_and_ids() -> None:
    came = replace(result(lost=1, in_gap=7), first={"lost: Redis delivery": ("l1-w0-2", "l1-w0-3")})
    shown = conclude(came, {}, asked(), HOPS, {}).text
    assert shown.splitlines()[0] == "ledger of l1: 100 sent in 10.0 s, 10 accepted a second"
    assert "gaps  Redis delivery: 1, 1 of them ended by a reconnect; 7 lost in them" in shown
    assert "gap   Redis delivery of worker 0, 2.000 s: 7 lost in it (it was cut)" in shown
    assert "first lost: Redis delivery: l1-w0-2 l1-w0-3" in shown
    sent, delivered, mapped = (line.split() for line in shown.splitlines() if line.startswith("all "))
    assert sent == ["all", "100", "100", "0", "0", "0"]
    assert delivered == ["all", "Redis", "delivery", "92", "1", "7", "0", "0"]
    assert mapped == ["all", "mapped", "92", "0"]


@pytest.mark.parametrize(
    ("came", "missing", "arguments", "fault"),
    [
        (result(lost=1), {}, (), "1 lost, or later than 3 s; at most 0 may be"),
        (result(lost=1), {}, ("--quiet-seconds", "9"), "1 lost, or later than 9 s; at most 0 may be"),
        (result(in_gap=2), {}, ("--max-in-gap", "1"), "Redis delivery: 2 lost in gaps, at most 1 may be"),
        (result(lost=3), {}, ("--max-lost", "2"), "3 lost, or later than 3 s; at most 2 may be"),
        (result(malformed=1), {}, (), "1 malformed, none may be"),
        (result(drained=False), {}, (), "messages still came when the drain was given up"),
        (result(), {"w": "it is gone"}, (), "the part of worker w is missing: it is gone"),
        (result(), {}, ("--max-p95", "Redis delivery=9ms"), "Redis delivery: p95 10 ms, at most 9 ms was expected"),
        (result(), {}, ("--min-rate", "11"), "accepted: 10.0 a second, at least 11 was expected"),
    ],
)
def test_each_fault_is_told(came: Result, missing: dict[str, str], arguments: tuple[str, ...], fault: str) -> None:
    found = conclude(came, missing, asked(*arguments), HOPS, {})
    assert any(told.startswith(fault) for told in found.faults)
    assert f"\nfault {fault}" in found.text
    assert "every threshold is kept" not in found.text


def test_users_that_were_to_run_and_sent_nothing_are_a_fault_with_what_to_do() -> None:
    found = conclude(result(), {}, asked(), HOPS, {"Detector": ALERT, "Trainer": "workbench:rag:status"})
    (fault,) = found.faults
    assert fault.startswith("Trainer: nothing was sent on workbench:rag:status; give each class a user (-u 4 at least)")


def test_as_many_may_be_lost_as_was_said() -> None:
    found = conclude(result(lost=2), {}, asked("--max-lost", "2"), HOPS, {})
    assert (found.faults, found.text.splitlines()[-1]) == (
        (),
        "2 lost, nothing malformed: every threshold is kept",
    )


def test_the_files_that_were_asked_for_are_written(tmp_path: Path, agreed: Agreement) -> None:
    ledger, history = tmp_path / "ledger.json", tmp_path / "history.jsonl"
    read = asked("--ledger", str(ledger), "--history", str(history))
    came = result(in_gap=7)
    run = {
        "harness": "0",
        "agreement": agreed.version,
        "seats": {},
        "reach": [],
        "redis": "",
        "seed": 1,
        "tolerance": 0,
        "command": [],
    }
    parts = Parts()
    write(came, conclude(came, {}, read, HOPS, {}), parts, read, run, datetime(2026, 1, 1, tzinfo=UTC))
    told = json.loads(ledger.read_text(encoding="utf-8"))
    assert (told["lost"], told["rate"], told["faults"], "exit_code" in told) == (0, 10.0, [], False)
    recorded = load(history)
    assert recorded.complete
    assert [event.data["lost"] for event in recorded.of("step") if event.data["do"] == "left-out"] == [7]


class Entry:
    """Of locust's statistics, as far as they are read."""

    total_rps = 20.0

    def __init__(self, requests: int, without_time: int, failures: int) -> None:
        self.num_requests, self.num_none_requests, self.num_failures = requests, without_time, failures

    def get_response_time_percentile(self, percent: float) -> int:
        assert percent == 0.95
        return 30


class Stats:
    def __init__(self, *errors: object) -> None:
        self.entries = {(DELIVERY, "REDIS"): Entry(10, 4, 5)}
        self.errors = {number: SimpleNamespace(error=error) for number, error in enumerate(errors)}


def test_locusts_figures_are_seconds_and_a_rate_of_what_did_not_fail() -> None:
    assert measured(Stats()) == {DELIVERY: Measured(p95=0.03, rate=10.0, count=6)}


def test_a_run_in_which_so_many_may_be_lost_is_not_ended_with_locusts_own_1_for_them() -> None:
    assert only_losses(Stats(LostError("lost"), "LostError('lost')"))
    assert not only_losses(Stats(LostError("lost"), ConnectionResetError()))
    assert not only_losses(Stats())
