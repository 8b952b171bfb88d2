"""Plays scenarios, each on systems of its own, and judges them: their expectations, and all clauses."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from harness import expect, gate, virtual
from harness.agreement import Agreement
from harness.bus import Bus, open_bus
from harness.checks import judge
from harness.clock import Clock, Ids, VirtualClock, WallClock, time_of
from harness.errors import HarnessError
from harness.expect import Judged, JudgedScenario
from harness.history import History, Recorder
from harness.outage import CutOff, Outage, Restart
from harness.player import VIRTUAL, Pace, Player, wall
from harness.redaction import Redaction
from harness.redis_server import RedisServer
from harness.runner import described, to_its_end, unless_lost
from harness.scenario import Scenario, Step
from harness.seats import Seats, Settings, Targets, brought_up
from harness.verdict import Outcome, Verdict

REACH = (*gate.REACH, "trigger:action")
ACTIONS = 20
"""How many actions a replay leaves behind at a live Aura, unless more are allowed."""
MOST_TELLING = ("approve-by-signal", "reject-by-signal", "timeout", "approve-by-api", "reject-by-api")
_BADNESS: Mapping[Outcome, int] = {"kept": 0, "unproven": 1, "broken": 2}


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


Rounds = Sequence[Sequence[Played]]
"""Each with the scenarios in their order."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or what kept a live run from going on, with what was played until then: whole stories, and at the end
    perhaps a part of one."""

    def __init__(self, rounds: Rounds, why: str = "") -> None:
        super().__init__()
        self.rounds = rounds
        self.why = why
        """What kept it from going on; empty upon Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which scenarios are played.

    `timeout` is how many seconds Aura waits for an answer on a real Redis; embedded, time is virtual and it is the one
    of the settings. `server` is the one at the URL if it is ours to stop. Histories go into `folder`, a file each.
    """

    seed: int = 1
    redis_url: str | None = None
    timeout: float = 2.0
    server: RedisServer | None = None
    targets: Targets = field(default_factory=Targets)
    allow_writes: bool = False
    redact: Redaction | None = None
    folder: Path | None = None
    command: Sequence[str] = ("aura-harness", "replay")


def play_all(
    agreement: Agreement,
    scenarios: Sequence[Scenario],
    settings: Settings,
    conditions: Conditions | None = None,
    *,
    out: IO[str] | None = None,
    told: Callable[[Played], None] = lambda played: None,
) -> tuple[Played, ...]:
    """Histories go to `out` one after another, where there is no folder for them. Raises HarnessError when a Redis or a
    live seat cannot be worked with, and Interrupted as `play_rounds` does.
    """
    (played,) = play_rounds(agreement, scenarios, settings, conditions, rounds=1, out=out, told=told)
    return tuple(played)


def play_rounds(
    agreement: Agreement,
    scenarios: Sequence[Scenario],
    settings: Settings,
    conditions: Conditions | None = None,
    *,
    rounds: int,
    out: IO[str] | None = None,
    told: Callable[[Played], None] = lambda played: None,
) -> Rounds:
    """As `play_all`, so often. What is left behind at live systems is counted over all of them.

    Raises Interrupted, with what was played until then, upon Ctrl-C and where a live run cannot go on.
    """
    chosen = conditions or Conditions()
    played: list[Played] = []
    refusals, _ = _allotted(scenarios, chosen, rounds)

    def in_rounds() -> Rounds:
        size = len(scenarios)
        return tuple(tuple(played[start : start + size]) for start in range(0, len(played), size))

    try:
        for number in range(1, rounds + 1):
            for scenario in scenarios:
                refused = refusals[len(played)]
                name = scenario.name if rounds == 1 else f"{scenario.name}-round-{number}"
                kept_in = chosen.folder / f"{name}.jsonl" if chosen.folder else None
                with kept_in.open("w", encoding="utf-8") if kept_in else nullcontext(out) as file:
                    played.append(_play(agreement, scenario, settings, chosen, file, prove=not played, refusal=refused))
                told(played[-1])
                if not played[-1].history.complete:
                    raise Interrupted(in_rounds(), played[-1].history.why)
    except Interrupted:
        raise
    except KeyboardInterrupt as stopped:
        raise Interrupted(in_rounds()) from stopped
    except HarnessError as lost:
        if not played or not chosen.targets.live or not lost.on_the_way:
            raise
        raise Interrupted(in_rounds(), str(lost)) from lost
    return in_rounds()


def by_scenario(rounds: Rounds) -> Iterator[tuple[Played, ...]]:
    """Of each scenario its rounds; an interrupted last one has fewer scenarios."""
    for place in range(len(rounds[0])):
        yield tuple(played[place] for played in rounds if place < len(played))


def worst(rounds: Rounds, waived: Collection[str] = ()) -> tuple[Played, ...]:
    """Of each scenario the round that went worst; the last of those that went alike."""

    def badness(played: Played) -> tuple[int, int]:
        return _BADNESS[played.outcome_without(waived)], _BADNESS[played.judged.outcome]

    return tuple(max(reversed(several), key=badness) for several in by_scenario(rounds))


def differing(rounds: Rounds) -> tuple[str, ...]:
    """The scenarios whose rounds did not write the same history, wall-clock stamps apart.

    Embedded and in virtual time there is nothing that they may differ by; on a real Redis they always do.
    """

    def without_wall(history: History) -> list[object]:
        return [(event.seq, event.at, event.kind, event.seat, event.about, event.data) for event in history]

    several = [
        [without_wall(played.history) for played in same if played.history.complete] for same in by_scenario(rounds)
    ]
    return tuple(
        played.scenario.name
        for played, histories in zip(rounds[0], several, strict=True)
        if any(each != histories[0] for each in histories)
    )


def leaves_behind(scenarios: Sequence[Scenario], conditions: Conditions, rounds: int) -> str:
    """What stays behind on live systems, in words; empty where all is simulated."""
    if not conditions.targets.live:
        return ""
    _, actions = _allotted(scenarios, conditions, rounds)
    more = "" if conditions.allow_writes else f", of {ACTIONS} that are allowed (more with --allow-writes)"
    return f"at most {actions} actions{more}, and their notifications; ids begin with r{conditions.seed}-"


def most_telling_first(scenarios: Sequence[Scenario]) -> tuple[Scenario, ...]:
    """Where not all of them may leave something behind, an approval, a rejection and a timeout do."""
    places = {name: place for place, name in enumerate(MOST_TELLING)}
    return tuple(sorted(scenarios, key=lambda scenario: places.get(scenario.name, len(places))))


def _allotted(scenarios: Sequence[Scenario], conditions: Conditions, rounds: int) -> tuple[list[str], int]:
    """Of every scenario of every round why it must not be played, empty where it may; and how many actions are left
    behind in all, with the one by which a live Aura is proven to be there."""
    refusals = []
    actions = 0 if conditions.targets.aura is None else 1
    for scenario in (*scenarios,) * rounds:
        leaves = _leaves(scenario)
        refusals.append(_refusal(scenario, conditions, leaves, ACTIONS - actions))
        actions += 0 if refusals[-1] else leaves
    return refusals, actions


def _refusal(scenario: Scenario, conditions: Conditions, leaves: int, left: int) -> str:
    """Why it must not be played; empty where it may."""
    waits = any(step.verb == "wait" and step.arguments["for"].timeouts for step in scenario.steps)
    if waits and not conditions.targets.knows_timeout:
        return (
            "how long the live Aura waits for an answer is not known; give --hitl-timeout S, or let [triggers.hitl] "
            "pass on {timeout}"
        )
    if conditions.targets.live and not conditions.allow_writes and leaves > left:
        return f"it leaves {leaves} actions behind, {left} more are allowed; --allow-writes allows them"
    return ""


def _leaves(scenario: Scenario) -> int:
    """How many actions it makes Aura record at the most."""

    def acts(step: Step) -> bool:
        return step.verb in ("record", "request approval") or step.arguments.get("by") == "api"

    acting = [step.arguments["case"] for step in scenario.steps if not step.expects and acts(step)]
    return sum(scenario.given.cases[case].copies for case in acting)


def _play(
    agreement: Agreement,
    scenario: Scenario,
    settings: Settings,
    conditions: Conditions,
    out: IO[str] | None,
    *,
    prove: bool,
    refusal: str,
) -> Played:
    began = time.monotonic()
    run = _run(agreement, scenario, settings, conditions, out, prove=prove, refusal=refusal)
    history = virtual.run(run) if conditions.redis_url is None else asyncio.run(run)
    return Played(
        judged=expect.rejudge(history) or expect.judged(scenario, history),
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
    conditions: Conditions,
    out: IO[str] | None,
    *,
    prove: bool,
    refusal: str,
) -> History:
    embedded, targets, seed = conditions.redis_url is None, conditions.targets, conditions.seed
    clock: Clock = VirtualClock() if embedded else WallClock()
    pace = _pace(settings, conditions)
    synapse = dataclasses.replace(settings.synapse, action_publish_completed=publishes(scenario))
    asked = dataclasses.replace(settings.waiting(pace.timeout), synapse=synapse)
    ids = Ids(f"r{seed}-{secrets.token_hex(3)}-{scenario.name}" if targets.live else f"r{seed}-{scenario.name}")
    recorder = Recorder(clock, out, conditions.redact.of_event) if conditions.redact else Recorder(clock, out)
    async with open_bus(conditions.redis_url) as bus:
        repeats = (*conditions.command, scenario.name)
        told = described(agreement, bus, seed, REACH, repeats, time=time_of(clock))
        recorder.record("run", told | (_described(targets) if targets.live else {}))
        up = brought_up(targets, bus, recorder, clock, ids, seed, asked, prove=prove)
        with to_its_end(bus, recorder) as begun:
            async with up as seats:
                begun.driven = targets.live
                outage = _outage(seats, bus, conditions)
                player = Player(scenario, ids.run, seats, targets, bus, recorder, clock, pace, outage, refusal)
                await unless_lost(player.play(), [bus.lost, *seats.losses] if targets.live else [])
                bus.must_have_listened()
    return recorder.history()


def _pace(settings: Settings, conditions: Conditions) -> Pace:
    if conditions.redis_url is None:
        return dataclasses.replace(VIRTUAL, timeout=settings.aura.hitl_timeout_seconds)
    targets = conditions.targets
    return wall(conditions.timeout if targets.aura is None else targets.waits)


def _described(targets: Targets) -> dict[str, Any]:
    """When a live backend commits is not seen, so that what has to come after it cannot be judged."""
    told = targets.described()
    return told | {"reach": [*told["reach"], *(["trigger:action"] if targets.synapse is None else [])]}


def _outage(seats: Seats, bus: Bus, conditions: Conditions) -> Outage | None:
    links = [link for link in (seats.aura.link, seats.backend.link) if link is not None]
    if conditions.server is not None:
        return Restart(conditions.server, bus, links)
    return CutOff(bus, links) if conditions.redis_url is None else None
