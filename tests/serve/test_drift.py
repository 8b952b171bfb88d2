"""The fire drill: a served system misbehaves on purpose, and the gate of whoever looks at it turns red."""

from __future__ import annotations

import pytest

from harness.aura.settings import Settings
from harness.cli import main
from harness.drift.catalogue import named
from serve.processes import served


def test_a_gate_on_a_served_drift_finds_what_it_was_told_to_find(capsys: pytest.CaptureFixture[str]) -> None:
    with served("--seats", "aura", "--drift", "aura.category-in-lower-case", "--quiet") as running:
        lines = running.lines
        where = ["--aura", f"{running.url}/aura", "--redis", running.redis_url, "--secret", Settings().jwt_secret]
        assert main(["gate", *where]) == 1
    told = lines.index("drift      aura.category-in-lower-case: Categories are lower case.")
    assert lines[told + 1].strip() == "a gate on this aura should find publish.common-fields broken"
    out = capsys.readouterr().out
    assert "publish.common-fields must" in out
    assert "broken   must   publish" in out


def test_a_served_synapse_drifts_too(capsys: pytest.CaptureFixture[str]) -> None:
    with served("--seats", "synapse", "--drift", "synapse.time-of-receipt", "--quiet") as running:
        assert main(["gate", "--synapse", running.url, "--redis", running.redis_url]) == 1
    out = capsys.readouterr().out
    assert "mapping.occurred-at must" in out


def test_what_a_gate_has_to_be_given_is_said_with_the_drift() -> None:
    with served("--drift", "aura.timeout-early", "--quiet") as running:
        told = running.lines.index("drift      aura.timeout-early: " + named("aura.timeout-early").confession)
        expected = "a gate on this aura with --hitl-timeout and [triggers.hitl] should find hitl.deadline broken"
        assert running.lines[told + 1].strip() == expected
