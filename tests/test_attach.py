"""The backend's side of a request that somebody else's test has started is played, and what Aura makes of it judged."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from other_aura import UNESCAPED
from test_live_replay import standing

from harness.cli import main
from harness.history import load


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
    ],
)
def test_what_is_missing_is_named(
    arguments: list[str], code: int, text: str, real_redis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [real_redis if each == "REAL" else each for each in arguments]
    assert main(["replay", "--attach", "nobody", *given]) == code
    assert text in capsys.readouterr().err


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
