"""Waivers: what their file may say, when they hold, and what they mean for a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from harness.aura import publishers
from harness.cli import main
from harness.verdict import Outcome, Verdict, exit_code
from harness.waivers import Fault, Waived, Waiver, WaiverError, apply, load

KEEPERS: Mapping[str, str] = {"publish.once": "aura", "publish.unescaped": "aura", "mapping.type": "synapse"}
DAY = date(2026, 3, 1)
GOOD = """\
- clause: publish.unescaped
  seat: aura
  reason: 배포가 금요일이라 그때까지 봐준다 🙏
  owner: 김철수
  until: 2026-03-01
"""
WAIVER = Waiver("publish.unescaped", "aura", "배포가 금요일이라 그때까지 봐준다 🙏", "김철수", DAY, "waivers.yaml:1:3")
VERDICT = Verdict("publish.unescaped", "aura", "must", "broken", exercised=3)


def written(folder: Path, text: str) -> Path:
    path = folder / "waivers.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# ---- The file


def test_a_file_of_waivers_is_read_with_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    assert load(Path("waivers.yaml"), KEEPERS) == (WAIVER,)


@pytest.mark.parametrize("text", ["[]", "", "# The last one was taken out.\n\n  # Write the next one here.\n"])
def test_a_file_may_hold_no_waiver(tmp_path: Path, text: str) -> None:
    assert load(written(tmp_path, text), KEEPERS) == ()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "publish.unescaped",
            "publish.unescapd",
            ':1:3: there is no clause "publish.unescapd"; did you mean publish.unescaped?',
        ),
        ("publish.unescaped", "한글", ':1:3: there is no clause "한글"; `aura-harness gate` lists them all'),
        ("seat: aura", "seat: synapse", ':2:3: seat is "synapse", expected aura, which keeps publish.unescaped'),
        ("2026-03-01", "2026-02-30", ':5:3: until is "2026-02-30", expected a date, as in 2026-12-31'),
        ("2026-03-01", "20260301", ":5:3: until is 20260301, expected text"),
        ("2026-03-01", "'20260301'", ':5:3: until is "20260301", expected a date, as in 2026-12-31'),
        ("2026-03-01", "금요일", ':5:3: until is "금요일", expected a date, as in 2026-12-31'),
        ("김철수", "' '", ':4:3: owner is " ", expected words'),
        ("  owner: 김철수\n", "", ':1:3: no "owner", expected one'),
        (
            "reason:",
            "because:",
            ':3:3: the unknown field "because", expected one of clause, owner, reason, seat, until',
        ),
        ("- clause", "clause", ":2:7: mapping values are not allowed in this context"),
        ("- clause", "-\tclause", ":1:2: found character that cannot start any token"),
        (GOOD, "- {}", ":1:3: an empty object, expected clause, seat, reason, owner, until"),
        (GOOD, "waivers: []", ":1:1: an object, expected a list of waivers"),
        (GOOD, "- publish.once", ':1:3: "publish.once", expected an object'),
        (GOOD, GOOD + GOOD, ":6:3: publish.unescaped again (first in line 1), expected one waiver of it"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(WaiverError) as error:
        load(path, KEEPERS)
    assert f"{path}{complaint}" in str(error.value)
    assert error.value.exit_code == 2


def test_every_fault_is_shown_at_once_with_the_line_it_is_about(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("aura", "workbench").replace("2026-03-01", "soon"))
    with pytest.raises(WaiverError) as error:
        load(path, KEEPERS)
    assert str(error.value) == (
        f'{path}:2:3: seat is "workbench", expected aura, which keeps publish.unescaped\n'
        "     1 | - clause: publish.unescaped\n"
        ">    2 |   seat: workbench\n"
        "       |   ^\n"
        f'{path}:5:3: until is "soon", expected a date, as in 2026-12-31\n'
        "     4 |   owner: 김철수\n"
        ">    5 |   until: soon\n"
        "       |   ^"
    )


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match=r"none\.yaml: No such file or directory, expected a list of waivers"):
        load(tmp_path / "none.yaml", KEEPERS)


# ---- When they hold


def test_a_waiver_holds_on_its_last_day() -> None:
    assert apply([WAIVER], [VERDICT], DAY) == Waived({"publish.unescaped": WAIVER})


@pytest.mark.parametrize("outcome", ["broken", "unproven"])
def test_the_day_after_it_is_expired(outcome: Outcome) -> None:
    said = apply([WAIVER], [replace(VERDICT, outcome=outcome)], date(2026, 3, 2))
    why = (
        f"the waiver of publish.unescaped expired on 2026-03-01, and the clause is {outcome}; mend it, or let 김철수 "
        "agree on a new date"
    )
    assert said == Waived({}, (Fault(WAIVER, why),))


@pytest.mark.parametrize("today", [DAY, date(2027, 1, 1)])
def test_a_clause_that_is_kept_makes_its_waiver_stale(today: date) -> None:
    said = apply([WAIVER], [replace(VERDICT, outcome="kept")], today)
    assert said == Waived({}, (Fault(WAIVER, "publish.unescaped was exercised 3 times and kept; remove its waiver"),))


def test_a_run_that_was_cut_off_makes_no_waiver_stale() -> None:
    assert apply([WAIVER], [replace(VERDICT, outcome="kept")], DAY, complete=False) == Waived()


def test_what_nothing_exercised_says_nothing_of_its_waiver() -> None:
    assert apply([WAIVER], [replace(VERDICT, outcome="unproven", exercised=0)], DAY) == Waived()


def test_a_waived_clause_does_not_fail_a_run_and_proves_nothing_either() -> None:
    kept = Verdict("publish.once", "aura", "must", "kept")
    assert exit_code([VERDICT, kept], waived={"publish.unescaped"}) == 0
    assert exit_code([VERDICT], waived={"publish.unescaped"}) == 3
    assert exit_code([VERDICT, kept], waived={"publish.once"}) == 1
    assert exit_code([VERDICT, kept], ["publish.unescaped"], waived={"publish.unescaped"}) == 0


# ---- In a run


@pytest.fixture
def escaping(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An Aura that escapes Korean, in a folder of its own, on 2026-03-01."""
    monkeypatch.setattr(publishers, "json", SimpleNamespace(dumps=lambda value, ensure_ascii: json.dumps(value)))
    monkeypatch.setattr("harness.commands.judging.today", lambda: DAY)
    monkeypatch.setattr("harness.commands.replay.today", lambda: DAY)
    monkeypatch.delenv("HARNESS_REDIS_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_waiver_the_clause_fails_the_replay(escaping: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "approve-by-api"]) == 1
    assert "publish.unescaped (must) broken by aura" in capsys.readouterr().out


def test_the_file_in_the_current_directory_waives_it(escaping: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(escaping, GOOD)
    assert main(["replay", "approve-by-api"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("kept     approve-by-api ")
    assert out[1:] == [
        "waived   publish.unescaped: 배포가 금요일이라 그때까지 봐준다 🙏 (김철수, until 2026-03-01; waivers.yaml:1:3)",
        "1 of 1 scenarios kept (exit 0); aura, synapse and workbench simulated: this is a self-test",
    ]


def test_a_recorded_run_is_judged_with_the_waivers_of_today(
    escaping: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["replay", "approve-by-api", "--history", "."])
    (escaping / "ours.yaml").write_text(GOOD, encoding="utf-8")
    capsys.readouterr()
    assert main(["check", "approve-by-api.jsonl"]) == 1
    assert main(["check", "approve-by-api.jsonl", "--waivers", "ours.yaml"]) == 0
    out = capsys.readouterr().out
    assert "  waived   must   publish.unescaped " in out
    assert "1 waived" in out.splitlines()[-1]
    assert "every must in reach is kept, but for 1 that is waived (exit 0)" in out.splitlines()[-1]
    monkeypatch.setattr("harness.commands.judging.today", lambda: date(2026, 3, 2))
    assert main(["check", "approve-by-api.jsonl", "--waivers", "ours.yaml"]) == 1
    assert "\nours.yaml:1:3: the waiver of publish.unescaped expired on 2026-03-01" in capsys.readouterr().out


def test_a_stale_waiver_alone_fails_a_whole_run(escaping: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(escaping, GOOD + GOOD.replace("unescaped", "once"))
    assert main(["gate", "--examples", "3"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"waivers\.yaml:6:3: publish\.once was exercised \d+ times and kept; remove its waiver", out[-2]
    )
    assert "1 broken, 1 waived" in out[-1]
    assert "a waiver has to go (exit 1)" in out[-1]


def test_a_story_that_keeps_a_clause_says_nothing_of_its_waiver(
    escaping: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(escaping, GOOD + GOOD.replace("unescaped", "once"))
    assert main(["replay", "approve-by-api", "--history", "."]) == 0
    assert main(["check", "approve-by-api.jsonl"]) == 0
    assert "remove its waiver" not in capsys.readouterr().out


@pytest.mark.parametrize("command", [["gate"], ["replay"], ["check", "run.jsonl"]])
def test_a_file_that_is_wrong_is_wrong_usage(
    escaping: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    written(escaping, GOOD.replace("aura", "synapse"))
    assert main(command) == 2
    assert capsys.readouterr().err.splitlines() == [
        'aura-harness: waivers.yaml:2:3: seat is "synapse", expected aura, which keeps publish.unescaped',
        "     1 | - clause: publish.unescaped",
        ">    2 |   seat: synapse",
        "       |   ^",
    ]
    assert main([*command, "--waivers", "none.yaml"]) == 2
    assert capsys.readouterr().err.startswith("aura-harness: none.yaml: No such file or directory")


def test_every_report_shows_the_waived_as_such(escaping: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(escaping, GOOD)
    kinds = ("json", "junit", "ctrf", "markdown", "html")
    reports = [word for kind in kinds for word in ("--report", f"{kind}={kind}")]
    assert main(["replay", "approve-by-api", *reports, "--report", "github=-"]) == 0
    text = {kind: (escaping / kind).read_text(encoding="utf-8") for kind in kinds}
    document = json.loads(text["json"])
    assert document["waived"]["publish.unescaped"]["owner"] == "김철수"
    assert verdict_of(document)["outcome"] == "broken"
    (case,) = (case for case in ET.fromstring(text["junit"]).iter("testcase") if case.get("name") == WAIVER.clause)
    (skipped,) = case.findall("skipped")
    assert "broken, and waived: 배포가 금요일이라" in skipped.get("message", "")
    (test,) = (each for each in json.loads(text["ctrf"])["results"]["tests"] if each["name"] == WAIVER.clause)
    assert (test["status"], test["rawStatus"], test["extra"]["waiver"]["until"]) == ("other", "waived", "2026-03-01")
    assert "Waived: 배포가 금요일이라 그때까지 봐준다 🙏 (김철수" in text["markdown"]
    assert "What is waived" in text["html"]
    notices = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::notice file=")]
    assert len(notices) == 1
    assert "title=publish.unescaped broken by aura%2C waived::" in notices[0]
    assert "김철수, until 2026-03-01; waivers.yaml:1:3" in notices[0]


def test_github_takes_no_command_from_what_people_are_shown(escaping: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "approve-by-api", "--history", ".", "--report", "github=-"]) == 1
    assert main(["check", "approve-by-api.jsonl", "--report", "github=-"]) == 1
    heeded: list[str] = []
    token = ""
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif token and line == f"::{token}::":
            token = ""
        elif not token:
            heeded.append(line)
    assert not token
    wire = [line for line in heeded if "\\uc870" in line]
    assert len(wire) == 2
    assert all(line.startswith("::error file=contracts/clauses.yaml,line=") for line in wire)


def verdict_of(document: dict[str, Any]) -> dict[str, Any]:
    (found,) = (each for each in document["verdicts"] if each["clause"] == WAIVER.clause)
    return dict(found)
