"""A slice of the matrix: one deviation at every seam, and none at all. CI runs the whole of it."""

from __future__ import annotations

import pytest

from harness import scenario
from harness.agreement import Agreement
from harness.drift import run as runs
from harness.drift.catalogue import named
from harness.drift.matrix import matrix
from harness.drift.run import Task, run
from harness.scenario import Scenario

SEAMS = {
    "a setting": "aura.rag-on-the-alert-channel",
    "the request handler": "aura.expired-tokens-accepted",
    "the answer": "aura.history-id-is-back",
    "the payload before it is encoded": "aura.case-id-renamed",
    "the bytes": "aura.ascii-escapes",
    "the clock": "aura.clock-five-minutes-late",
    "the occasion": "aura.alert-for-medium",
    "the feedback line": "aura.feedback-last",
    "what is remembered": "aura.executor-left-over",
    "the answer to a request": "aura.any-session",
    "a timeout": "aura.timeout-late",
    "somebody else's rows": "aura.writes-document-status",
    "what is received": "synapse.stops-after-one-bad-message",
    "the subscription": "synapse.does-not-come-back",
    "the mapping": "synapse.time-of-receipt",
    "the store": "synapse.not-stored",
    "the broadcast": "synapse.dates-are-numbers",
    "the decision": "synapse.all-documents-updated",
    "the refetch": "workbench.from-the-cache",
}


@pytest.fixture(scope="module")
def stories() -> tuple[Scenario, ...]:
    return tuple(scenario.load_all())


@pytest.mark.parametrize("seam", SEAMS)
def test_a_deviation_is_caught_and_nobody_else_accused_at(
    seam: str, agreed: Agreement, stories: tuple[Scenario, ...]
) -> None:
    deviation = named(SEAMS[seam])
    seen = run(agreed, stories, Task(deviation.id, 1))
    (row,) = matrix(agreed.clauses, [(deviation, seen)], whole=False).rows
    assert (seen.crash, row.of("missed"), row.of("accused")) == ("", (), ())


@pytest.mark.parametrize("seed", [1, 7])
def test_without_a_deviation_nothing_is_broken_and_nothing_in_reach_is_unproven(
    seed: int, agreed: Agreement, stories: tuple[Scenario, ...]
) -> None:
    seen = run(agreed, stories, Task("", seed))
    assert (seen.crash, seen.broken, seen.unproven, seen.out_of_reach) == ("", {}, {}, {})


def test_what_keeps_a_run_from_its_end_is_told_with_its_place(
    agreed: Agreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("무엇")

    monkeypatch.setattr(runs, "_verdicts", broken)
    seen = run(agreed, (), Task("aura.utf-16", 1))
    assert (seen.broken, seen.crash[:16]) == ({}, "KeyError: '무엇' (")
