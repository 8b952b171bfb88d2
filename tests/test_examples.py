"""What other teams copy beside the suites: the workflow and the Dockerfile say what is there."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import cli

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / "examples" / "ci" / "github-actions.yml"


@pytest.fixture(scope="module")
def steps() -> dict[str, dict[str, Any]]:
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return {step.get("name", step.get("uses")): step for step in workflow["jobs"]["gate"]["steps"]}


def test_the_workflow_calls_a_command_that_is_there(
    steps: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(steps["Gate"]["run"])
    parsed = cli._parser().parse_args(arguments)
    assert program == "aura-harness"
    assert isinstance(parsed, argparse.Namespace)
    assert [str(path) for _, path in parsed.report] == ["contract.xml", "contract.json"]


def test_the_workflow_keeps_what_the_gate_writes(steps: dict[str, dict[str, Any]]) -> None:
    kept = steps["Keep the report and what was observed"]
    assert kept["if"] == "always()"
    assert set(kept["with"]["path"].split()) == set(re.findall(r"contract\.\w+", steps["Gate"]["run"]))


def test_the_workflow_annotates_each_broken_clause(steps: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    finding = {"expected": "100 %", "seen": "조치\n50 %"}
    verdicts = [
        {"clause": "publish.once", "outcome": "broken", "level": "must", "promise": "Once.", "findings": [finding]},
        {"clause": "publish.text", "outcome": "broken", "level": "should", "promise": "So.", "findings": [finding]},
        {"clause": "publish.echo", "outcome": "kept", "level": "must", "promise": "Echo.", "findings": []},
    ]
    (tmp_path / "contract.json").write_text(json.dumps({"verdicts": verdicts}), encoding="utf-8")
    script = steps["Annotations"]["run"].split("PYTHON'\n", 1)[1].rsplit("PYTHON", 1)[0]
    answer = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines() == [
        "::error title=publish.once::Once. Expected 100 %25; seen 조치%0A50 %25",
        "::warning title=publish.text::So. Expected 100 %25; seen 조치%0A50 %25",
    ]


def test_the_dockerfile_copies_what_a_wheel_needs_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]}
    assert all((ROOT / name).exists() for name in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "harness", "contracts", "scenarios"} <= copied
    user = lines.index("USER harness")
    assert user < lines.index('ENTRYPOINT ["aura-harness"]')
    assert not any(line.startswith("RUN ") for line in lines[user:])
    assert not any("://" in line for line in lines if not line.startswith("#"))
