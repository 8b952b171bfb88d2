"""The backend's side of a request that somebody else's test has started is played, and what Aura makes of it judged."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from other_aura import UNESCAPED
from test_live_replay import standing

from harness.agreement import Agreement
from harness.attach import Answer, attach
from harness.aura.hitl import ApprovalRequest
from harness.bus import Bus, open_bus
from harness.cli import main
from harness.clock import WallClock
from harness.history import Recorder, load
from harness.live.triggers import Trigger, TriggeredAura
from harness.seats import Settings


def asked(url: str, session: str, request: str = "") -> None:
    """What their own test does."""
    question = {
        "case": "their-case-1",
        "document": "1000-1900000001-2024",
        "session": session,
        "request": request or f"{session}-request",
        "user": "김검토",
        "tenant": "7",
        "timeout": 0.8,
    }
    httpx2.post(f"{url}/debug/ask", json=question).raise_for_status()


@pytest.mark.parametrize(
    ("answer", "clause"),
    [("approve", "hitl.approve-recorded"), ("reject", "hitl.reject-recorded"), ("none", "hitl.timeout-recorded")],
)
def test_an_answer_is_played_and_judged(
    answer: str, clause: str, real_redis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with standing(real_redis, tmp_path / "feedback.jsonl") as url:
        asked(url, f"theirs-{answer}")
        arguments = ["--answer", answer, "--hitl-timeout", "0.8", "--history", str(tmp_path)]
        code = main(["replay", "--attach", f"theirs-{answer}", "--redis", real_redis, *arguments])
    out = capsys.readouterr().out
    assert code == 0, out
    assert f"kept     must   {clause}" in out
    assert f"session theirs-{answer}" in out
    assert load(tmp_path / f"theirs-{answer}.jsonl").complete


def test_what_aura_gets_wrong_is_told(real_redis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with standing(real_redis, tmp_path / "feedback.jsonl", UNESCAPED) as url:
        asked(url, "theirs-wrong")
        code = main(["replay", "--attach", "theirs-wrong", "--redis", real_redis, "--hitl-timeout", "0.8"])
    assert code == 1
    assert "publish.unescaped must" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--redis", "REAL", "--patience", "0.2"], 4, "within 0.2 s nobody listened on hitl:channel:nobody"),
        ([], 2, "give the Redis that the Aura uses, --redis URL"),
        (["--redis", "REAL", "--answer", "none"], 2, "say how long that Aura waits for an answer, --hitl-timeout S"),
    ],
)
def test_what_is_missing_is_named(
    arguments: list[str], code: int, text: str, real_redis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [real_redis if each == "REAL" else each for each in arguments]
    assert main(["replay", "--attach", "nobody", *given]) == code
    assert text in capsys.readouterr().err


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once Redis was asked who listens; what asks swallows a cancellation, as redis-py does at times."""
    asked = asyncio.Event()

    async def listeners(bus: Bus, channel: str) -> int:
        asked.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return 0
        raise AssertionError("nobody cancelled it")

    monkeypatch.setattr(Bus, "listeners", listeners)
    return asked


def test_an_interruption_that_redis_swallows_ends_the_waiting(
    agreed: Agreement, real_redis: str, deaf: asyncio.Event
) -> None:
    async def run() -> bool:
        answer = Answer(approved=True)
        work = attach(agreed, "nobody", answer, Settings(), real_redis, hitl_timeout=1, patience=60, command=())
        task = asyncio.create_task(work)
        await deaf.wait()
        task.cancel()
        async with asyncio.timeout(5):
            history = await task
        return history.complete

    assert asyncio.run(run()) is False


def test_so_it_does_where_a_trigger_makes_aura_ask(deaf: asyncio.Event) -> None:
    async def run() -> None:
        async with open_bus(None) as bus:
            triggers = {"hitl": Trigger("hitl", "[triggers.hitl]", command=("true",))}
            request = ApprovalRequest("r-1", "s-1", "u-1", "7", {})
            task = asyncio.create_task(TriggeredAura(triggers, bus, Recorder(WallClock()), 1).ask(request))
            await deaf.wait()
            task.cancel()
            async with asyncio.timeout(5):
                await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_what_was_recorded_until_an_interruption_is_reported(real_redis: str, tmp_path: Path) -> None:
    report, recorded = tmp_path / "report.json", tmp_path / "nobody.jsonl"
    arguments = ["--redis", real_redis, "--patience", "60", "--report", f"json={report}", "--history", str(tmp_path)]
    command = [sys.executable, "-m", "harness.cli", "replay", "--attach", "nobody", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (recorded.exists() and recorded.stat().st_size):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (4, "")
    assert "the run did not come to its end; what it recorded until then was judged (exit 4)" in out
    assert json.loads(report.read_text(encoding="utf-8"))["complete"] is False
    assert not load(recorded).complete


DEAD = [
    {"requestId": "dead-1", "status": "pending", "createdAt": (datetime.now(UTC) - timedelta(minutes=9)).isoformat()},
    {"requestId": "dead-2", "status": "approved", "createdAt": (datetime.now(UTC) + timedelta(minutes=9)).isoformat()},
    {"requestId": "dead-3", "status": "pending", "createdAt": 1771000000},
]


@pytest.mark.parametrize("dead", [DEAD[:2], DEAD], ids=["by when they were made", "by how long they stay"])
def test_of_the_requests_of_a_session_the_last_that_waits_is_answered(
    dead: list[dict[str, Any]], real_redis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What came of others stays stored for half an hour."""
    session = "theirs-again"
    keys = [f"hitl:request:{request['requestId']}" for request in dead]
    with redis.Redis.from_url(real_redis) as client, standing(real_redis, tmp_path / "feedback.jsonl") as url:
        for key, request in zip(keys, dead, strict=True):
            client.set(key, json.dumps({**request, "sessionId": session, "context": {}}), ex=1000)
        asked(url, session)
        code = main(["replay", "--attach", session, "--redis", real_redis, "--hitl-timeout", "0.8"])
        client.delete(*keys)
    out = capsys.readouterr().out
    assert code == 0, out
    assert "kept     must   hitl.approve-recorded" in out


@pytest.mark.parametrize("answer", ["approve", "none"])
def test_how_long_aura_waits_is_taken_from_the_file_or_not_judged(
    answer: str, real_redis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if answer == "none":
        (tmp_path / "harness.toml").write_text("[aura]\nhitl_timeout = 0.8\n", encoding="utf-8")
    with standing(real_redis, tmp_path / "feedback.jsonl") as url:
        asked(url, f"theirs-known-{answer}")
        code = main(["replay", "--attach", f"theirs-known-{answer}", "--redis", real_redis, "--answer", answer])
    out = capsys.readouterr().out
    assert code == 0, out
    assert f"kept     must   hitl.{'timeout' if answer == 'none' else 'approve'}-recorded" in out
    assert ("hitl.deadline" in out) is (answer == "none")


@pytest.mark.parametrize(
    "ignored",
    ["approve-by-api", "--repeat=3", "--timeline", "--aura-feedback=log.jsonl", "--timeout=3", "--allow-writes"],
)
def test_what_attaching_does_not_heed_is_refused(ignored: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--attach", "theirs", "--redis", "redis://127.0.0.1:1", ignored]) == 2
    option = ignored.partition("=")[0]
    assert f"--attach theirs: it plays no scenario; leave out {option}" in capsys.readouterr().err


def test_a_session_with_a_slash_is_kept_in_the_folder_and_nothing_of_peoples_with_it(
    real_redis: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with standing(real_redis, tmp_path / "feedback.jsonl") as url:
        asked(url, "theirs/../세션", "theirs-slash")
        said = "--answer reject --user 박승인 --reason 금액이-다릅니다 --hitl-timeout 0.8 --redact".split()
        code = main(["replay", "--attach", "theirs/../세션", "--redis", real_redis, *said, "--history", str(tmp_path)])
    out = capsys.readouterr().out
    assert code == 0, out
    kept = tmp_path / "theirs_.._세션.jsonl"
    text = kept.read_text(encoding="utf-8")
    assert "redacted-" in text
    for person in ("박승인", "금액이", "김검토"):
        assert person not in text + out
    repeated = load(kept).run["command"]
    assert repeated[:7] == ["aura-harness", "replay", "--attach", "theirs/../세션", "--answer", "reject", "--user"]
    assert repeated[-5:] == ["--redis", real_redis, "--hitl-timeout", "0.8", "--redact"]
