"""A live Aura is gated from outside: one that others wrote passes, one with mistakes breaks exactly their clauses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from other_aura import EXPIRED, MEDIUM, MISTAKES, SECRET, UNESCAPED, other_aura
from serving import others_on, serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness import gate, tokens
from harness.agreement import Agreement
from harness.checks import judge
from harness.commands.judging import left_alone
from harness.errors import HarnessError
from harness.gate import Options
from harness.history import History
from harness.live.aura import AuraTarget
from harness.live.triggers import Trigger
from harness.redis_server import private_server
from harness.seats import Settings, Targets
from harness.verdict import Verdict, exit_code

BREAK = {
    UNESCAPED: "publish.unescaped",
    EXPIRED: "http.token-refused",
    MEDIUM: "publish.alert-high",
}


def triggers(url: str) -> dict[str, Trigger]:
    bodies = {
        "detect": {"case": "{case}", "severity": "{severity}", "score": "{score}"},
        "rag": {"document": "{document}", "chunks": "{chunks}", "succeeded": "{succeeded}"},
        "hitl": {
            name: f"{{{name}}}" for name in ("case", "document", "session", "request", "user", "tenant", "timeout")
        },
    }
    paths = {"detect": "detect", "rag": "rag", "hitl": "ask"}
    return {
        event: Trigger(event, f"harness.toml: [triggers.{event}]", url=f"{url}/debug/{paths[event]}", body=body)
        for event, body in bodies.items()
    }


def gated(
    agreed: Agreement,
    redis_url: str,
    feedback: Path,
    change: Mapping[str, Any] | None = None,
    *,
    mistakes: Collection[str] = (),
    whole: bool = False,
) -> History:
    feedback.touch()
    return asyncio.run(gating(agreed, redis_url, feedback, change, mistakes=mistakes, whole=whole))


async def gating(
    agreed: Agreement,
    redis_url: str,
    feedback: Path,
    change: Mapping[str, Any] | None = None,
    *,
    mistakes: Collection[str] = (),
    whole: bool = False,
) -> History:
    async with serving(other_aura(redis_url, feedback, mistakes), lifespan=True) as port:
        url = f"http://127.0.0.1:{port}"
        target = AuraTarget(f"{url}/aura", secret=SECRET, feedback=feedback, hitl_timeout=0.4, patience=2.0)
        target = replace(target, **(change or {}))
        targets = Targets(aura=target, triggers=triggers(url))
        options = Options(redis_url=redis_url, targets=targets, allow_writes=whole, examples=8, quiet=0.2)
        return await gate.run(agreed, options, Settings())


def judged(agreed: Agreement, history: History) -> tuple[Verdict, ...]:
    assert history.complete
    return judge(agreed, history)


def musts(verdicts: Collection[Verdict], outcome: str) -> set[str]:
    return {each.clause for each in verdicts if each.outcome == outcome and each.level == "must" and each.in_reach}


def test_an_aura_that_others_wrote_passes(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    verdicts = judged(agreed, gated(agreed, real_redis, tmp_path / "feedback.jsonl"))
    assert musts(verdicts, "broken") == set()
    assert musts(verdicts, "unproven") == set()
    assert exit_code(verdicts) == 0


def test_it_passes_with_everything_that_a_run_can_send(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    verdicts = judged(agreed, gated(agreed, real_redis, tmp_path / "feedback.jsonl", whole=True))
    assert exit_code(verdicts) == 0


def test_its_mistakes_break_exactly_their_clauses(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    history = gated(agreed, real_redis, tmp_path / "feedback.jsonl", mistakes=MISTAKES)
    verdicts = judged(agreed, history)
    assert musts(verdicts, "broken") == set(BREAK.values())
    assert {each.seat for each in verdicts if each.outcome == "broken"} == {"aura"}
    assert exit_code(verdicts) == 1


def test_a_run_leaves_at_most_twenty_actions_behind(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    feedback = tmp_path / "feedback.jsonl"
    history = gated(agreed, real_redis, feedback)
    lines = feedback.read_text(encoding="utf-8").splitlines()
    assert 10 < len(lines) <= 20
    assert all(str(history.run["ids"]) in line for line in lines)


def test_what_others_publish_meanwhile_is_nobodys_fault_and_ends_no_later(
    agreed: Agreement, real_redis: str, tmp_path: Path
) -> None:
    async def run() -> History:
        async with others_on(real_redis):
            return await gating(agreed, real_redis, feedback)

    feedback = tmp_path / "feedback.jsonl"
    feedback.touch()
    history = asyncio.run(run())
    verdicts = judged(agreed, history)
    assert musts(verdicts, "broken") == set()
    assert not [event for event in history if "theirs-" in str(event.data)]
    assert left_alone([history])["messages"] > 100


def test_without_triggers_and_log_their_clauses_are_out_of_reach(
    agreed: Agreement, real_redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_live_aura.triggers", lambda url: {})
    verdicts = judged(agreed, gated(agreed, real_redis, tmp_path / "feedback.jsonl", {"feedback": None}))
    assert exit_code(verdicts) == 0
    told = {each.clause: each.reason for each in verdicts if each.outcome == "unproven" and each.seat == "aura"}
    assert told["hitl.deadline"] == "out of reach: needs trigger:hitl"
    assert told["http.logged"] == "out of reach: needs feedback"
    assert told["publish.alert-high"] == "out of reach: needs trigger:detect"


def test_where_nobody_knows_how_long_aura_waits_no_timeout_is_judged(
    agreed: Agreement, real_redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This one waits longer than any run would."""

    def telling_nothing(url: str, complete: Callable[[str], dict[str, Trigger]] = triggers) -> dict[str, Trigger]:
        found = complete(url)
        return {**found, "hitl": replace(found["hitl"], body={**found["hitl"].body, "timeout": 300})}

    monkeypatch.setattr("test_live_aura.triggers", telling_nothing)
    verdicts = judged(agreed, gated(agreed, real_redis, tmp_path / "feedback.jsonl", {"hitl_timeout": None}))
    told = {each.clause: each for each in verdicts}
    assert exit_code(verdicts) == 0
    assert told["hitl.approve-recorded"].outcome == "kept"
    assert told["hitl.other-session"].outcome == "kept"
    for clause in ("hitl.timeout-recorded", "hitl.deadline"):
        assert told[clause].reason == "out of reach: needs hitl-timeout"


def test_what_its_trigger_tells_aura_to_wait_is_known(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    verdicts = judged(agreed, gated(agreed, real_redis, tmp_path / "feedback.jsonl", {"hitl_timeout": None}))
    assert {each.outcome for each in verdicts if each.clause in ("hitl.timeout-recorded", "hitl.deadline")} == {"kept"}


def test_a_token_does_instead_of_the_secret(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    token = tokens.mint(SECRET, "7", datetime.now(UTC))
    history = gated(agreed, real_redis, tmp_path / "feedback.jsonl", {"secret": None, "token": token})
    assert exit_code(judged(agreed, history)) == 0
    assert token not in "".join(map(str, history))


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (-6, {"token": "valid", "tenant": "7"}),
        (-4, {"token": "unclear"}),
        (4, {"token": "unclear"}),
        (6, {"token": "expired"}),
    ],
)
def test_a_ready_token_that_expires_on_the_way_is_one_that_aura_has_to_refuse(
    later: float, said: dict[str, str]
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    token = tokens.mint(SECRET, "7", now, lifetime=timedelta(minutes=1))
    target = AuraTarget("http://aura/aura", token=token)
    assert target.inspect(f"Bearer {token}", now + timedelta(seconds=60 + later)) == said


def test_a_ready_token_that_does_not_say_when_it_expires_stays_valid() -> None:
    target = AuraTarget("http://aura/aura", token="opaque")
    assert target.inspect("Bearer opaque", datetime.now(UTC)) == {"token": "valid", "tenant": "7"}


def test_a_ready_token_that_has_expired_is_told_before_anything_is_sent(
    agreed: Agreement, real_redis: str, tmp_path: Path
) -> None:
    token = tokens.mint(SECRET, "7", datetime.now(UTC), lifetime=timedelta(minutes=-10))
    feedback = tmp_path / "feedback.jsonl"
    with pytest.raises(HarnessError, match=r"--token: it expired 60[0-9] s ago; give one that outlasts the run"):
        gated(agreed, real_redis, feedback, {"secret": None, "token": token}, mistakes=[EXPIRED])
    assert feedback.read_text() == ""


# ---- What cannot be verified is said in one line that names the setting


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"secret": "not-the-secret-that-this-aura-knows-02"},
            "answered 401: its token was refused; correct the secret",
        ),
        ({"url": "http://127.0.0.1:1/aura"}, "--aura http://127.0.0.1:1/aura: cannot be reached"),
    ],
)
def test_what_is_set_wrongly_is_named(
    change: dict[str, str], text: str, agreed: Agreement, real_redis: str, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError) as caught:
        gated(agreed, real_redis, tmp_path / "feedback.jsonl", change)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_path_is_named(agreed: Agreement, real_redis: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(other_aura(real_redis), lifespan=True) as port:
            target = AuraTarget(f"http://127.0.0.1:{port}/elsewhere/aura", secret=SECRET)
            await gate.run(agreed, Options(redis_url=real_redis, targets=Targets(aura=target)), Settings())

    with pytest.raises(HarnessError, match="there is no record endpoint at"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (200, "<html>로그인</html>", "answered 200 without a JSON object: a JSON object was expected; correct the URL"),
        (200, "[]", "answered 200 without a JSON object"),
        (302, "", "answered 302: 200 was expected; is this Aura?"),
        (400, "{}", "answered 400: 200 was expected; is this Aura?"),
        (405, '{"detail":"Method Not Allowed"}', "answered 405: 200 was expected; is this Aura?"),
        (422, "{}", "answered 422: 200 was expected; is this Aura?"),
        (500, "Internal Server Error", "answered 500: 200 was expected; is this Aura?"),
        (501, "<html></html>", "answered 501: 200 was expected; is this Aura?"),
        (502, "Bad Gateway", "answered 502: 200 was expected; start the Aura behind it"),
    ],
)
def test_what_does_not_answer_as_aura_does_is_not_taken_for_it(
    status: int, body: str, text: str, agreed: Agreement, real_redis: str
) -> None:
    with pytest.raises(HarnessError) as caught:
        asyncio.run(gated_at(answering(status, body), agreed, real_redis))
    assert text in str(caught.value)
    assert "--aura http://127.0.0.1:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_aura_that_refuses_a_valid_call_as_aura_refuses_is_blamed_for_it(agreed: Agreement, real_redis: str) -> None:
    history = asyncio.run(gated_at(answering(422, '{"detail":[]}'), agreed, real_redis))
    assert musts(judged(agreed, history), "broken") == {"http.accepted", "http.optional-fields"}


def answering(status: int, body: str) -> Starlette:
    async def answer(request: Request) -> Response:
        return Response(body, status, media_type="application/json" if body[:1] in "{[" else "text/html")

    return Starlette(routes=[Route("/aura/action/record", answer, methods=["GET", "POST"])])


async def gated_at(app: Any, agreed: Agreement, redis_url: str) -> History:
    async with serving(app) as port:
        target = AuraTarget(f"http://127.0.0.1:{port}/aura", secret=SECRET, patience=0.5)
        options = Options(redis_url=redis_url, targets=Targets(aura=target), quiet=0.1)
        return await gate.run(agreed, options, Settings())


def test_a_redis_that_only_others_use_is_named(agreed: Agreement, real_redis: str) -> None:
    async def run(other: str) -> None:
        async with serving(other_aura(real_redis), lifespan=True) as port, others_on(other):
            target = AuraTarget(f"http://127.0.0.1:{port}/aura", secret=SECRET, patience=0.5)
            await gate.run(agreed, Options(redis_url=other, targets=Targets(aura=target)), Settings())

    with private_server() as server:
        with pytest.raises(HarnessError) as caught:
            asyncio.run(run(server.url))
        assert f"--redis {server.url}" in str(caught.value)
        assert "others are connected, and still nothing came of an action that was recorded" in str(caught.value)


def test_a_redis_that_aura_does_not_use_is_named(agreed: Agreement, real_redis: str) -> None:
    async def run(other: str) -> None:
        async with serving(other_aura(real_redis), lifespan=True) as port:
            target = AuraTarget(f"http://127.0.0.1:{port}/aura", secret=SECRET, patience=0.5)
            await gate.run(agreed, Options(redis_url=other, targets=Targets(aura=target)), Settings())

    with private_server() as server, pytest.raises(HarnessError, match="nobody but this run is connected"):
        asyncio.run(run(server.url))


def test_an_aura_that_hangs_is_told_within_the_patience(agreed: Agreement, real_redis: str, unanswering: str) -> None:
    target = AuraTarget(unanswering.replace("redis://", "http://") + "/aura", secret=SECRET, patience=0.3)
    with pytest.raises(HarnessError, match=r"no answer within 0\.3 s"):
        asyncio.run(gate.run(agreed, Options(redis_url=real_redis, targets=Targets(aura=target)), Settings()))
