"""Scenario files as pytest items: what is collected, and what a person reads of a story that went wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import expect, replay, scenario
from harness.agreement import Agreement
from harness.expect import Judged
from harness.history import History
from harness.verdict import Verdict

pytest_plugins = "pytester"

ROOT = Path(__file__).parents[1]
FIRST_LINE = "# yaml-language-server: $schema=schema.json\n"
STORY = """title: A case of severity HIGH raises an alert.
given:
  cases:
    odd: {}
steps:
  - detect: {case: odd, severity: HIGH, score: 0.9}
  - expect publish: {by: aura, channel: "workbench:alert", case: odd}
"""
BROKEN = STORY.replace("HIGH, score", "MEDIUM, score")
PUBLISH_LINE = 8

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """pytest in a folder with the schema of scenarios, and with no plugin but ours, installed or not."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copy(scenario.scenarios_dir() / scenario.SCHEMA, pytester.path)

    def run(*arguments: str) -> pytest.RunResult:
        options = ("-p", "harness.pytest_plugin", "-p", "no:cacheprovider", "-ra", "--color=no")
        return pytester.runpytest_inprocess(*options, *arguments)

    return run


def written(pytester: pytest.Pytester, text: str, name: str = "story.yaml") -> Path:
    path = pytester.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# ---- What is collected


def test_a_file_is_an_item_by_its_name_and_passes_when_its_story_is_kept(pytester: pytest.Pytester, run: Run) -> None:
    written(pytester, FIRST_LINE + STORY)
    result = run("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["story.yaml::story PASSED*"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param(STORY, "story.yaml", id="no comment"),
        pytest.param("# a story\n" + FIRST_LINE + STORY, "story.yaml", id="the comment on another line"),
        pytest.param(FIRST_LINE.replace("schema.json", "other.json") + STORY, "story.yaml", id="another schema"),
        pytest.param(FIRST_LINE.replace("schema.json", "their-schema.json") + "a: 1", "a.yaml", id="their schema"),
        pytest.param(FIRST_LINE.replace("schema.json", "list-schema.json") + "a: 1", "a.yaml", id="no schema"),
        pytest.param(FIRST_LINE.replace("schema.json", "no-schema.json") + "a: 1", "a.yaml", id="no JSON"),
        pytest.param(FIRST_LINE.replace("schema", "https://example.org/schema") + "a: 1", "a.yaml", id="a URL"),
        pytest.param(FIRST_LINE + "a: 1", "folder/a.yaml", id="a folder without the schema"),
        pytest.param(FIRST_LINE + STORY, "story.yml", id="another suffix"),
    ],
)
def test_the_yaml_of_other_people_is_left_alone(pytester: pytest.Pytester, run: Run, text: str, name: str) -> None:
    written(pytester, '{"title": "Their own"}', "their-schema.json")
    written(pytester, "[]", "list-schema.json")
    written(pytester, "{", "no-schema.json")
    written(pytester, text, name)
    assert run().ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_yaml_that_is_no_text_is_left_alone(pytester: pytest.Pytester, run: Run) -> None:
    (pytester.path / "bytes.yaml").write_bytes(b"\xff\xfe\x00" * 10_000)
    assert run().ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_the_first_line_may_name_the_schema_of_another_folder(pytester: pytest.Pytester, run: Run) -> None:
    written(pytester, FIRST_LINE.replace("schema.json", "../schema.json") + STORY, "approvals/story.yaml")
    run().assert_outcomes(passed=1)


def test_every_story_that_ships_is_collected(run: Run) -> None:
    result = run("--collect-only", "-q", str(scenario.scenarios_dir()))
    assert sum("::" in line for line in result.outlines) == len(scenario.paths())


# ---- What a person reads


def test_a_story_that_went_wrong_shows_its_lines_the_hop_and_the_events(pytester: pytest.Pytester, run: Run) -> None:
    written(pytester, FIRST_LINE + BROKEN)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"story.yaml:{PUBLISH_LINE}:5: broken: *, the story stopped at: Redis message (aura)",
            "story: A case of severity HIGH raises an alert.",
            "*   7 |   - detect: {case: odd, severity: MEDIUM, score: 0.9}",
            '>   8 |   - expect publish: {by: aura, channel: "workbench:alert", case: odd}',
            "*the story stopped at: Redis message (aura)",
            "* s  step *'do': 'detect'*",
            f"FAILED story.yaml::story - Failed: story.yaml:{PUBLISH_LINE}:5: broken:*",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "pytest_plugin.py" not in result.stdout.str()
    assert "\x1b" not in result.stdout.str()


def test_a_must_that_is_broken_fails_a_story_whose_expectations_are_kept(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(agreement: Agreement, history: History) -> tuple[Verdict, ...]:
        return tuple(
            replace(verdict, outcome="broken") if verdict.clause == "publish.common-fields" else verdict
            for verdict in judge(agreement, history)
        )

    judge = replay.judge  # type: ignore[attr-defined]
    monkeypatch.setattr(replay, "judge", broken)
    written(pytester, FIRST_LINE + STORY)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["story.yaml:2:1: publish.common-fields broken by aura"])


def test_the_place_of_a_failed_item_is_the_line_that_is_broken(pytester: pytest.Pytester, run: Run) -> None:
    written(pytester, FIRST_LINE + BROKEN)
    run("--junit-xml=out.xml", "-o", "junit_family=xunit1")
    assert f'file="story.yaml" line="{PUBLISH_LINE - 1}"' in (pytester.path / "out.xml").read_text(encoding="utf-8")


def test_a_mistake_shows_its_line_and_what_was_meant_and_no_trace(pytester: pytest.Pytester, run: Run) -> None:
    written(pytester, FIRST_LINE + STORY.replace("expect publish", "expect publsh"))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            f"story.yaml:{PUBLISH_LINE}:5: the unknown verb *; did you mean expect publish[?]",
            ">    8 |   - expect publsh: *",
        ]
    )
    assert "scenario.py" not in result.stdout.str()


def test_what_keeps_the_harness_from_working_is_said_in_its_words(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITL_TIMEOUT_SECONDS", "soon")
    written(pytester, FIRST_LINE + STORY)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*HITL_TIMEOUT_SECONDS*soon*"])
    assert "Traceback" not in result.stdout.str()
    assert "pytest_plugin.py" not in result.stdout.str()


def test_what_could_not_be_proven_is_skipped_with_the_reason(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unproven(story: scenario.Scenario, history: History) -> tuple[Judged, ...]:
        return tuple(replace(each, outcome="unproven", seen="Redis is not ours") for each in judge(story, history))

    judge = expect.judge
    monkeypatch.setattr(expect, "judge", unproven)
    written(pytester, FIRST_LINE + STORY)
    result = run()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED * story.yaml:{PUBLISH_LINE}:5: unproven: *; Redis is not ours"])


# ---- What it costs, and how it is found


def test_a_project_without_scenarios_imports_nothing_for_it() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules); import harness.pytest_plugin; "
        "print(sorted(set(sys.modules) - before))"
    )
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['harness', 'harness.pytest_plugin']"


def test_an_installed_harness_is_found_by_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"aura-harness": "harness.pytest_plugin"}
