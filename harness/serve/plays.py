"""Scenarios, played into served systems that others use at the same time, each with ids and a history of its own."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis.exceptions import RedisError

from harness import expect
from harness.agreement import Agreement
from harness.backend import SimulatedBackend
from harness.bus import Bus
from harness.checks import judge
from harness.clock import Clock
from harness.errors import HarnessError
from harness.expect import JudgedScenario
from harness.history import FINISHED, History
from harness.outage import Outage
from harness.player import Player, wall
from harness.replay import REACH, Played, publishes
from harness.runner import AuraSeat, SynapseSeat, backend_headers, described, tapped_approvals
from harness.scenario import Scenario, Step
from harness.seats import Aura, Seats, Settings, Targets
from harness.serve.feed import Excerpt, Feed


class Impossible(HarnessError):
    """The scenario needs something that these systems were not started with."""


class Busy(HarnessError):
    """Another play goes on that this one would disturb, or that would disturb this one."""


@dataclass(frozen=True, slots=True)
class Systems:
    """What a play needs of what is served. `outage` is None where the Redis is not ours to stop."""

    aura: AuraSeat
    synapse: SynapseSeat
    bus: Bus
    feed: Feed
    clock: Clock
    settings: Settings
    outage: Outage | None
    seed: int


class Plays:
    def __init__(self, systems: Systems | None, agreement: Callable[[], Agreement], run: str) -> None:
        """`systems` is None where not both seats are served; `run` begins every id of every play."""
        self._systems = systems
        self._agreement = agreement
        self._run = run
        self._played = 0
        self._playing: dict[str, Scenario] = {}
        self._tasks: set[asyncio.Task[Played]] = set()

    @property
    def playing(self) -> tuple[str, ...]:
        """The runs that go on."""
        return tuple(self._playing)

    def must_be_possible(self, scenario: Scenario) -> Systems:
        """Raises Impossible with the reason."""
        if self._systems is None:
            raise Impossible(f"{scenario.name}: it goes through both systems; serve them with --seats aura,synapse")
        if self._systems.outage is None and any(map(_takes_away, scenario.steps)):
            raise Impossible(
                f"{scenario.name}: it takes Redis away, and this one is not ours; leave out --redis, or play it with "
                f"`aura-harness replay {scenario.name}`"
            )
        if publishes(scenario) is not self._systems.settings.synapse.action_publish_completed:
            found, expected = ("not ", "with") if publishes(scenario) else ("", "without")
            raise Impossible(
                f"{scenario.name}: the backend does {found}publish its completions here; serve it {expected} "
                "--publish-completed"
            )
        return self._systems

    async def play(self, scenario: Scenario, wait: float) -> Played:
        """`wait` is how many seconds Aura waits for an answer in this play. Raises Impossible or Busy, HarnessError
        when Redis is lost, and CancelledError when the systems stop."""
        systems = self.must_be_possible(scenario)
        disturbing = next((name for name, each in self._playing.items() if _alone(each) or _alone(scenario)), None)
        if disturbing is not None:
            raise Busy(f"{scenario.name}: it cannot be played beside {disturbing}, which is going on; try again later")
        self._played += 1
        name = f"{self._run}-{self._played}-{scenario.name}"
        self._playing[name] = scenario
        task = asyncio.create_task(self._play(systems, scenario, name, wait), name=f"play {name}")
        self._tasks.add(task)
        try:
            return await task
        finally:
            self._tasks.discard(task)
            del self._playing[name]

    async def stop(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _play(self, systems: Systems, scenario: Scenario, name: str, wait: float) -> Played:
        began, agreement = time.monotonic(), self._agreement()
        history = await _history(systems, scenario, name, wait, agreement)
        return Played(
            judged=JudgedScenario(scenario, expect.judge(scenario, history), history),
            verdicts=judge(agreement, history),
            seconds=time.monotonic() - began,
        )


async def _history(systems: Systems, scenario: Scenario, name: str, wait: float, agreement: Agreement) -> History:
    clock, bus = systems.clock, systems.bus
    settings = systems.settings.waiting(wait)
    recorder = Excerpt(systems.feed, clock, f"{name}-")
    command = ("aura-harness", "replay", scenario.name)
    recorder.record("run", described(agreement, bus, systems.seed, REACH, command, time="wall"))
    gaps = bus.gaps
    systems.feed.listeners[recorder.take] = None
    try:
        seat, parts = systems.aura, settings.parts
        async with tapped_approvals(
            settings.aura, seat.link, seat.actions, systems.feed, clock, parts.aura
        ) as approvals:
            aura = dataclasses.replace(Aura.simulated(systems.aura), approvals=approvals)
            publish = recorder.publishing(bus.publisher("harness"))
            headers = partial(backend_headers, settings.aura, clock)
            seats = Seats(aura, SimulatedBackend(systems.synapse), publish, headers, viewer=parts.viewer)
            player = Player(scenario, name, seats, Targets(), bus, recorder, clock, wall(wait), systems.outage)
            await player.play()
    except (OSError, RedisError) as error:
        raise HarnessError(f"{scenario.name}: {bus.description} was lost during the play ({error})") from error
    finally:
        del systems.feed.listeners[recorder.take]
    if bus.gaps > gaps:
        raise HarnessError(f"{scenario.name}: the connection to {bus.description} was lost during the play")
    recorder.record("step", {"do": FINISHED})
    return recorder.history()


def told(played: Played) -> dict[str, Any]:
    """What a play came to, as JSON: its outcome, where it stopped, what was expected, and which clauses are broken."""
    wrong = [each for each in played.expectations if each.outcome != "kept"]
    return {
        "scenario": played.scenario.name,
        "title": played.scenario.title,
        "outcome": played.outcome,
        "hop": next((each.hop for each in wrong if each.hop), None),
        "seat": next((each.seat for each in wrong if each.seat), None),
        "seconds": round(played.seconds, 3),
        "ids": expect.ids_of(played.history),
        "expectations": [
            {"where": each.step.where, "expected": each.expected, "outcome": each.outcome, "seen": each.seen}
            for each in played.expectations
        ],
        "clauses": [
            {
                "clause": verdict.clause,
                "level": verdict.level,
                "seat": verdict.seat,
                "promise": verdict.promise,
                "expected": verdict.findings[0].expected,
                "seen": verdict.findings[0].seen,
            }
            for verdict in played.verdicts
            if verdict.outcome == "broken"
        ],
    }


def _takes_away(step: Step) -> bool:
    """Redis from everybody, or from a seat."""
    return step.verb in ("stop redis", "start redis") or (step.verb in ("cut", "restore") and "seat" in step.arguments)


def _alone(scenario: Scenario) -> bool:
    """Whether another play would notice it, or be taken for it: messages without an id are told apart by their text."""
    return any(_takes_away(step) or (step.verb == "publish" and "ids" not in step.arguments) for step in scenario.steps)
