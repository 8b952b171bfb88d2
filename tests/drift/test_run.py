"""A slice of the matrix: one deviation at every seam, and none at all. CI runs the whole of it."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from multiprocessing.connection import wait

import pytest

from harness import replay, scenario
from harness.agreement import Agreement
from harness.drift import run as runs
from harness.drift.catalogue import named
from harness.drift.matrix import matrix
from harness.drift.run import Task, run, run_all
from harness.scenario import Scenario

SEAMS = {
    "a setting": "aura.rag-on-the-alert-channel",
    "the request handler": "aura.expired-tokens-accepted",
    "the answer": "aura.history-id-is-back",
    "the payload before it is encoded": "aura.case-id-renamed",
    "the bytes": "aura.ascii-escapes",
    "the clock": "aura.clock-five-minutes-late",
    "the occasion": "aura.alert-for-medium",
    "the feedback line": "aura.feedback-last",
    "what is remembered": "aura.executor-left-over",
    "the answer to a request": "aura.any-session",
    "a timeout": "aura.timeout-late",
    "somebody else's rows": "aura.writes-document-status",
    "what is received": "synapse.stops-after-one-bad-message",
    "the subscription": "synapse.does-not-come-back",
    "the mapping": "synapse.time-of-receipt",
    "the store": "synapse.not-stored",
    "the broadcast": "synapse.dates-are-numbers",
    "the decision": "synapse.all-documents-updated",
    "the refetch": "workbench.from-the-cache",
}


@pytest.fixture(scope="module")
def stories() -> tuple[Scenario, ...]:
    return tuple(scenario.load_all())


@pytest.mark.parametrize("seam", SEAMS)
def test_a_deviation_is_caught_and_nobody_else_accused_at(
    seam: str, agreed: Agreement, stories: tuple[Scenario, ...]
) -> None:
    deviation = named(SEAMS[seam])
    seen = run(agreed, stories, Task(deviation.id, 1))
    (row,) = matrix(agreed.clauses, [(deviation, seen)], whole=False).rows
    assert (row.of("missed"), row.of("accused"), row.of("beyond")) == ((), (), ())


@pytest.mark.parametrize("seed", [1, 7])
def test_without_a_deviation_nothing_is_broken_and_nothing_in_reach_is_unproven(
    seed: int, agreed: Agreement, stories: tuple[Scenario, ...]
) -> None:
    seen = run(agreed, stories, Task("", seed))
    assert (seen.crash, seen.broken, seen.unproven, seen.out_of_reach, seen.stories) == ("", {}, {}, {}, {})


def test_a_scenario_that_is_not_kept_is_told_with_the_expectation_that_was_not(agreed: Agreement) -> None:
    story = scenario.load(scenario.scenarios_dir() / "reject-by-api.yaml")
    seen = run(agreed, [story], Task("aura.rejections-untold", 1))
    assert list(seen.stories) == ["reject-by-api"]
    assert re.match(r"scenarios/reject-by-api.yaml:\d+.*; seen: ", seen.stories["reject-by-api"])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("무엇"), "KeyError: '무엇' (test_run.py:"),
        (SystemExit(3), "SystemExit: 3 (test_run.py:"),
        (replay.Interrupted((), "Redis is gone"), "Interrupted: Redis is gone (test_run.py:"),
    ],
)
def test_what_keeps_a_run_from_its_end_is_told_with_its_place_whatever_it_is(
    error: BaseException, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(runs, "_world", lambda contracts: (None, ()))
    monkeypatch.setattr(runs, "run", broken)
    seen = runs._work(None, Task("aura.utf-16", 1))
    assert seen.crash.startswith(told)


def test_a_process_that_is_killed_loses_what_had_not_come_to_its_end_and_nothing_else() -> None:
    coming = run_all(None, [Task("aura.utf-16", 1), Task("", 1), Task("", 2)], 1)
    first = next(coming)
    for process in multiprocessing.active_children():
        process.kill()
    assert "publish.utf8-json" in first.broken
    assert [(each.task.seed, bool(each.crash)) for each in coming] == [(1, True), (2, True)]


def test_processes_ignore_an_interrupt_from_their_birth() -> None:
    coming = run_all(None, [Task("aura.utf-16", 1)], 1)
    interrupting = threading.Timer(0.05, interrupt_all)  # it is importing by then
    interrupting.start()
    (seen,) = coming
    interrupting.join()
    assert (seen.crash, "publish.utf8-json" in seen.broken) == ("", True)


def test_whoever_wants_no_more_waits_for_what_is_running_only() -> None:
    others = multiprocessing.active_children()
    coming = run_all(None, [Task("aura.utf-16", seed) for seed in range(100)], 1)
    next(coming)
    (process,) = (each for each in multiprocessing.active_children() if each not in others)
    coming.close()
    # Not `join`: the pool may have been told of its end before us.
    assert wait([process.sentinel], 30) == [process.sentinel]


def interrupt_all() -> None:
    for process in multiprocessing.active_children():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
