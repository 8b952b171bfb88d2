"""Scenarios are played through all three systems, in virtual time and on a real Redis, and tell where a story stops."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness import replay, scenario
from harness.agreement import Agreement
from harness.aura.hitl import Approvals
from harness.aura.publishers import Action, Publishers
from harness.aura.settings import Settings as AuraSettings
from harness.cli import main
from harness.expect import rejudge
from harness.history import History, load_all
from harness.player import VIRTUAL
from harness.replay import Conditions, Interrupted, Played, play_all, play_rounds
from harness.scenario import Scenario
from harness.seats import Settings
from harness.verdict import merged

ALL = scenario.load_all()
BY_NAME = {each.name: each for each in ALL}
BY_HITL = ("approve-by-signal", "reject-by-signal", "timeout")
BY_API = ("approve-by-api", "reject-by-api")


def played(agreed: Agreement, *names: str, redis_url: str | None = None, timeout: float = 0.6) -> tuple[Played, ...]:
    conditions = Conditions(redis_url=redis_url, timeout=timeout)
    return play_all(agreed, [BY_NAME[name] for name in names], Settings(), conditions)


@pytest.mark.parametrize("story", ALL, ids=lambda story: story.name)
def test_a_scenario_is_kept(story: Scenario, agreed: Agreement) -> None:
    (one,) = play_all(agreed, [story], Settings())
    assert [(each.step.where, each.outcome, each.seen) for each in one.expectations if each.outcome != "kept"] == []
    broken = [verdict.clause for verdict in one.verdicts if verdict.outcome == "broken" and verdict.level == "must"]
    assert broken == []
    assert one.expectations


def test_a_timeout_takes_its_300_seconds_of_virtual_time(agreed: Agreement) -> None:
    (one,) = played(agreed, "timeout")
    assert 300 < one.virtual_seconds < 301


def test_all_scenarios_together_leave_no_clause_of_theirs_unproven(agreed: Agreement) -> None:
    verdicts = merged(each.verdicts for each in play_all(agreed, ALL, Settings()))
    kept = {verdict.clause for verdict in verdicts if verdict.outcome == "kept"}
    stories = {"hitl", "action", "refetch"}
    wanted = {clause for clause in agreed.clauses if clause.split(".")[0] in stories}
    assert wanted - kept == {"hitl.other-request"}  # which nobody sends here; the gate does


@pytest.mark.parametrize("seconds", [0.02, 0.3, 3.0])
def test_a_backend_that_answers_slowly_gets_nobody_accused(
    seconds: float, agreed: Agreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "VIRTUAL", replace(VIRTUAL, answer=seconds))
    for played in play_all(agreed, scenario.load_all(), Settings(AuraSettings(hitl_compares_request=True))):
        assert played.outcome == "kept", played.scenario.name
        assert [each.clause for each in played.verdicts if each.outcome == "broken"] == []


def test_two_plays_with_one_seed_write_the_same_history(agreed: Agreement) -> None:
    first, second = (played(agreed, "a-hundred-at-once")[0].history for _ in range(2))
    assert [(e.at, e.kind, e.seat, e.about, e.data) for e in first] == [
        (e.at, e.kind, e.seat, e.about, e.data) for e in second
    ]


@pytest.mark.parametrize("name", ["approve-by-signal", "timeout", "reject-by-api"])
def test_the_same_file_is_kept_on_a_real_redis_in_wall_time(name: str, agreed: Agreement, real_redis: str) -> None:
    (one,) = played(agreed, name, redis_url=real_redis)
    assert one.outcome == "kept"


def test_a_redis_of_its_own_is_started_for_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "redis-gone", "--redis", "own", "--timeout", "0.6"]) == 0
    assert "1 of 1 scenarios kept (exit 0)" in capsys.readouterr().out


def test_a_redis_that_is_not_ours_is_not_stopped(agreed: Agreement, real_redis: str) -> None:
    (one,) = played(agreed, "redis-gone", redis_url=real_redis)
    assert one.outcome == "unproven"
    assert {each.seen for each in one.expectations if each.outcome == "unproven"} == {
        "the Redis at a URL is not ours to stop"
    }


@pytest.mark.parametrize("publishes", [False, True])
def test_a_publish_that_is_not_awaited_stops_the_story_at_the_redis_message(
    publishes: bool, agreed: Agreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bug of a deployed version: the stream went on happily, and nobody was told."""
    record = Approvals._outcome

    async def forgetful(self: Approvals, *arguments: object) -> Action | None:
        actions = self._actions

        class Forgetful:
            def record(self, action: Action) -> object:
                async def published_by_nobody() -> None: ...

                actions.feedback(actions.line(action))
                actions.publishers.action_recorded(action)  # type: ignore[unused-coroutine]
                return published_by_nobody()

        self._actions = Forgetful()  # type: ignore[assignment]
        try:
            return await record(self, *arguments)  # type: ignore[arg-type]
        finally:
            self._actions = actions

    monkeypatch.setattr(Approvals, "_outcome", forgetful)
    settings = Settings()
    stories = [BY_NAME[name] for name in (*BY_HITL, *BY_API)]
    if publishes:
        monkeypatch.setattr("harness.replay.publishes", lambda story: True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        results = {each.scenario.name: each for each in play_all(agreed, stories, settings)}
    for name in BY_HITL:
        broken = [each for each in results[name].expectations if each.outcome == "broken"]
        assert (broken[0].hop, broken[0].seat) == ("Redis message", "aura"), name
    for name in BY_API:
        assert not [each for each in results[name].expectations if each.outcome == "broken"], name


def test_a_renamed_channel_is_told_with_the_lines_of_the_story(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASE_ACTION_REDIS_CHANNEL", "elsewhere")
    assert main(["replay", "approve-by-api"]) == 1
    out = capsys.readouterr().out
    assert "broken   approve-by-api" in out
    assert "> " in out
    assert "the story stopped at: Redis message (aura)" in out
    assert "0 of 1 scenarios kept (exit 1)" in out


def test_a_line_for_each_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "timeout", "rag-failed", "--repeat", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("kept     timeout                      300.")
    assert lines[-2] == "2 rounds, and every time the same histories, wall-clock stamps apart"
    assert lines[-1].startswith("2 of 2 scenarios kept (exit 0)")


def test_a_round_that_was_broken_counts_though_a_later_one_was_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, rounds = Publishers.rag_finished, iter((False, True))

    async def sometimes(self: Publishers, document: str, chunks: int, succeeded: bool) -> None:
        await tell(self, document, chunks, succeeded and next(rounds))

    monkeypatch.setattr(Publishers, "rag_finished", sometimes)
    report = tmp_path / "report.json"
    given = ["--repeat", "2", "--history", str(tmp_path), "--report", f"json={report}"]
    assert main(["replay", "rag-finished", *given]) == 1
    *_, compared, last = capsys.readouterr().out.splitlines()
    assert compared == "rag-finished went differently in 2 rounds: broken in 1, kept in 1"
    assert last.startswith("0 of 1 scenarios kept (exit 1)")
    told = json.loads(report.read_text(encoding="utf-8"))
    assert [(story["name"], story["outcome"]) for story in told["scenarios"]] == [("rag-finished", "broken")]
    again = [
        rejudge(history) for number in (1, 2) for history in load_all(tmp_path / f"rag-finished-round-{number}.jsonl")
    ]
    assert [each.outcome for each in again if each is not None] == ["broken", "kept"]


@pytest.fixture
def unsteady(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Aura that takes longer each time."""
    tell, delays = Publishers.rag_finished, iter((0.001, 0.002))

    async def later(self: Publishers, document: str, chunks: int, succeeded: bool) -> None:
        await asyncio.sleep(next(delays))
        await tell(self, document, chunks, succeeded)

    monkeypatch.setattr(Publishers, "rag_finished", later)


@pytest.mark.usefixtures("unsteady")
def test_what_cannot_be_repeated_in_virtual_time_fails_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    assert main(["replay", "rag-finished", "timeout", "--repeat", "2", "--report", f"json={report}"]) == 4
    *_, compared, last = capsys.readouterr().out.splitlines()
    assert compared == "rag-finished wrote different histories in 2 rounds, though nothing in it may differ"
    assert last.startswith("2 of 2 scenarios kept (exit 4)")
    told = json.loads(report.read_text(encoding="utf-8"))
    assert told["conclusion"].startswith("rag-finished could not be repeated: the rounds wrote different histories (ex")


@pytest.mark.usefixtures("unsteady")
def test_in_wall_time_no_history_is_like_another_and_outcomes_are_compared(
    real_redis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "rag-finished", "--repeat", "2", "--redis", real_redis]) == 0
    assert capsys.readouterr().out.splitlines()[-2] == "2 rounds, and every time the same outcomes"


def test_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(ALL)


def test_histories_are_kept_in_a_folder_and_pictures_in_a_file(tmp_path: Path) -> None:
    picture = tmp_path / "timeline.html"
    assert main(["replay", "timeout", "--history", str(tmp_path), "--timeline-to", str(picture)]) == 0
    (history,) = load_all(tmp_path / "timeout.jsonl")
    assert history.complete
    assert "HITL timeout" in picture.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["approve-by-ap"], "did you mean approve-by-api?"),
        (["no/such/file.yaml"], "no/such/file.yaml: No such file or directory"),
        (["--timeout", "never", "timeout"], "a number of seconds above 0 was expected"),
        (["--history", "/no/such/folder", "timeout"], "no folder that exists"),
    ],
)
def test_wrong_usage_is_told_without_a_trace(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["replay", *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    err = capsys.readouterr().err
    assert code == 2
    assert text in err
    assert "Traceback" not in err


def test_a_mistake_in_a_file_is_told_with_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mistake.yaml"
    path.write_text(
        "title: 오타\ngiven: {cases: {odd: {}}}\nsteps:\n  - aprove: {case: odd, by: api}\n", encoding="utf-8"
    )
    assert main(["replay", str(path)]) == 2
    err = capsys.readouterr().err
    assert "mistake.yaml:4:" in err
    assert "aprove" in err
    assert "approve" in err


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("close viewer: reviewer}\n  - {close viewer: reviewer", "viewer reviewer is closed, expected open"),
        ("open viewer: reviewer", "viewer reviewer is open, expected closed"),
        ("detect: {case: odd, severity: HIGH, score: .nan}", "a number"),
        ('reject: {case: odd, by: api, comment: "\\ud800"}', "text"),
    ],
)
def test_a_step_that_makes_no_sense_is_told_with_its_place(
    step: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nonsense.yaml"
    given = "given: {cases: {odd: {}}, viewers: {reviewer: {shows: odd}}}"
    path.write_text(
        f"title: 말이 안 되는 이야기\n{given}\nsteps:\n  - {{{step}}}\n  - expect no publish: {{}}\n", encoding="utf-8"
    )
    assert main(["replay", str(path)]) == 2
    err = capsys.readouterr().err
    assert "nonsense.yaml:" in err
    assert text in err
    assert "Traceback" not in err


def test_the_timeout_is_the_one_of_the_settings(agreed: Agreement) -> None:
    (one,) = play_all(agreed, [BY_NAME["timeout"]], Settings(AuraSettings(hitl_timeout_seconds=5)))
    assert 5 < one.virtual_seconds < 6


def test_a_story_that_went_wrong_stands_in_every_report_and_goes_wrong_again_when_it_is_judged_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASE_ACTION_REDIS_CHANNEL", "elsewhere")
    reports = [f"--report=junit={tmp_path}/junit.xml", f"--report=json={tmp_path}/replayed.json"]
    assert main(["replay", "approve-by-api", "--history", str(tmp_path), *reports]) == 1
    told = json.loads((tmp_path / "replayed.json").read_text(encoding="utf-8"))
    (story,) = told["scenarios"]
    assert (story["name"], story["outcome"]) == ("approve-by-api", "broken")
    (first, *_) = [each for each in story["expectations"] if each["outcome"] == "broken"]
    assert (first["hop"], first["seat"]) == ("Redis message", "aura")
    suite = ET.parse(tmp_path / "junit.xml").find("testsuite[@name='scenarios']")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert "the story stopped at: Redis message (aura)" in str(suite.findtext("testcase/failure"))
    monkeypatch.delenv("CASE_ACTION_REDIS_CHANNEL")
    capsys.readouterr()
    again = f"json={tmp_path}/again.json"
    assert main(["check", str(tmp_path / "approve-by-api.jsonl"), "--report", again]) == 1
    assert "the story stopped at: Redis message (aura)" in capsys.readouterr().out
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))["scenarios"] == told["scenarios"]


def test_a_story_that_was_kept_leaves_no_error_and_no_failure_in_junit(tmp_path: Path) -> None:
    """What it gave no occasion to prove is skipped, for it does not fail the run either."""
    path = tmp_path / "junit.xml"
    assert main(["replay", "approve-by-api", f"--report=junit={path}"]) == 0
    suites = ET.parse(path).findall("testsuite")
    assert {suite.get("name") for suite in suites} == {"aura", "synapse", "workbench", "scenarios"}
    assert {(suite.get("errors"), suite.get("failures")) for suite in suites} == {("0", "0")}
    assert any(int(suite.get("skipped", "0")) for suite in suites)


def test_the_history_of_a_story_that_was_kept_need_not_prove_every_clause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "rag-finished", "--history", str(tmp_path)]) == 0
    recorded = str(tmp_path / "rag-finished.jsonl")
    assert main(["check", recorded]) == 0
    assert main(["check", recorded, "--require", "publish.once"]) == 3
    assert "this is a self-test" in capsys.readouterr().out


def test_a_story_that_was_interrupted_accuses_nobody(agreed: Agreement) -> None:
    (one,) = played(agreed, "approve-by-signal")
    for length in range(2, len(one.history)):
        judged = rejudge(History(one.history[:length]))
        assert judged is not None
        assert judged.outcome != "broken", length


def test_an_interrupted_replay_reports_what_it_has(real_redis: str, tmp_path: Path) -> None:
    path, second = tmp_path / "report.json", tmp_path / "timeout.jsonl"
    arguments = ["replay", "rag-finished", "timeout", "rag-failed", "--redis", real_redis, "--timeout", "60"]
    files = ["--history", str(tmp_path), "--report", f"json={path}"]
    command = [sys.executable, "-m", "harness.cli", *arguments, *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        while not (second.exists() and '"waiting"' in second.read_text(encoding="utf-8")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (4, "")
    assert first.startswith("kept     rag-finished")
    *_, told, last = out.splitlines()
    assert told == "interrupted in scenario 2 of 3; what was recorded was judged"
    assert last.startswith("1 of 3 scenarios kept (exit 4); ")
    report = json.loads(path.read_text(encoding="utf-8"))
    assert (report["complete"], report["exit_code"]) == (False, 4)
    assert [(each["name"], each["outcome"]) for each in report["scenarios"]] == [
        ("rag-finished", "kept"),
        ("timeout", "unproven"),
    ]


def test_an_interruption_between_two_scenarios_keeps_the_first(agreed: Agreement) -> None:
    """Whoever does not catch it is interrupted, as by any Ctrl-C."""

    def told(one: Played) -> None:
        raise KeyboardInterrupt

    assert issubclass(Interrupted, KeyboardInterrupt)
    with pytest.raises(Interrupted) as stopped:
        play_rounds(agreed, [BY_NAME["rag-finished"], BY_NAME["rag-failed"]], Settings(), rounds=2, told=told)
    assert [[each.scenario.name for each in played] for played in stopped.value.rounds] == [["rag-finished"]]


def test_an_interrupted_round_is_no_other_history(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was played before it is still compared."""
    publish, calls = Publishers.rag_finished, 0

    async def interrupting(publishers: Publishers, document: str, chunks: int, succeeded: bool) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            signal.raise_signal(signal.SIGINT)
        await publish(publishers, document, chunks, succeeded)

    monkeypatch.setattr(Publishers, "rag_finished", interrupting)
    assert main(["replay", "rag-finished", "--repeat", "4"]) == 4
    *_, compared, told, last = capsys.readouterr().out.splitlines()
    assert compared == "3 rounds, and every time the same histories, wall-clock stamps apart"
    assert told == "interrupted in scenario 3 of 4; what was recorded was judged"
    assert last.startswith("0 of 1 scenarios kept (exit 4)")
