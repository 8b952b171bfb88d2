"""A live system that is lost ends the run: what was recorded is judged, and nobody is blamed for the rest."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from other_aura import SECRET, other_aura
from serving import serving
from test_live_aura import triggers
from test_live_pair import processes, targets_of

from harness import gate, scenario, stories
from harness.agreement import Agreement
from harness.checks import judge
from harness.clock import Ids
from harness.gate import Options
from harness.history import History
from harness.http import App, Receive, Scope, Send, read_body, replay
from harness.live.aura import AuraTarget
from harness.redis_server import private_server
from harness.replay import Conditions, Interrupted, play_all
from harness.scenario import ScenarioError
from harness.seats import Settings, Targets


def broken(agreed: Agreement, history: History) -> set[str]:
    return {each.clause for each in judge(agreed, history) if each.outcome == "broken" and each.level == "must"}


class Acts(io.StringIO):
    """A history that acts once, when an event with this text was written so many times."""

    def __init__(self, text: str, times: int, act: Callable[[], object]) -> None:
        super().__init__()
        self.text, self.left, self.act = text, times, act

    def write(self, line: str, /) -> int:
        if self.text in line:
            self.left -= 1
            if self.left == 0:
                self.act()
        return super().write(line)


def hanging_up_on_what_is_no_json(app: App) -> App:
    """Ends the connection in the middle of the answer to such a body, as a server does that falls over."""

    async def hang_up(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body = await read_body(receive)
        if body[:1] == b"{":
            await app(scope, replay(body), send)
            return
        await send({"type": "http.response.start", "status": 422, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"{"})

    return hang_up


def test_an_aura_that_hangs_up_on_one_call_is_judged_by_what_came_before(
    agreed: Agreement, real_redis: str, tmp_path: Path
) -> None:
    async def run() -> History:
        app = hanging_up_on_what_is_no_json(other_aura(real_redis))
        async with serving(app) as port:
            target = AuraTarget(f"http://127.0.0.1:{port}/aura", secret=SECRET, patience=2.0)
            options = Options(redis_url=real_redis, targets=Targets(aura=target), quiet=0.2)
            return await gate.run(agreed, options, Settings())

    history = asyncio.run(run())
    assert not history.complete
    assert "--aura http://127.0.0.1:" in history.why
    assert "cannot be reached" in history.why
    verdicts = {each.clause: each.outcome for each in judge(agreed, history)}
    assert verdicts["http.accepted"] == "kept"
    assert broken(agreed, history) == set()


def test_a_redis_that_ends_ends_the_run_and_blames_nobody(agreed: Agreement, tmp_path: Path) -> None:
    feedback = tmp_path / "feedback.jsonl"
    feedback.touch()

    async def run(redis_url: str, stop: Callable[[], object]) -> History:
        async with serving(other_aura(redis_url, feedback)) as port:
            url = f"http://127.0.0.1:{port}"
            target = AuraTarget(f"{url}/aura", secret=SECRET, feedback=feedback, hitl_timeout=0.4)
            targets = Targets(aura=target, triggers=triggers(url))
            options = Options(redis_url=redis_url, targets=targets, quiet=0.2)
            return await gate.run(agreed, options, Settings(), out=Acts('"do":"detect"', 2, stop))

    with private_server() as server:
        history = asyncio.run(run(server.url, server.stop))
    assert not history.complete
    assert "was lost during the run" in history.why
    assert broken(agreed, history) == set()


OPENED_TWICE = """
title: A viewer is opened that is open.
given:
  cases: {odd: {}}
  viewers: {v: {shows: odd}}
steps:
  - open viewer: {viewer: v}
  - expect refetch: {viewer: v}
"""
ASKED = len(list(stories.representative(Ids("h1"), 1.0)))


@pytest.mark.parametrize(
    ("seat", "text", "times"),
    [("aura", '"do":"waiting"', ASKED), ("synapse", '"do":"publish"', 3)],
    ids=["aura", "synapse"],
)
def test_a_system_that_is_killed_ends_the_run_and_is_not_blamed_for_its_silence(
    seat: str, text: str, times: int, agreed: Agreement, real_redis: str
) -> None:
    with processes(real_redis) as (first, second):
        killed = first if seat == "aura" else second
        out = Acts(text, times, killed.process.kill)
        options = Options(redis_url=real_redis, targets=targets_of(first, second), quiet=0.3)
        history = asyncio.run(gate.run(agreed, options, Settings(), out=out))
    assert not history.complete
    assert killed.url.removeprefix("http:") in history.why
    assert broken(agreed, history) == set()


@pytest.mark.parametrize("seat", ["aura", "synapse"])
def test_a_system_that_is_killed_in_a_story_ends_the_replay_and_what_came_before_is_kept(
    agreed: Agreement, real_redis: str, seat: str, tmp_path: Path
) -> None:
    feedback = tmp_path / "feedback.jsonl"
    chosen = [scenario.load(path) for path in scenario.paths() if path.stem in ("approve-by-api", "reject-by-api")]
    assert len(chosen) == 2
    with processes(real_redis, aura={"HITL_FEEDBACK_LOG_PATH": str(feedback)}) as (first, second):
        targets = targets_of(first, second)
        assert targets.aura is not None
        targets = replace(targets, aura=replace(targets.aura, feedback=feedback))
        victim = {"aura": first, "synapse": second}[seat]

        def kill() -> None:
            victim.process.kill()
            victim.process.wait()

        conditions = Conditions(redis_url=real_redis, targets=targets, allow_writes=True)
        with pytest.raises(Interrupted) as stopped:
            play_all(agreed, chosen, Settings(), conditions, out=Acts('"do":"reject"', 1, kill))
    ((whole, cut),) = stopped.value.rounds
    assert whole.history.complete
    assert whole.outcome == "kept"
    assert not cut.history.complete
    assert victim.url.removeprefix("http:") in stopped.value.why
    assert broken(agreed, cut.history) == set()


def test_a_redis_that_ends_in_a_story_ends_the_replay_and_blames_nobody(agreed: Agreement) -> None:
    chosen = [scenario.load(path) for path in scenario.paths() if path.stem in ("approve-by-api", "recorded-twice")]
    assert [each.name for each in chosen] == ["approve-by-api", "recorded-twice"]
    with private_server() as server, processes(server.url) as (first, second):
        targets = replace(targets_of(first, second), synapse=None)
        conditions = Conditions(redis_url=server.url, targets=targets, allow_writes=True)
        with pytest.raises(Interrupted) as stopped:
            play_all(agreed, chosen, Settings(), conditions, out=Acts('"do":"record"', 1, server.stop))
    ((whole, cut),) = stopped.value.rounds
    assert whole.history.complete
    assert not cut.history.complete
    assert "was lost during the run" in stopped.value.why
    assert broken(agreed, cut.history) == set()


def test_a_story_that_cannot_be_played_as_it_is_written_is_still_refused(
    agreed: Agreement, real_redis: str, tmp_path: Path
) -> None:
    path = tmp_path / "opened-twice.yaml"
    path.write_text(OPENED_TWICE, encoding="utf-8")
    with processes(real_redis) as (first, second):
        targets = replace(targets_of(first, second), synapse=None)
        with pytest.raises(ScenarioError, match="viewer v is open"):
            play_all(agreed, [scenario.load(path)], Settings(), Conditions(redis_url=real_redis, targets=targets))
