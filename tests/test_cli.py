"""The command line: what it prints, what it exits with, and what it says when it is called wrongly."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.cli import main
from harness.gate import Options

QUICK = ["--examples", "3"]
WITHOUT = frozenset({"schemathesis"})


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_REDIS_URL", raising=False)
    # Schemathesis takes seconds, and has tests of its own.
    monkeypatch.setattr("harness.gate.Options", partial(Options, without=WITHOUT, quiet=0.05, settle=0.05))


def run(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def test_a_gate_says_what_ran_and_what_it_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("gate", *QUICK) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[:7] == [
        "harness    0.1.0, agreement 1.0.0",
        "aura       simulated",
        "synapse    simulated",
        "workbench  simulated",
        lines[4],
        "seed       1",
        "",
    ]
    assert lines[4].startswith("redis      embedded (fakeredis ")
    assert lines[7] == "aura  42 kept, 1 broken"
    assert any(line.startswith("  broken   should hitl.other-request ") for line in lines)
    assert lines[-1] == (
        "64 kept, 1 broken, 0 unproven: every must in reach is kept (exit 0); "
        "aura, synapse and workbench simulated: this is a self-test"
    )
    assert err.splitlines()[0] == "samples: 7"


def test_a_finding_says_everything_in_its_order(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASE_ACTION_REDIS_CHANNEL", "workbench:alert")
    assert run("gate", *QUICK) == 1
    out = capsys.readouterr().out
    finding = out[out.index("\npublish.once must") + 1 :].split("\n\n")[0].splitlines()
    labels = [line[2:13].strip() for line in finding if line.startswith("  ")]
    told = list(dict.fromkeys(label for label in labels if label))
    assert told == ["promise", "written", "broken by", "expected", "seen", "wire", "reproduce"]
    assert finding[1] == "  promise    An accepted action is published exactly once on workbench:case:action."
    assert "redis-messages §3.3, action-integrity §2.2  (contracts/clauses.yaml:" in finding[2]
    assert finding[3].startswith("  broken by  aura (simulated), ")
    assert finding[4] == "  expected   one message on workbench:case:action"
    assert 'curl -i -X POST "$HARNESS_AURA_URL"/aura/action/record' in "\n".join(finding)
    assert "a clause that counts is broken (exit 1)" in " ".join(out.split())


def test_a_history_is_judged_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history, first, second = tmp_path / "run.jsonl", tmp_path / "1.json", tmp_path / "2.json"
    assert run("gate", *QUICK, "--history", str(history), "--report", f"json={first}") == 0
    gate_out = capsys.readouterr().out
    assert run("check", str(history), "--report", f"json={second}") == 0
    assert capsys.readouterr().out == gate_out
    assert first.read_text(encoding="utf-8") == second.read_text(encoding="utf-8")


def test_the_json_report_holds_every_verdict(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    run("gate", *QUICK, "--report", f"json={path}")
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["counts"] == {"kept": 64, "broken": 1, "unproven": 0}
    assert (report["exit_code"], report["complete"]) == (0, True)
    assert report["verdicts"][0]["clause"] == "http.accepted"


def test_the_junit_report_fails_for_a_broken_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASE_ACTION_REDIS_CHANNEL", "workbench:alert")
    path = tmp_path / "report.xml"
    assert run("gate", *QUICK, "--report", f"junit={path}") == 1
    suite = ET.parse(path).getroot()[0]
    assert suite.get("name") == "aura"
    failed = {case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None}
    assert failed == {
        "publish.once",
        "publish.channel-category",
        "hitl.approve-recorded",
        "hitl.reject-recorded",
        "hitl.timeout-recorded",
    }
    assert suite.get("failures") == "5"


def test_a_required_clause_counts_whatever_its_level_and_reach(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("gate", *QUICK, "--require", "http.data,hitl.other-request") == 1
    assert "a clause that counts is broken (exit 1)" in capsys.readouterr().out
    assert run("replay", "timeout", "--history", str(tmp_path)) == 0
    assert run("check", str(tmp_path / "timeout.jsonl"), "--require", "all") == 3
    assert "a clause that counts is unproven (exit 3)" in capsys.readouterr().out


def test_a_clause_that_does_not_exist_is_told_with_the_one_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("gate", "--require", "publish.onec") == 2
    assert capsys.readouterr().err == (
        "aura-harness: --require publish.onec: there is no such clause; did you mean publish.once?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["gate", "--examples", "0"], "'0' was found, a whole number above 0 was expected"),
        (["gate", "--seed", "x"], "invalid int value: 'x'"),
        (["gate", "--report", "xml=f"], "'xml=f' was found, FORMAT=FILE with one of json, junit, ctrf, github"),
        (["gate", "--report", "html=-"], "'html=-': the report for people is there already; give a file"),
        (["gate", "--report", "github=-", "--report", "github=-"], "standard output is to be written twice"),
        (["replay", "--report", "json=f", "--report", "html=f"], "f is to be written twice"),
        (["gate", "--report", "json=/no/such/folder/f"], "cannot be written"),
        (["gate", "--history", "/no/such/folder/f"], "cannot be written"),
        (["check"], "HISTORY.jsonl"),
        (["check", "/no/such/file"], "/no/such/file: No such file or directory"),
        (["gate", "--contracts", "/no/such/folder"], "/no/such/folder"),
        (["frob"], "invalid choice: 'frob'"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert text in err
    assert "Traceback" not in err


def test_a_redis_out_of_reach_is_exit_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("gate", "--redis", "redis://127.0.0.1:1") == 4
    assert capsys.readouterr().err.startswith("aura-harness: --redis redis://127.0.0.1:1: cannot be reached")


def test_a_history_that_is_none_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text("한글\n", encoding="utf-8")
    assert run("check", str(path)) == 2
    assert f"{path}:1: this line is not an event of a history" in capsys.readouterr().err


def test_lint_counts_what_is_consistent(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("lint") == 0
    assert capsys.readouterr().out == (
        "agreement 1.0.0 is consistent: 65 clauses, 12 schemas, 26 mapping rows, 7 samples\n"
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "where"),
    [
        ("samples/alert.json", '"score": 0.85', '"score": "0.85"', "contracts/samples/alert.json:7:"),
        ("schemas/alert.json", '"type": "number"', '"type": "numeric"', "contracts/schemas/alert.json:"),
        ("clauses.yaml", "  publish.once:", "  publish.twice:", "contracts/clauses.yaml:"),
    ],
)
def test_lint_names_file_and_line(
    file: str, old: str, new: str, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.agreement import contracts_dir

    root = tmp_path / "contracts"
    shutil.copytree(contracts_dir(), root)
    text = (root / file).read_text(encoding="utf-8")
    assert old in text
    (root / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert run("lint", "--contracts", str(root)) == 1
    assert where in capsys.readouterr().out


def test_a_broken_yaml_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from harness.agreement import contracts_dir

    root = tmp_path / "contracts"
    shutil.copytree(contracts_dir(), root)
    (root / "clauses.yaml").write_text("version: 1.0.0\nclauses: [\n", encoding="utf-8")
    assert run("gate", "--contracts", str(root)) == 2
    assert "contracts/clauses.yaml:" in capsys.readouterr().err


def test_help_answers_without_importing_what_it_does_not_need() -> None:
    script = (
        "import sys; from harness.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted(set(sys.modules) & {'redis', 'rich', 'starlette', 'schemathesis', 'yaml'}))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("usage: aura-harness")
    assert answer.stdout.splitlines()[-1] == "[]"


def test_no_colour_enters_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("gate", *QUICK)
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert not [line for line in out.splitlines() if line != line.rstrip()]


def test_an_interrupted_run_says_so_and_judges_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    command = [sys.executable, "-m", "harness.cli", "gate", "--examples", "100000", "--history", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if line.startswith("curated calls"):
                break
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        code = process.wait()
    assert code == 4
    assert "the run did not come to its end; what it recorded until then was judged (exit 4)" in out
    assert len(path.read_text(encoding="utf-8").splitlines()) > 90


@pytest.mark.parametrize("command", ["gate", "replay"])
def test_what_is_said_to_repeat_a_run_says_the_same_again(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.cli import _parser
    from harness.commands import gate, replay
    from harness.commands.options import configuration

    monkeypatch.chdir(tmp_path)
    Path("내 설정.toml").write_text("[aura]\ntenant = '3'\n", encoding="utf-8")
    seats = "--redis redis://r:6380 --aura http://a/aura --synapse http://s --seed 5 --config".split()
    live = "--tenant 9 --patience 2.5 --hitl-timeout 300 --aura-feedback log --allow-writes --redact --insecure".split()
    own = ["--may-cut", "--examples", "7"] if command == "gate" else ["--timeout", "3.5"]
    secret = ["--secret", "a-secret-of-more-than-32-bytes-in-all"]
    said = _parser().parse_args([command, *seats, "내 설정.toml", *live, *own, *secret, "--header", "X-Key: hidden"])
    repeated = {"gate": gate, "replay": replay}[command]._command(said, configuration(said))
    assert not any(hidden in " ".join(repeated) for hidden in (secret[1], "hidden"))
    again = vars(_parser().parse_args(repeated[1:]))
    assert again.pop("header") == ["X-Key:***"]
    apart = {"secret", "header", "run", "parser"}
    assert {name: value for name, value in again.items() if name not in apart} == {
        name: value for name, value in vars(said).items() if name not in apart
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--redis", "own", "--synapse", "http://s"],
            "--synapse: nothing live is connected to a Redis",
        ),
        (["--may-cut"], "unrecognized arguments: --may-cut"),
    ],
)
def test_what_a_replay_cannot_heed_is_wrong_usage(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("replay", "approve-by-api", *arguments) == 2
    assert said in capsys.readouterr().err
