"""Stories in which Redis goes away: embedded and on a server of our own they tell the same, and accuse nobody of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import redis

from harness import scenario
from harness.agreement import Agreement
from harness.checks import judge
from harness.errors import HarnessError
from harness.history import load_all
from harness.player import Pace
from harness.redis_server import private_server
from harness.replay import Conditions, Played, play_all
from harness.scenario import ScenarioError
from harness.seats import Settings
from harness.vocabulary import DOING

GIVEN = """title: Redis 가 사라진 이야기 👋
given: {cases: {odd: {}}, viewers: {reviewer: {shows: odd}, late: {shows: odd, open: false}}}
steps:
"""
ASK = "request approval: {case: odd, request: ask}"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """On wall time, without the patience for a slow system that is live."""
    monkeypatch.setattr("harness.replay.wall", lambda timeout: Pace(timeout, tick=0.05, settle=0.03, patience=8.0))
    monkeypatch.setattr("harness.player.AFTERWARDS", 0.05)


@pytest.fixture(params=["embedded", "own"])
def own(request: pytest.FixtureRequest) -> bool:
    """Whether the Redis is a server of our own."""
    return bool(request.param == "own")


def played(agreed: Agreement, folder: Path, own: bool, *stories: tuple[str, ...]) -> list[Played]:
    """Each story is its steps; all of them on one server."""
    paths = [folder / f"story-{number}.yaml" for number in range(len(stories))]
    for path, steps in zip(paths, stories, strict=True):
        path.write_text(GIVEN + "".join(f"  - {step}\n" for step in steps), encoding="utf-8")
    told = [scenario.load(path) for path in paths]
    if not own:
        return list(play_all(agreed, told, Settings(), Conditions(folder=folder)))
    with private_server() as server:
        conditions = Conditions(redis_url=server.url, server=server, timeout=0.4, folder=folder)
        return list(play_all(agreed, told, Settings(), conditions))


def accused(one: Played) -> set[str]:
    return {verdict.clause for verdict in one.verdicts if verdict.outcome == "broken"}


@pytest.mark.parametrize(
    "steps",
    [
        (
            ASK,
            "stop redis:",
            "start redis:",
            "approve: {by: signal, request: ask}",
            "expect answer: {by: synapse, status: 404}",
            "wait: timeout",
            "expect no publish: {by: aura}",
        ),
        (ASK, "stop redis:", "wait: timeout", "wait: 2 ticks", "start redis:", "expect no publish: {by: aura}"),
        (
            ASK,
            "cut: {seat: aura}",
            "wait: timeout",
            "wait: 2 ticks",
            "restore: {seat: aura}",
            "expect no feedback: {case: odd}",
        ),
    ],
    ids=["restart while aura waits", "deadline in an outage", "deadline in a cut"],
)
def test_what_the_run_took_from_aura_is_no_fault_of_aura(
    steps: tuple[str, ...],
    own: bool,
    agreed: Agreement,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (one,) = played(agreed, tmp_path, own, steps)
    assert (one.outcome, accused(one)) == ("kept", set())
    (history,) = load_all(tmp_path / "story-0.jsonl")
    assert {each.clause for each in judge(agreed, history) if each.outcome == "broken"} == set()
    assert "never retrieved" not in caplog.text


VERBS = {
    "detect": "detect: {case: odd, severity: HIGH}",
    "rag": "rag: {document: text}",
    "request approval": "request approval: {case: odd, request: another}",
    "expire": "expire: ask",
    "approve": "approve: {by: signal, request: ask}",
    "approve by api": "approve: {by: api, case: odd}",
    "approve directly": "approve: {by: signal, request: ask, session: elsewhere}",
    "reject": "reject: {by: signal, request: ask}",
    "reject by api": "reject: {by: api, case: odd}",
    "reject directly": "reject: {by: signal, request: ask, session: elsewhere}",
    "record": "record: {case: odd, approved: true}",
    "publish": "publish: {channel: workbench:alert, about: 아무도 듣지 않는다, json: {}, readable: false}",
    "open viewer": "open viewer: late",
    "close viewer": "close viewer: reviewer",
    "cut": "cut: {viewer: reviewer}",
    "cut aura": "cut: {seat: aura}",
    "cut synapse": "cut: {seat: synapse}",
    "restore": "restore: {viewer: reviewer}",
    "restore aura": "restore: {seat: aura}",
    "restore synapse": "restore: {seat: synapse}",
    "wait": "wait: 1 tick",
}


def test_every_verb_is_played_in_an_outage() -> None:
    assert set(DOING) - set(VERBS) == {"stop redis", "start redis"}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_of_the_vocabulary_can_be_played_while_redis_is_gone(
    verb: str, own: bool, agreed: Agreement, tmp_path: Path
) -> None:
    steps = (ASK, "stop redis:", VERBS[verb], "expect no publish: {}", "start redis:", "expect no notification: {}")
    (one,) = played(agreed, tmp_path, own, steps)
    assert (one.outcome, accused(one)) == ("kept", set())
    assert one.history.complete


@pytest.mark.parametrize("verb", ["detect", "rag", "request approval"])
def test_aura_does_while_it_is_cut_off_what_it_can(verb: str, own: bool, agreed: Agreement, tmp_path: Path) -> None:
    steps = (
        "cut: {seat: aura}",
        VERBS[verb],
        "expect no publish: {}",
        "restore: {seat: aura}",
        "expect no publish: {}",
    )
    (one,) = played(agreed, tmp_path, own, steps)
    assert (one.outcome, accused(one)) == ("kept", set())
    (failed,) = [event for event in one.history.of("fault") if event.data["do"] == "failed"]
    assert failed.seat == "aura"


def test_a_seat_that_was_cut_off_in_an_outage_stays_so_until_it_is_restored(
    own: bool, agreed: Agreement, tmp_path: Path
) -> None:
    steps = (
        "stop redis:",
        "cut: {seat: aura}",
        "start redis:",
        "detect: {case: odd, severity: HIGH}",
        "expect no publish: {}",
        "restore: {seat: aura}",
        "detect: {case: odd, severity: HIGH}",
        "expect notification: {case: odd}",
    )
    (one,) = played(agreed, tmp_path, own, steps)
    assert (one.outcome, accused(one)) == ("kept", set())


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (("start redis:",), "story-0.yaml:4:5: Redis is running, expected stopped for `start redis`"),
        (("stop redis:", "stop redis:"), "story-0.yaml:5:5: Redis is stopped, expected running for `stop redis`"),
        (("stop redis:", "start redis:", "start redis:"), "story-0.yaml:6:5: Redis is running, expected stopped"),
    ],
)
def test_a_redis_that_is_there_is_not_started_and_one_that_is_gone_not_stopped(
    steps: tuple[str, ...], text: str, own: bool, agreed: Agreement, tmp_path: Path
) -> None:
    with pytest.raises(ScenarioError) as caught:
        played(agreed, tmp_path, own, (*steps, "expect no publish: {}"))
    assert text in str(caught.value)


@pytest.mark.parametrize("left", ["stop redis:", "cut: {seat: synapse}"])
def test_what_a_story_leaves_taken_away_is_there_for_the_next(
    left: str, own: bool, agreed: Agreement, tmp_path: Path
) -> None:
    told = ("detect: {case: odd, severity: HIGH}", "expect notification: {case: odd}")
    first, second = played(agreed, tmp_path, own, (left, "expect no publish: {}"), told)
    assert (first.outcome, second.outcome) == ("kept", "kept")
    assert [event.data["do"] for event in first.history.of("fault")][-1] == "restored"


def test_a_server_of_our_own_is_started_once_and_again_when_it_has_ended() -> None:
    with private_server() as server:
        with pytest.raises(HarnessError, match="is running, expected a stopped one"):
            server.start()
        server.stop()
        server.start()
        with redis.Redis.from_url(server.url) as client, contextlib.suppress(redis.ConnectionError):
            client.shutdown(nosave=True)
        server._process.wait(5)  # type: ignore[union-attr]
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
