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
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from harness import gate, replay, scenario, virtual
from harness.agreement import Agreement, load
from harness.checks import judge
from harness.clock import VirtualClock
from harness.drift.catalogue import named
from harness.drift.deviation import AS_AGREED, Deviation
from harness.gate import Options
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
    reason. `crash` is why there was no run at all."""

    task: Task
    seconds: float
    broken: Mapping[str, str] = field(default_factory=dict)
    unproven: Mapping[str, str] = field(default_factory=dict)
    out_of_reach: Mapping[str, str] = field(default_factory=dict)
    crash: str = ""


def run(agreement: Agreement, scenarios: Sequence[Scenario], task: Task) -> Seen:
    began = time.monotonic()
    deviation = named(task.deviation) if task.deviation else None
    try:
        verdicts = _verdicts(agreement, scenarios, deviation, task.seed)
    except Exception as error:  # whatever a deviation has done to it, the others are due
        return Seen(task, time.monotonic() - began, crash=_told(error))
    unproven = [verdict for verdict in verdicts if verdict.outcome == "unproven"]
    return Seen(
        task,
        time.monotonic() - began,
        {verdict.clause: _first(verdict) for verdict in verdicts if verdict.outcome == "broken"},
        {verdict.clause: verdict.reason for verdict in unproven if verdict.in_reach},
        {verdict.clause: verdict.reason for verdict in unproven if not verdict.in_reach},
    )


def run_all(contracts: Path | None, tasks: Sequence[Task], jobs: int) -> Iterator[Seen]:
    """In the order of the tasks, each as soon as it and those before it are done. Upon Ctrl-C the processes end."""
    # Forked from a process that runs threads, a child may hang; spawned, it is the same on every platform.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)) or 1, context, _begin, (contracts,))
    try:
        yield from pool.map(_work, tasks)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _verdicts(
    agreement: Agreement, scenarios: Sequence[Scenario], deviation: Deviation | None, seed: int
) -> tuple[Verdict, ...]:
    settings = AS_AGREED if deviation is None else deviation.of_settings()
    options = Options(seed=seed, examples=EXAMPLES, without=frozenset({"schemathesis"}))
    history = virtual.run(gate.run(agreement, options, settings, clock=VirtualClock()))
    if not history.complete:
        raise RuntimeError(f"the run did not come to its end: {history.why}")
    played = replay.play_all(agreement, scenarios, settings, replay.Conditions(seed=seed))
    return merged([judge(agreement, history), *(each.verdicts for each in played)])


def _first(verdict: Verdict) -> str:
    finding = verdict.findings[0]
    return f"{finding.expected}; seen: {finding.seen}"


def _told(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"


_world: tuple[Agreement, tuple[Scenario, ...]]


def _begin(contracts: Path | None) -> None:
    """In a new process: what all of its runs share. It ends when the first process says so, not upon Ctrl-C."""
    global _world
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("harness", "hitl_feedback"):  # what deviating seats log is what they are meant to do
        logging.getLogger(name).addHandler(logging.NullHandler())
    _world = load(contracts), tuple(scenario.load_all())
    # A run leaves cycles behind, all at its end; looking for them on the way takes a tenth of its time.
    gc.freeze()
    gc.disable()


def _work(task: Task) -> Seen:
    seen = run(*_world, task)
    gc.collect()
    return seen
