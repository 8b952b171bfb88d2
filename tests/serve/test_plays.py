"""Scenarios played into systems that go on being used, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from harness import scenario
from harness.agreement import Agreement
from harness.aura.settings import Settings as AuraSettings
from harness.bus import open_bus
from harness.clock import VirtualClock
from harness.outage import CutOff
from harness.replay import Played, publishes
from harness.runner import backend_headers, recorded_at, simulated_aura, simulated_synapse
from harness.scenario import Scenario
from harness.seats import Settings
from harness.serve.feed import Feed
from harness.serve.plays import Busy, Impossible, Plays, Systems, told
from harness.synapse.settings import Settings as SynapseSettings
from harness.virtual import run


def named(name: str) -> Scenario:
    return scenario.load(scenario.scenarios_dir() / f"{name}.yaml")


@asynccontextmanager
async def served(
    agreed: Agreement, *, ours: bool = True, aura: AuraSettings | None = None, completes: bool = False
) -> AsyncIterator[tuple[Plays, Systems]]:
    clock = VirtualClock()
    feed = Feed(clock)
    settings = Settings(aura or AuraSettings(), SynapseSettings(action_publish_completed=completes))
    async with open_bus(None) as bus:
        await bus.tap(feed)
        async with simulated_aura(bus, feed, clock, settings.aura) as first:
            record = partial(recorded_at, first.app, partial(backend_headers, settings.aura, clock))
            async with simulated_synapse(bus, feed, clock, 1, settings.synapse, record) as second:
                outage = CutOff(bus, (first.link, second.link)) if ours else None
                systems = Systems(first, second, bus, feed, clock, settings, outage, 1)
                yield Plays(systems, lambda: agreed, "s1"), systems


@pytest.mark.parametrize("name", [path.stem for path in scenario.paths()])
def test_every_scenario_is_kept_in_served_systems_as_in_its_own(name: str, agreed: Agreement) -> None:
    story = named(name)

    async def scene() -> Played:
        async with served(agreed, completes=publishes(story)) as (plays, _):
            return await plays.play(story, 2.0)

    played = run(scene())
    assert (played.outcome, told(played)["clauses"]) == ("kept", [])


@pytest.mark.parametrize("left", ["stop redis:", "cut: {seat: synapse}"])
def test_what_a_play_leaves_taken_away_is_there_for_the_next(left: str, agreed: Agreement, tmp_path: Path) -> None:
    path = tmp_path / "left.yaml"
    path.write_text(f"title: 남겨진 것\nsteps:\n  - {left}\n  - expect no publish: {{}}\n", encoding="utf-8")

    async def scene() -> list[Played]:
        async with served(agreed) as (plays, _):
            return [await plays.play(story, 2.0) for story in (scenario.load(path), named("approve-by-signal"))]

    assert [played.outcome for played in run(scene())] == ["kept", "kept"]


def test_plays_at_once_and_the_work_of_others_do_not_disturb_each_other(agreed: Agreement) -> None:
    names = ["approve-by-signal", "approve-by-signal", "reject-by-api", "timeout", "recorded-twice"]

    async def scene() -> list[Played]:
        async with served(agreed) as (plays, systems):
            working = asyncio.create_task(others(systems))
            try:
                return await asyncio.gather(*(plays.play(named(name), 2.0) for name in names))
            finally:
                working.cancel()

    async def others(systems: Systems) -> None:
        """Detections of somebody else, and messages that nobody can read, all the time."""
        number = 0
        while True:
            number += 1
            await systems.aura.publishers.case_created(f"somebody-{number}", "HIGH", 0.5)
            await systems.bus.publisher("harness")("workbench:alert", b"\xff unreadable")
            await asyncio.sleep(0.02)

    played = run(scene())
    assert [told(each)["outcome"] for each in played] == ["kept"] * 5
    ids = [str(told(each)["ids"]) for each in played]
    assert len(set(ids)) == 5


@pytest.mark.parametrize("name", ["redis-gone", "subscriber-cut-off", "malformed-between-good"])
def test_what_others_would_notice_or_could_not_be_told_apart_is_played_alone(name: str, agreed: Agreement) -> None:
    async def scene() -> tuple[str, str, str]:
        async with served(agreed) as (plays, _):
            first = asyncio.create_task(plays.play(named("approve-by-api"), 2.0))
            await asyncio.sleep(0)
            with pytest.raises(Busy, match="approve-by-api, which is going on; try again later"):
                await plays.play(named(name), 2.0)
            outcome = (await first).outcome
            second = asyncio.create_task(plays.play(named(name), 2.0))
            await asyncio.sleep(0)
            with pytest.raises(Busy, match=f"beside s1-2-{name}"):
                await plays.play(named("approve-by-api"), 2.0)
            return outcome, (await second).outcome, (await plays.play(named("approve-by-api"), 2.0)).outcome

    assert run(scene()) == ("kept", "kept", "kept")


@pytest.mark.parametrize(
    ("name", "completes", "ours", "why"),
    [
        ("redis-gone", False, False, "it takes Redis away, and this one is not ours; leave out --redis"),
        ("subscriber-cut-off", False, False, "it takes Redis away"),
        ("backend-publishes-too", False, True, "does not publish its completions here; serve it with --publish-c"),
        ("approve-by-api", True, True, "does publish its completions here; serve it without --publish-completed"),
    ],
)
def test_what_cannot_be_played_here_is_told_with_the_reason(
    name: str, completes: bool, ours: bool, why: str, agreed: Agreement
) -> None:
    async def scene() -> None:
        async with served(agreed, ours=ours, completes=completes) as (plays, _):
            await plays.play(named(name), 2.0)

    with pytest.raises(Impossible, match=why):
        run(scene())


def test_one_seat_alone_cannot_play(agreed: Agreement) -> None:
    with pytest.raises(Impossible, match="serve them with --seats aura,synapse"):
        Plays(None, lambda: agreed, "s1").must_be_possible(named("timeout"))


def test_a_fault_of_a_served_system_is_told_with_its_hop_and_its_clauses(agreed: Agreement) -> None:
    async def scene() -> Played:
        async with served(agreed, aura=AuraSettings(case_action_redis_channel="elsewhere")) as (plays, _):
            return await plays.play(named("approve-by-signal"), 2.0)

    answer = told(run(scene()))
    assert (answer["outcome"], answer["hop"], answer["seat"]) == ("broken", "Redis message", "aura")
    broken = {each["clause"]: each["seat"] for each in answer["clauses"]}
    assert broken["hitl.approve-recorded"] == "aura"
    assert {each["where"].rsplit(":", 2)[0] for each in answer["expectations"]} == {"scenarios/approve-by-signal.yaml"}


def test_stopping_ends_plays_and_the_answers_they_wait_for(agreed: Agreement) -> None:
    async def scene() -> tuple[bool, float]:
        async with served(agreed) as (plays, systems):
            playing = asyncio.create_task(plays.play(named("timeout"), 100.0))
            await asyncio.sleep(5)
            await plays.stop()
            await asyncio.wait({playing})
            return playing.cancelled(), systems.clock.elapsed()

    assert run(scene()) == (True, 5.0)
