"""`aura-harness drift` and `serve --drift`, as they are typed."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.drift import run as runs
from harness.drift.catalogue import CATALOGUE
from harness.drift.run import Seen, Task

Output = pytest.CaptureFixture[str]


def test_two_deviations_are_run_in_processes_of_their_own_and_told(tmp_path: Path, capsys: Output) -> None:
    told, drawn = tmp_path / "drift.json", tmp_path / "drift.svg"
    ids = ["aura.utf-16", "synapse.stored-twice"]
    files = ["--json", str(told), "--matrix", str(drawn)]
    assert main(["drift", "--only", ids[1], "--only", ids[0], "--jobs", "2", *files]) == 0
    out = capsys.readouterr().out
    assert "2 of 2 caught (100 %): aura 100 %, synapse 100 %; no other team accused" in out
    assert [each["id"] for each in json.loads(told.read_text())["deviations"]] == ids
    assert drawn.read_text().startswith("<svg ")


FIRST = Seen(Task("aura.history-id-is-back", 1), 1.0, {"http.data": "", "http.no-database-fields": ""})


def told_of(monkeypatch: pytest.MonkeyPatch, *seen: Seen, stop: bool = False) -> None:
    """What runs come to, without any."""

    def run_all(contracts: object, tasks: object, jobs: int) -> object:
        yield from seen
        if stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(runs, "run_all", run_all)


def test_a_deviation_that_survives_fails(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    told_of(monkeypatch, Seen(Task("aura.utf-16", 1), 1.0))
    assert main(["drift", "--only", "aura.utf-16"]) == 1
    assert "missed     publish.utf8-json" in capsys.readouterr().out


def test_what_was_run_before_an_interruption_is_told(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    told_of(monkeypatch, FIRST, stop=True)
    assert main(["drift"]) == 4
    captured = capsys.readouterr()
    assert "1 of 1 caught" in captured.out
    assert "untested" not in captured.out
    assert "interrupted; 1 of" in captured.err


def test_an_interruption_writes_no_file_and_leaves_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    told_of(monkeypatch, FIRST, stop=True)
    old, new = tmp_path / "drift.json", tmp_path / "drift.svg"
    old.write_text("of the last run")
    assert main(["drift", "--json", str(old), "--matrix", str(new)]) == 4
    assert (old.read_text(), new.exists()) == ("of the last run", False)
    assert f"; {old} is not written" in capsys.readouterr().err


def test_where_nothing_was_run_there_is_no_score(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    told_of(monkeypatch, stop=True)
    assert main(["drift"]) == 4
    assert capsys.readouterr().out == ""


def test_all_seats_named_are_the_whole_catalogue(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    told_of(monkeypatch, *(Seen(Task(each.id, 1), 1.0) for each in CATALOGUE.values()))
    main("drift --seat aura --seat synapse --seat workbench".split())
    assert "clauses untested" in capsys.readouterr().out


def test_of_clauses_nothing_is_said_where_a_run_crashed(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    told_of(monkeypatch, *(Seen(Task(each.id, 1), 1.0, crash="it was killed") for each in CATALOGUE.values()))
    assert main(["drift"]) == 1
    out = capsys.readouterr().out
    assert "crashed    it was killed" in out
    assert "untested" not in out


def test_a_file_that_cannot_be_written_is_found_before_anything_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    told_of(monkeypatch, stop=True)
    monkeypatch.setattr(Path, "open", refused)
    assert main(["drift", "--json", str(tmp_path / "drift.json")]) == 4
    assert "drift.json: Permission denied" in capsys.readouterr().err


def refused(path: Path, *_: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_steady_runs_are_told_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    told_of(monkeypatch, Seen(Task("", 5), 1.0), Seen(Task("", 6), 1.0))
    assert main(["drift", "--steady", "2", "--seed", "5"]) == 0
    told = (
        "2 of 2 runs without deviation (seeds 5 to 6): nothing broken, nothing in reach unproven, every scenario kept\n"
    )
    assert capsys.readouterr().out == told


def test_a_false_alarm_is_told_with_its_seed_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    told_of(
        monkeypatch,
        Seen(Task("", 1), 1.0, {"http.data": "x; seen: y"}),
        Seen(Task("", 2), 1.0, {}, {"mapping.dto": "z"}, stories={"timeout": "timeout.yaml:9:5: x; seen: y"}),
    )
    assert main(["drift", "--steady", "2"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "seed 1  broken  http.data  x; seen: y",
        "seed 2  unproven  mapping.dto  z",
        "seed 2  not kept  timeout  timeout.yaml:9:5: x; seen: y",
        "2 of 2 runs without deviation (seeds 1 to 2): 3 false alarms",
    ]


def test_one_false_alarm_is_one(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    told_of(monkeypatch, Seen(Task("", 1), 1.0, stories={"timeout": "x"}))
    assert main(["drift", "--steady", "1"]) == 1
    assert "1 false alarm\n" in capsys.readouterr().out


def test_the_list_tells_what_each_must_break(capsys: Output) -> None:
    assert main(["drift", "--list", "--only", "synapse.stored-twice"]) == 0
    assert capsys.readouterr().out.split("  ")[0] == "synapse.stored-twice"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("drift --only nothing-at-all-like-it", "there is no deviation"),
        ("drift --only synapse.stored-twice --seat aura", "no deviation of aura"),
        ("drift --steady 3 --seat aura", "leave out"),
        ("drift --list --json some.json", "leave them out"),
        ("drift --matrix same.svg --json same.svg", "same.svg is to be written twice"),
        ("serve --drift workbench.every-case", "workbench would have to be served"),
        ("serve --seats aura --drift synapse.stored-twice", "aura was asked for"),
        ("serve --seats aura --drift aura.writes-case-status", "synapse would have to be served"),
        ("serve --drift synapse.told-before-commit", "no gate on a live system can see action.recorded-first"),
    ],
)
def test_what_cannot_be_is_wrong_usage(line: str, told: str, capsys: Output) -> None:
    assert main(line.split()) == 2
    assert told in capsys.readouterr().err


def test_a_picture_is_html_or_svg(capsys: Output) -> None:
    with pytest.raises(SystemExit):
        main(["drift", "--matrix", "matrix.pdf"])
    assert "ends with .html or .svg" in capsys.readouterr().err
