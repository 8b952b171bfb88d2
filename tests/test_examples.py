"""What other teams copy beside the suites: the workflow and the Dockerfile say what is there."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import cli
from harness.configuration import Asked, read

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
    run = steps["Gate"]["run"].replace("$GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    program, *arguments = shlex.split(run)
    parsed = cli._parser().parse_args(arguments)
    assert program == "aura-harness"
    assert isinstance(parsed, argparse.Namespace)
    assert [(kind, str(path)) for kind, path in parsed.report] == [
        ("github", "-"),
        ("markdown", str(tmp_path / "summary.md")),
        ("junit", "contract.xml"),
        ("html", "contract.html"),
    ]


def test_the_workflow_keeps_what_the_gate_writes(steps: dict[str, dict[str, Any]]) -> None:
    kept = steps["Keep the report and what was observed"]
    assert kept["if"] == "always()"
    assert set(kept["with"]["path"].split()) == set(re.findall(r"contract\.\w+", steps["Gate"]["run"]))


def test_the_workflow_says_how_to_call_a_live_aura() -> None:
    told = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]["gate"]["env"]
    configured = read(Asked(), told)
    assert configured.aura is not None
    assert (configured.aura.prefix, configured.redis_url) == ("/aura", "redis://127.0.0.1:6379")


def test_the_dockerfile_copies_what_a_wheel_needs_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]}
    assert all((ROOT / name).exists() for name in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "harness", "contracts", "scenarios"} <= copied
    user = lines.index("USER harness")
    assert user < lines.index('ENTRYPOINT ["aura-harness"]')
    assert not any(line.startswith("RUN ") for line in lines[user:])
    assert not any("://" in line for line in lines if not line.startswith("#"))
