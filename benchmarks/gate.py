"""A whole gate run, phase by phase: how long each took, and its share of the run.

    python -m benchmarks.gate

Prints the seconds of each phase as JSON, from a process that has loaded nothing yet.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time


class Phases:
    """Told the phase that is under way, each time something of it is done."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name = ""
        self._since = time.perf_counter()

    def __call__(self, name: str, done: int = 0, total: int | None = None) -> None:
        now = time.perf_counter()
        if self._name:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + now - self._since
        self._name, self._since = name, now


def phases() -> dict[str, float]:
    """Seconds, as `make gate` runs it."""
    told = Phases()
    told("modules loaded")
    from harness import agreement, checks, gate, replay, scenario
    from harness.schema import compile_schemas
    from harness.seats import Settings

    logging.getLogger("harness").addHandler(logging.NullHandler())  # what Synapse cannot read is no news here
    told("agreement read and compiled")
    known, settings = agreement.load(), Settings()
    compile_schemas(known)
    told("seats brought up")
    history = asyncio.run(gate.run(known, gate.Options(), settings, progress=told))
    told("scenarios, in virtual time")
    played = replay.play_all(known, scenario.load_all(), settings, replay.Conditions())
    told("judging")
    for each in (history, *(one.history for one in played)):
        checks.judge(known, each)
    told("")
    return told.seconds


def table() -> str:
    """Markdown."""
    run = subprocess.run([sys.executable, "-m", "benchmarks.gate"], check=True, capture_output=True, text=True)
    seconds: dict[str, float] = json.loads(run.stdout)
    whole = sum(seconds.values())
    rows = [f"| {name} | {took:.2f} | {took / whole:.0%} |" for name, took in seconds.items()]
    head = ["| phase of `make gate` | seconds | share |", "|---|--:|--:|"]
    return "\n".join([*head, *rows, f"| all | {whole:.2f} | 100% |"])


if __name__ == "__main__":
    print(json.dumps(phases()))
