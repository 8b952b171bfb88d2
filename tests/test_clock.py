"""Time that never goes back, and ids that name their run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from harness import clock
from harness.clock import Ids, WallClock


class Machine:
    """What the clock reads of the machine: its monotonic clock, and a system time that somebody sets."""

    def __init__(self) -> None:
        self.monotonic_seconds = 1000.0
        self.system = datetime(2026, 2, 11, 14, 30, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.monotonic_seconds

    def now(self, zone: object) -> datetime:
        assert zone is UTC
        return self.system


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(clock, "time", machine)
    monkeypatch.setattr(clock, "datetime", machine)
    return machine


def test_a_run_begins_at_zero_and_at_the_moment_of_the_system(machine: Machine) -> None:
    ticking = WallClock()
    assert (ticking.elapsed(), ticking.now()) == (0, machine.system)


def test_both_readings_advance_together(machine: Machine) -> None:
    ticking = WallClock()
    began = ticking.now()
    machine.monotonic_seconds += 90.5
    assert ticking.elapsed() == 90.5
    assert ticking.now() == began + timedelta(seconds=90.5)


def test_a_correction_of_the_system_time_is_not_seen(machine: Machine) -> None:
    ticking = WallClock()
    began = ticking.now()
    machine.system -= timedelta(hours=1)
    machine.monotonic_seconds += 1
    assert ticking.now() == began + timedelta(seconds=1)


def test_the_real_clock_is_aware_and_in_utc() -> None:
    ticking = WallClock()
    first, second = ticking.now(), ticking.now()
    assert first.utcoffset() == timedelta(0)
    assert first <= second
    assert 0 <= ticking.elapsed() <= ticking.elapsed()


def test_ids_name_their_run_and_kind_and_count_each_kind_by_itself() -> None:
    ids = Ids("h7")
    assert [ids.next(kind) for kind in ("case", "case", "request", "case")] == [
        "h7-case-0001",
        "h7-case-0002",
        "h7-request-0001",
        "h7-case-0003",
    ]


def test_ids_go_on_after_four_digits() -> None:
    ids = Ids("h7")
    numbered = [ids.next("case") for _ in range(10_000)]
    assert numbered[-1] == "h7-case-10000"
    assert len({*numbered}) == 10_000


def test_ids_of_two_runs_never_meet() -> None:
    assert Ids("h1").next("case") != Ids("h2").next("case")
