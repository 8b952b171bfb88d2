"""Stories are played against a live Aura as far as it can be made to act; the rest is unproven and says why."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from other_aura import SECRET, UNESCAPED, other_aura
from serving import serving
from test_live_aura import triggers

from harness import scenario
from harness.agreement import Agreement
from harness.cli import main
from harness.live.aura import AuraTarget
from harness.live.triggers import Trigger
from harness.player import wall
from harness.replay import Conditions, Played, leaves_behind, most_telling_first, play_all
from harness.seats import Settings, Targets

PATIENCE = wall(0.6).patience
"""How long an expectation is waited for."""
PLAYED = ("approve-by-signal", "reject-by-signal", "timeout", "signal-too-late", "high-raises-an-alert", "rag-failed")


@contextmanager
def standing(redis_url: str, feedback: Path, *mistakes: str) -> Iterator[str]:
    """The URL of an Aura in a thread of its own."""
    ready, url, done = threading.Event(), [], threading.Event()

    async def stand() -> None:
        async with serving(other_aura(redis_url, feedback, mistakes), lifespan=True) as port:
            url.append(f"http://127.0.0.1:{port}")
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(stand()))
    thread.start()
    assert ready.wait(20)
    try:
        yield url[0]
    finally:
        done.set()
        thread.join()


def replayed(
    agreed: Agreement,
    redis_url: str,
    feedback: Path,
    *names: str,
    triggered: bool = True,
    watched: bool = True,
    timeout: float | None = 0.6,
    mistakes: tuple[str, ...] = (),
) -> dict[str, Played]:
    feedback.touch()
    with standing(redis_url, feedback, *mistakes) as url:
        target = AuraTarget(f"{url}/aura", secret=SECRET, feedback=feedback if watched else None, hitl_timeout=timeout)
        targets = Targets(aura=target, triggers=triggers(url) if triggered else {})
        stories = [scenario.load(path) for path in scenario.paths() if path.stem in names]
        conditions = Conditions(redis_url=redis_url, targets=targets)
        return {each.scenario.name: each for each in play_all(agreed, stories, Settings(), conditions)}


def test_stories_are_kept_by_an_aura_that_others_wrote(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    played = replayed(agreed, real_redis, tmp_path / "feedback.jsonl", *PLAYED)
    wrong = {
        name: [(each.step.where, each.seen, each.hop) for each in one.expectations if each.outcome != "kept"]
        + [(each.clause, each.findings[0].seen) for each in one.verdicts if each.outcome == "broken"]
        for name, one in played.items()
        if one.outcome != "kept"
    }
    assert wrong == {}
    assert len(played) == len(PLAYED)


def test_what_it_gets_wrong_breaks_the_story(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    feedback = tmp_path / "feedback.jsonl"
    played = replayed(agreed, real_redis, feedback, "approve-by-signal", mistakes=(UNESCAPED,))
    (one,) = played.values()
    broken = {verdict.clause for verdict in one.verdicts if verdict.outcome == "broken"}
    assert (one.outcome, broken) == ("broken", {"publish.unescaped"})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("timeout", "a live Aura does this on its own account; name [triggers.hitl] in harness.toml"),
        ("redis-gone", "the Redis at a URL is not ours to stop"),
        ("a-hundred-at-once", "it leaves 100 actions behind, 19 more are allowed; --allow-writes allows them"),
    ],
)
def test_what_cannot_be_played_is_unproven_and_says_why(
    name: str, reason: str, agreed: Agreement, real_redis: str, tmp_path: Path
) -> None:
    (one,) = replayed(agreed, real_redis, tmp_path / "feedback.jsonl", name, triggered=False).values()
    assert one.outcome == "unproven"
    assert reason in {each.seen for each in one.expectations}


def test_a_story_of_the_timeout_is_left_out_where_nobody_knows_it(
    agreed: Agreement, real_redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Trigger("hitl", "harness.toml: [triggers.hitl]", command=("true",))
    monkeypatch.setattr("test_live_replay.triggers", lambda url: {"hitl": ask})
    (one,) = replayed(agreed, real_redis, tmp_path / "feedback.jsonl", "timeout", timeout=None).values()
    (seen,) = {each.seen for each in one.expectations}
    assert one.outcome == "unproven"
    assert seen.startswith("how long the live Aura waits for an answer is not known; give --hitl-timeout S")
    assert not one.history.of("hitl_request")


def test_a_feedback_line_that_nobody_can_read_is_not_waited_for(
    agreed: Agreement, real_redis: str, tmp_path: Path
) -> None:
    feedback = tmp_path / "feedback.jsonl"
    (one,) = replayed(agreed, real_redis, feedback, "approve-by-signal", watched=False).values()
    unseen = {each.step.verb: each.seen for each in one.expectations if each.outcome != "kept"}
    assert unseen == {"expect feedback": "out of reach: needs feedback"}
    assert one.outcome == "unproven"
    assert one.seconds < PATIENCE


def test_what_several_rounds_leave_behind_is_counted_together_and_the_last_line_says_what_was_live(
    real_redis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.replay.ACTIONS", 3)
    monkeypatch.chdir(tmp_path)
    feedback, story = tmp_path / "feedback.jsonl", tmp_path / "두 번.yaml"
    feedback.touch()
    story.write_text(
        "title: 두 건.\ngiven: {cases: {both: {copies: 2}}}\nsteps:\n  - record: {case: both, approved: true}\n"
        "  - expect publish: {by: aura, case: both, times: 2}\n",
        encoding="utf-8",
    )
    with standing(real_redis, feedback) as url:
        aura = ["--aura", f"{url}/aura", "--secret", SECRET, "--aura-feedback", str(feedback), "--redis", real_redis]
        assert main(["replay", str(story), *aura, "--repeat", "2"]) == 3
    out = capsys.readouterr().out
    first, *_ = out.splitlines()
    allowed = "of 3 that are allowed (more with --allow-writes)"
    assert first == f"leaves    at most 3 actions, {allowed}, and their notifications; ids begin with r1-"
    assert "it leaves 2 actions behind, 0 more are allowed; --allow-writes allows them" in out
    *_, compared, others, last = out.splitlines()
    assert others == "0 messages of others were left alone"
    assert compared == "두 번 went differently in 2 rounds: kept in 1, unproven in 1"
    assert last == f"0 of 1 scenarios kept (exit 3); aura live at {url}/aura; synapse and workbench simulated"
    recorded = [json.loads(line)["case_id"] for line in feedback.read_text(encoding="utf-8").splitlines()]
    assert len([case for case in recorded if "-both-" in case]) == 2
    assert len(recorded) == 3  # the one valid call before a live seat is judged is made once


def test_where_not_everything_may_be_left_behind_the_most_telling_goes_first(
    agreed: Agreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.replay.ACTIONS", 6)
    stories = most_telling_first(scenario.load_all())
    first = [each.name for each in stories[:5]]
    assert first == ["approve-by-signal", "reject-by-signal", "timeout", "approve-by-api", "reject-by-api"]
    assert {each.name for each in stories} == {each.name for each in scenario.load_all()}
    conditions = Conditions(targets=Targets(aura=AuraTarget("http://aura/aura", secret=SECRET, hitl_timeout=1)))
    assert leaves_behind(stories[:5], conditions, 1).startswith("at most 6 actions, ")
    assert leaves_behind(stories[:5], Conditions(), 1) == ""
