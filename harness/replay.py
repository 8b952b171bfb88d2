"""Plays scenarios, each on systems of its own, and judges them: their expectations, and all clauses."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness import expect, virtual
from harness.agreement import Agreement
from harness.bus import open_bus
from harness.checks import judge
from harness.clock import Clock, VirtualClock, WallClock
from harness.expect import Judged, JudgedScenario
from harness.gate import Settings
from harness.history import FINISHED, History, Recorder
from harness.outage import CutOff, Restart
from harness.player import VIRTUAL, Pace, Player, wall
from harness.redis_server import RedisServer
from harness.runner import described, simulated
from harness.scenario import Scenario
from harness.verdict import Outcome, Verdict

SEATS = ("aura", "synapse", "workbench")
REACH = (
    "http",
    "redis",
    "stomp",
    "rest",
    "feedback",
    "trigger:detect",
    "trigger:rag",
    "trigger:hitl",
    "trigger:action",
)


@dataclass(frozen=True, slots=True)
class Played:
    """One scenario, played: its history, what became of its expectations and of the clauses, and how long it took."""

    judged: JudgedScenario
    verdicts: tuple[Verdict, ...]
    seconds: float
    """Of wall time."""

    @property
    def scenario(self) -> Scenario:
        return self.judged.scenario

    @property
    def history(self) -> History:
        return self.judged.history

    @property
    def expectations(self) -> tuple[Judged, ...]:
        return self.judged.expectations

    @property
    def virtual_seconds(self) -> float:
        return self.history[-1].at

    @property
    def outcome(self) -> Outcome:
        return self.outcome_without(())

    def outcome_without(self, waived: Collection[str]) -> Outcome:
        """A broken `must` breaks the scenario, too, unless its clause is waived."""
        musts = {each.outcome for each in self.verdicts if each.level == "must" and each.clause not in waived}
        return "broken" if "broken" in musts else self.judged.outcome


def play_all(
    agreement: Agreement,
    scenarios: Sequence[Scenario],
    settings: Settings,
    *,
    seed: int = 1,
    redis_url: str | None = None,
    timeout: float = 2.0,
    server: RedisServer | None = None,
    folder: Path | None = None,
    out: IO[str] | None = None,
    command: Sequence[str] = ("aura-harness", "replay"),
    told: Callable[[Played], None] = lambda played: None,
) -> tuple[Played, ...]:
    """`timeout` is Aura's for an answer on a real Redis, in seconds; embedded, time is virtual and it is the configured
    one. `server` is the one at the URL if it is ours to stop. Histories go into `folder`, a file each, or one after
    another to `out`. Raises HarnessError when Redis cannot be worked with.
    """
    played = []
    for scenario in scenarios:
        played.append(_play(agreement, scenario, settings, seed, redis_url, timeout, server, folder, out, command))
        told(played[-1])
    return tuple(played)


def _play(
    agreement: Agreement,
    scenario: Scenario,
    settings: Settings,
    seed: int,
    redis_url: str | None,
    timeout: float,
    server: RedisServer | None,
    folder: Path | None,
    out: IO[str] | None,
    command: Sequence[str],
) -> Played:
    began = time.monotonic()
    virtually = dataclasses.replace(VIRTUAL, timeout=settings.aura.hitl_timeout_seconds)
    pace = virtually if redis_url is None else wall(timeout)
    run = _run(agreement, scenario, settings, seed, redis_url, server, pace, folder, out, command)
    history = virtual.run(run) if redis_url is None else asyncio.run(run)
    return Played(
        judged=JudgedScenario(scenario, expect.judge(scenario, history), history),
        verdicts=judge(agreement, history),
        seconds=time.monotonic() - began,
    )


def publishes(scenario: Scenario) -> bool:
    """Whether the backend tells of its actions by itself, too (decision 10)."""
    return bool(scenario.given.settings.get("backend_publishes"))


async def _run(
    agreement: Agreement,
    scenario: Scenario,
    settings: Settings,
    seed: int,
    redis_url: str | None,
    server: RedisServer | None,
    pace: Pace,
    folder: Path | None,
    out: IO[str] | None,
    command: Sequence[str],
) -> History:
    clock: Clock = VirtualClock() if redis_url is None else WallClock()
    aura = dataclasses.replace(settings.aura, hitl_timeout_seconds=pace.timeout)
    synapse = dataclasses.replace(settings.synapse, action_publish_completed=publishes(scenario))
    name = f"r{seed}-{scenario.name}"
    own = (folder / f"{scenario.name}.jsonl").open("w", encoding="utf-8") if folder else None
    try:
        recorder = Recorder(clock, own or out)
        async with open_bus(redis_url) as bus:
            repeats, kind = (*command, scenario.name), "virtual" if redis_url is None else "wall"
            recorder.record("run", described(agreement, bus, seed, SEATS, REACH, repeats, time=kind))
            async with simulated(bus, recorder, clock, seed, aura, synapse) as pair:
                links = (pair.aura.link, pair.synapse.link)
                ours = Restart(server, bus, links) if server else CutOff(links) if redis_url is None else None
                await Player(scenario, name, pair, bus, recorder, clock, aura.jwt_secret, pace, ours).play()
                bus.must_have_listened()
            recorder.record("step", {"do": FINISHED})
    finally:
        if own is not None:
            own.close()
    return recorder.history()
