"""A gate run drives everything it promises, on both kinds of Redis, and can be judged again from its file."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
import redis

from harness import gate
from harness.agreement import Agreement
from harness.aura.settings import Settings as AuraSettings
from harness.checks import judge
from harness.errors import HarnessError
from harness.gate import Options
from harness.history import History, load
from harness.redis_server import private_server
from harness.seats import Settings
from harness.verdict import exit_code


def played(agreed: Agreement, options: Options, settings: Settings | None = None) -> History:
    history = asyncio.run(gate.run(agreed, options, settings or Settings()))
    assert history.complete
    return history


QUICK = Options(examples=5, without=frozenset({"approvals", "messages", "gap", "schemathesis"}), quiet=0.01)


def test_every_clause_in_reach_is_kept_on_either_redis(agreed: Agreement, redis_url: str | None) -> None:
    options = Options(redis_url=redis_url, examples=10, without=frozenset({"schemathesis"}), quiet=0.1, settle=0.1)
    verdicts = judge(agreed, played(agreed, options))
    outcomes = {verdict.clause: verdict.outcome for verdict in verdicts if verdict.in_reach}
    # As deployed, Aura does not compare which request a signal names.
    assert [clause for clause, outcome in outcomes.items() if outcome != "kept"] == ["hitl.other-request"]
    assert len(outcomes) == 59
    assert exit_code(verdicts) == 0


def test_what_is_out_of_reach_says_why(agreed: Agreement) -> None:
    reasons = {verdict.reason for verdict in judge(agreed, played(agreed, QUICK)) if not verdict.in_reach}
    assert reasons == {
        "out of reach: needs trigger:action",
    }


def test_schemathesis_takes_part_with_ids_of_the_run(agreed: Agreement) -> None:
    history = played(agreed, Options(examples=2, without=frozenset({"approvals", "messages", "gap"}), quiet=0.01))
    fuzzed = [event for event in history.of("http") if "x-schemathesis-testcaseid" in event.data["headers"]]
    assert len(fuzzed) > 50
    requests = [event.about["request"] for event in fuzzed if "request" in event.about]
    assert all(not request or request.startswith("h1-request-") for request in requests)
    assert len(set(requests)) > 20


def test_a_failure_of_schemathesis_is_judged(agreed: Agreement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.aura.access.GATEWAY_BODY_LIMIT", 0)
    monkeypatch.setattr("harness.aura.access.GATEWAY_PREFIX", "/aura/")  # Aura itself refuses every body with 413
    history = played(agreed, Options(examples=2, without=frozenset({"approvals", "messages", "gap"}), quiet=0.01))
    assert history.of("fuzz")
    broken = {verdict.clause for verdict in judge(agreed, history) if verdict.outcome == "broken"}
    assert "http.accepted" in broken


def test_every_sample_of_aura_is_caused(agreed: Agreement) -> None:
    history = played(agreed, QUICK)
    sent = [event.data["wire"] for event in history.of("published")]
    for sample in agreed.samples.values():
        if sample.channel and sample.keeper == "aura":
            name = next(iter({"case_id", "rag_document_id"} & sample.value.keys()))
            assert any(f'"{name}": "{sample.value[name]}"' in wire for wire in sent), sample.name


def test_no_token_and_no_secret_enters_a_history(agreed: Agreement) -> None:
    out = io.StringIO()
    secret = "a-secret-that-must-never-be-written-down"
    asyncio.run(
        gate.run(
            agreed,
            Options(examples=5, without=frozenset({"approvals", "messages", "gap"}), quiet=0.01),
            Settings(AuraSettings(jwt_secret=secret)),
            out=out,
        )
    )
    assert secret not in out.getvalue()
    assert "eyJ" not in out.getvalue()


def test_the_same_seed_sends_the_same_calls(agreed: Agreement) -> None:
    first, second = (
        [(event.data["method"], event.data["path"], event.data["body"]) for event in played(agreed, QUICK).of("http")]
        for _ in range(2)
    )
    assert first == second


def test_a_recorded_run_is_judged_the_same_again(agreed: Agreement, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with path.open("w", encoding="utf-8") as out:
        history = asyncio.run(gate.run(agreed, QUICK, Settings(), out=out))
    assert judge(agreed, load(path)) == judge(agreed, history)


def test_an_interrupted_run_keeps_what_it_recorded(agreed: Agreement) -> None:
    async def scene() -> History:
        reached = asyncio.Event()

        def progress(phase: str, done: int, total: int | None) -> None:
            if phase == "RAG runs":
                reached.set()

        running = asyncio.create_task(gate.run(agreed, Options(), Settings(), progress=progress))
        await reached.wait()
        running.cancel()
        return await running

    history = asyncio.run(scene())
    assert not history.complete
    assert history[-1].data == {"do": "interrupted"}
    assert len(history.of("http")) > 200


def test_feedback_goes_to_the_file_that_is_set(agreed: Agreement, tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    history = played(agreed, QUICK, Settings(AuraSettings(hitl_feedback_log_path=path)))
    assert path.read_text(encoding="utf-8").splitlines() == [event.data["line"] for event in history.of("feedback")]


def test_schemathesis_that_cannot_work_ends_the_run_and_what_came_before_is_kept(
    agreed: Agreement, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: object) -> object:
        raise HarnessError("Schemathesis stopped: no specification")

    monkeypatch.setattr("harness.fuzz.Fuzz._schema", fails)
    options = Options(examples=2, without=frozenset({"approvals", "messages", "gap"}), quiet=0.01)
    history = asyncio.run(gate.run(agreed, options, Settings()))
    assert not history.complete
    assert history.why == "Schemathesis stopped: no specification"
    assert len(history.of("http")) > 50


def test_a_killed_connection_of_synapse_is_a_gap_and_nobodys_fault(agreed: Agreement, real_redis: str) -> None:
    def progress(phase: str, done: int, total: int | None) -> None:
        if (phase, done) == ("messages", 40):
            with redis.Redis.from_url(real_redis) as other:
                (synapse,) = [client["id"] for client in other.client_list() if client["psub"] == "1"]
                other.client_kill_filter(_id=synapse)

    without = frozenset({"approvals", "schemathesis"})
    options = Options(redis_url=real_redis, examples=5, without=without, quiet=0.1)
    history = asyncio.run(gate.run(agreed, options, Settings(), progress=progress))
    connection = [event.data["do"] for event in history.of("fault") if event.data["do"] != "listener-failed"]
    assert connection == ["cut", "restored", "cut", "restored"]
    verdicts = {verdict.clause: verdict for verdict in judge(agreed, history)}
    assert [clause for clause, verdict in verdicts.items() if verdict.outcome == "broken"] == []
    planned = 5
    assert verdicts["delivery.gap"].exercised > planned + 2


def test_a_history_that_was_cut_off_accuses_nobody(agreed: Agreement) -> None:
    options = Options(examples=5, without=frozenset({"schemathesis"}), quiet=0.05, settle=0.05)
    whole = played(agreed, options)
    for length in range(1, len(whole), len(whole) // 12):
        verdicts = judge(agreed, History(whole[:length]))
        assert [verdict.clause for verdict in verdicts if verdict.outcome == "broken"] == [], length


def test_redis_that_dies_in_the_middle_ends_the_run_with_one_line_and_blames_nobody(agreed: Agreement) -> None:
    with private_server() as server:

        def progress(phase: str, done: int, total: int | None) -> None:
            if (phase, done) == ("messages", 20):
                with redis.Redis.from_url(server.url) as other:
                    other.shutdown(nosave=True)

        options = Options(redis_url=server.url, examples=5, without=frozenset({"schemathesis"}), quiet=0.1)
        history = asyncio.run(gate.run(agreed, options, Settings(), progress=progress))
    assert not history.complete
    assert "was lost during the run" in history.why
    assert "\n" not in history.why
    assert not [each.clause for each in judge(agreed, history) if each.outcome == "broken"]


def test_aura_waits_for_answers_for_as_long_as_the_run_says(agreed: Agreement) -> None:
    options = Options(examples=1, without=QUICK.without - {"approvals"}, patience=0.15, quiet=0.01)
    history = played(agreed, options, Settings(AuraSettings(hitl_timeout_seconds=300)))
    waiting = [event for event in history.of("hitl_request") if event.data["do"] == "waiting"]
    assert {event.data["timeout"] for event in waiting} == {0.15}
    assert len({event.about["session"] for event in waiting}) == len(waiting) == 13
    assert max(event.at for event in history.of("hitl_signal")) - waiting[0].at < 0.6


def test_approval_requests_that_nobody_stored_are_told(agreed: Agreement, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(self: object, key: str, text: str, seconds: int) -> None:
        """Keeps nothing."""

    monkeypatch.setattr("harness.runner.TappedLink.store", nowhere)
    history = played(agreed, Options(examples=1, without=QUICK.without - {"approvals"}, patience=0.1, quiet=0.01))
    broken = {verdict.clause for verdict in judge(agreed, history) if verdict.outcome == "broken"}
    assert broken == {"hitl.request-stored"}
