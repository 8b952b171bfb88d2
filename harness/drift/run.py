"""One run under a deviation, or under none, on virtual time: samples, curated calls, generated messages, and every
scenario, judged together. Many of them are spread over processes.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import signal
import time
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from harness import gate, replay, scenario, virtual
from harness.agreement import Agreement, load
from harness.checks import judge
from harness.clock import VirtualClock
from harness.drift.catalogue import named
from harness.drift.deviation import AS_AGREED
from harness.gate import Options
from harness.replay import Played
from harness.scenario import Scenario
from harness.verdict import Verdict, merged

EXAMPLES = 20
"""Generated messages and calls of each kind."""


@dataclass(frozen=True, slots=True)
class Task:
    """A deviation by its id, or none where that is empty."""

    deviation: str
    seed: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a run. `broken` has the first finding of each clause in a line; `unproven` and `out_of_reach` the
    reason; `stories` the scenarios that were not kept, each with its first expectation that was not. `crash` is why
    there was no run at all."""

    task: Task
    seconds: float
    broken: Mapping[str, str] = field(default_factory=dict)
    unproven: Mapping[str, str] = field(default_factory=dict)
    out_of_reach: Mapping[str, str] = field(default_factory=dict)
    crash: str = ""
    stories: Mapping[str, str] = field(default_factory=dict)


def run(agreement: Agreement, scenarios: Sequence[Scenario], task: Task) -> Seen:
    """Raises whatever a deviation has done to it."""
    began = time.monotonic()
    settings = named(task.deviation).of_settings() if task.deviation else AS_AGREED
    options = Options(seed=task.seed, examples=EXAMPLES, without=frozenset({"schemathesis"}))
    history = virtual.run(gate.run(agreement, options, settings, clock=VirtualClock()))
    if not history.complete:
        raise RuntimeError(f"the run did not come to its end: {history.why}")
    played = replay.play_all(agreement, scenarios, settings, replay.Conditions(seed=task.seed))
    verdicts = merged([judge(agreement, history), *(each.verdicts for each in played)])
    unproven = [verdict for verdict in verdicts if verdict.outcome == "unproven"]
    return Seen(
        task,
        time.monotonic() - began,
        {verdict.clause: _first(verdict) for verdict in verdicts if verdict.outcome == "broken"},
        {verdict.clause: verdict.reason for verdict in unproven if verdict.in_reach},
        {verdict.clause: verdict.reason for verdict in unproven if not verdict.in_reach},
        stories={each.scenario.name: _first_wrong(each) for each in played if each.judged.wrong},
    )


def run_all(contracts: Path | None, tasks: Sequence[Task], jobs: int) -> Generator[Seen, None, None]:
    """In the order of the tasks, each as soon as it and those before it are done. Upon Ctrl-C the processes end; where
    one of them dies, what they all had not come to is a crash."""
    # Forked from a process that runs threads, a child may hang; spawned, it is the same on every platform.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)) or 1, context, _begin)
    with _not_interrupted():
        due = [pool.submit(_work, contracts, task) for task in tasks]
    try:
        for task, future in zip(tasks, due, strict=True):
            yield _came_of(task, future)
    finally:
        for future in due:  # shutdown forgets to, once nobody holds the pool
            future.cancel()
        pool.shutdown(wait=False)


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """Processes that are started meanwhile ignore Ctrl-C from their birth: they end when the first one says so."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _came_of(task: Task, future: Future[Seen]) -> Seen:
    try:
        return future.result()
    except BrokenProcessPool:
        return Seen(task, 0.0, crash="a process was killed before this had come to its end")


def _first(verdict: Verdict) -> str:
    finding = verdict.findings[0]
    return f"{finding.expected}; seen: {finding.seen}"


def _first_wrong(played: Played) -> str:
    where, wrong = next(iter(played.judged.wrong.items()))
    return f"{where}: {wrong.expected}; seen: {wrong.seen}"


def _told(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    why = error.why if isinstance(error, replay.Interrupted) else error
    return f"{type(error).__name__}: {why} ({Path(where.filename).name}:{where.lineno})"


def _begin() -> None:
    """In a new process."""
    for name in ("harness", "hitl_feedback"):  # what deviating seats log is what they are meant to do
        logging.getLogger(name).addHandler(logging.NullHandler())
    # A run leaves cycles behind, all at its end; looking for them on the way takes a tenth of its time.
    gc.disable()


@cache
def _world(contracts: Path | None) -> tuple[Agreement, tuple[Scenario, ...]]:
    """What all runs of a process share."""
    world = load(contracts), tuple(scenario.load_all())
    gc.freeze()
    return world


def _work(contracts: Path | None, task: Task) -> Seen:
    began = time.monotonic()
    try:
        return run(*_world(contracts), task)
    except BaseException as error:  # whatever a deviation has done to it, an exit too, the others are due
        return Seen(task, time.monotonic() - began, crash=_told(error))
    finally:
        gc.collect()
