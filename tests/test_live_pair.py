"""Two served processes on a real Redis, gated as live seats: the self-test's verdicts, and each fault its keeper's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from serve.processes import Served, served

from harness import agreement, gate, scenario
from harness.agreement import Agreement
from harness.aura.settings import Settings as AuraSettings
from harness.checks import judge
from harness.gate import Options
from harness.history import History
from harness.live.aura import AuraTarget
from harness.live.synapse import SynapseTarget
from harness.live.triggers import Trigger
from harness.replay import Conditions, play_all
from harness.seats import Settings, Targets
from harness.verdict import Verdict, exit_code

SECRET = AuraSettings().jwt_secret
BODIES = {
    "detect": {"case_id": "{case}", "severity": "{severity}", "score": "{score}"},
    "rag": {"rag_document_id": "{document}", "chunks_added": "{chunks}", "succeeded": "{succeeded}"},
    "hitl": {
        "case_id": "{case}",
        "doc_key": "{document}",
        "request_id": "{request}",
        "session_id": "{session}",
        "user_id": "{user}",
        "tenant_id": "{tenant}",
        "timeout": "{timeout}",
    },
    "case": {"case_id": "{case}", "documents": "{documents}", "tenant_id": "{tenant}"},
}
PATHS = {"detect": "detect", "rag": "rag", "hitl": "ask", "case": "cases"}
BY_API = ("approve-by-api", "reject-by-api", "only-who-shows-it", "two-tenants", "viewer-catches-up")
BARE = ("bare-messages", "unknown-channel", "malformed-between-good")
BY_HITL = ("approve-by-signal", "reject-by-signal", "timeout")


@contextmanager
def processes(
    redis_url: str, *, aura: Mapping[str, str] = {}, synapse: Mapping[str, str] = {}
) -> Iterator[tuple[Served, Served]]:
    """Aura and Synapse; `aura` and `synapse` are settings in their environments."""
    with (
        served("--seats", "aura", "--redis", redis_url, "--quiet", **aura) as first,
        served(
            "--seats", "synapse", "--aura", f"{first.url}/aura", "--redis", redis_url, "--quiet", **synapse
        ) as second,
    ):
        yield first, second


@contextmanager
def pair(redis_url: str, *, aura: Mapping[str, str] = {}, synapse: Mapping[str, str] = {}) -> Iterator[Targets]:
    with processes(redis_url, aura=aura, synapse=synapse) as both:
        yield targets_of(*both)


def targets_of(first: Served, second: Served) -> Targets:
    triggers = {
        event: Trigger(
            event,
            f"[triggers.{event}]",
            url=f"{(second if event == 'case' else first).url}/_harness/{PATHS[event]}",
            body=body,
        )
        for event, body in BODIES.items()
    }
    return Targets(
        aura=AuraTarget(f"{first.url}/aura", secret=SECRET, hitl_timeout=0.6),
        synapse=SynapseTarget(second.url),
        triggers=triggers,
        may_cut=True,
    )


def gated(agreed: Agreement, redis_url: str, targets: Targets) -> History:
    options = Options(redis_url=redis_url, targets=targets, quiet=0.3)
    return asyncio.run(gate.run(agreed, options, Settings()))


def broken(verdicts: Sequence[Verdict]) -> set[tuple[str, str]]:
    return {(each.seat, each.clause) for each in verdicts if each.outcome == "broken" and each.level == "must"}


def test_the_verdicts_are_those_of_the_self_test_on_the_clauses_in_reach(agreed: Agreement, real_redis: str) -> None:
    with pair(real_redis) as targets:
        live = judge(agreed, gated(agreed, real_redis, targets))
    embedded = judge(agreed, asyncio.run(gate.run(agreed, Options(examples=5), Settings())))
    there = {each.clause: each.outcome for each in live if each.in_reach}
    here = {each.clause: each.outcome for each in embedded if each.clause in there}
    assert there == here
    assert exit_code(live) == 0
    assert {each.clause for each in live if not each.in_reach} == {
        name for name, clause in agreed.clauses.items() if clause.needs & {"feedback", "trigger:action"}
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"aura": {"WORKBENCH_ALERT_CHANNEL": "workbench:elsewhere"}}, {("aura", "publish.alert-high")}),
        (
            {"synapse": {"NOTIFICATION_REDIS_WORKBENCH_PATTERN": "workbench:*:*"}},
            {("synapse", "subscriber.channels")},
        ),
    ],
    ids=["aura", "synapse"],
)
def test_a_fault_of_one_process_is_blamed_on_it(
    settings: dict[str, dict[str, str]], expected: set[tuple[str, str]], agreed: Agreement, real_redis: str
) -> None:
    with pair(real_redis, **settings) as targets:
        found = broken(judge(agreed, gated(agreed, real_redis, targets)))
    assert found >= expected
    assert {seat for seat, _ in found} == {seat for seat, _ in expected}


def test_stories_go_through_both_processes(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    feedback = tmp_path / "feedback.jsonl"
    stories = [scenario.load(path) for path in scenario.paths() if path.stem in (*BY_API, *BY_HITL, *BARE)]
    with pair(real_redis, aura={"HITL_FEEDBACK_LOG_PATH": str(feedback)}) as targets:
        assert targets.aura is not None
        targets = replace(targets, aura=replace(targets.aura, feedback=feedback))
        conditions = Conditions(redis_url=real_redis, targets=targets, allow_writes=True)
        played = play_all(agreement.load(), stories, Settings(), conditions)
    wrong = {
        each.scenario.name: [(one.step.where, one.seen, one.hop) for one in each.expectations if one.outcome != "kept"]
        + [(verdict.clause, verdict.findings[0].seen) for verdict in each.verdicts if verdict.outcome == "broken"]
        for each in played
        if each.outcome != "kept"
    }
    assert wrong == {}
    assert len(played) == len(BY_API) + len(BY_HITL) + len(BARE)
