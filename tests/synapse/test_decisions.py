"""What follows a decision follows its commit, as the settings say, and cannot undo it."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from harness.synapse.cases import Cases
from harness.synapse.settings import Settings
from synapse.backend import Backend, World, with_request

AT = 1770820200
APPROVAL = {"type": "approval", "requestId": "req-1", "status": "approved", "timestamp": AT}
CHANNEL = "hitl:channel:session-1"


@pytest.mark.parametrize(
    ("settings", "done"),
    [
        (Settings(), ["record"]),
        (Settings(action_follow_up="record"), ["record"]),
        (Settings(action_follow_up="signal"), ["keep", "publish"]),
        (Settings(action_follow_up="both"), ["keep", "publish", "record"]),
        (Settings(action_follow_up="neither"), []),
        (Settings(action_follow_up="neither", action_publish_completed=True), ["publish"]),
        (Settings(action_follow_up="both", action_publish_completed=True), ["publish", "keep", "publish", "record"]),
    ],
    ids=str,
)
def test_after_an_action_is_done_what_the_settings_say(settings: Settings, done: list[str]) -> None:
    backend = Backend(settings)
    assert backend.approve(request_id="req-1").status_code == 200
    assert backend.world.done() == done


@pytest.mark.parametrize(
    ("settings", "done"),
    [
        (Settings(), ["keep", "publish"]),
        (Settings(action_follow_up="neither"), ["keep", "publish"]),
        (Settings(action_follow_up="both"), ["keep", "publish", "record"]),
        (Settings(action_publish_completed=True), ["publish", "keep", "publish"]),
    ],
    ids=str,
)
def test_the_answer_to_a_request_is_signalled_whatever_the_settings_say(settings: Settings, done: list[str]) -> None:
    backend = Backend(settings)
    assert backend.answer("approve").status_code == 200
    assert backend.world.done() == done


@pytest.mark.parametrize("verb", ["approve", "answer"])
def test_what_follows_sees_the_decision_committed(verb: str, tmp_path: Path) -> None:
    path = tmp_path / "synapse.db"
    backend = Backend(Settings(action_follow_up="both", action_publish_completed=True), cases=Cases(path))
    other = sqlite3.connect(path)

    def look() -> object:
        history = other.execute("SELECT request_id FROM case_action_history").fetchall()
        return history, other.execute("SELECT DISTINCT status_code FROM fi_doc_header").fetchall()

    backend.world.look = look
    if verb == "approve":
        backend.approve(request_id="req-1")
    else:
        backend.answer("approve")
    assert backend.world.looked == [([("req-1",)], [("APPROVED",)])] * 4
    other.close()
    backend.cases.close()


def test_a_write_that_fails_is_followed_by_nothing() -> None:
    backend = Backend(Settings(action_follow_up="both", action_publish_completed=True))
    backend.cases.database.execute(
        "CREATE TRIGGER broken AFTER UPDATE ON cases BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    )
    for response in (backend.approve(request_id="req-1"), backend.answer("approve")):
        assert (response.status_code, response.json()["message"]) == (500, "the disk is full")
    assert backend.world.told == []
    assert backend.statuses() == ("OPEN", "OPEN", "OPEN")


def test_an_approval_is_signalled_as_aura_reads_it() -> None:
    backend = Backend(Settings(action_follow_up="signal"))
    backend.approve(request_id="req-1", comment="검토 후 승인")
    assert backend.world.published() == [(CHANNEL, APPROVAL)]
    (_, key, text, seconds), (_, _, wire) = backend.world.told
    assert (key, text, seconds) == ("hitl:signal:session-1", wire, 300)


def test_a_rejection_is_signalled_with_its_reason_unescaped() -> None:
    backend = Backend()
    backend.answer("reject", reason='증빙 "부족" 👎')
    _, (_, _, wire) = backend.world.told
    assert wire == (
        '{"type":"rejection","requestId":"req-1","status":"rejected",'
        '"reason":"증빙 \\"부족\\" 👎","timestamp":1770820200}'
    )


def test_a_rejection_without_a_reason_has_none() -> None:
    backend = Backend()
    backend.answer("reject")
    rejection = {"type": "rejection", "requestId": "req-1", "status": "rejected", "timestamp": AT}
    assert backend.world.published() == [(CHANNEL, rejection)]


@pytest.mark.parametrize(
    "keys",
    [{}, with_request(sessionId=None), with_request(sessionId=""), {"hitl:request:req-1": b"\xff{"}],
    ids=["none", "no session", "an empty session", "unreadable"],
)
def test_an_action_without_a_session_signals_nobody(keys: dict[str, str | bytes]) -> None:
    backend = Backend(Settings(action_follow_up="signal"), World(keys))
    assert backend.approve(request_id="req-1").status_code == 200
    assert backend.world.told == []


def test_aura_is_called_with_what_the_record_endpoint_takes() -> None:
    backend = Backend()
    backend.approve(comment="검토 후 승인 👍", doc_key="D1")
    assert backend.world.told == [
        (
            "record",
            {
                "case_id": "DEMO00001",
                "request_id": "action-DEMO00001",
                "executor_id": "user-123",
                "approved": True,
                "comment": "검토 후 승인 👍",
                "doc_key": "D1",
            },
        )
    ]


def test_what_was_not_given_is_left_out_of_the_call() -> None:
    backend = Backend()
    backend.reject()
    (_, body), *_ = backend.world.told
    assert body.keys() == {"case_id", "request_id", "executor_id", "approved"}


def test_the_backends_own_completion_has_the_older_shape() -> None:
    backend = Backend(Settings(action_follow_up="neither", action_publish_completed=True))
    backend.reject(request_id="req-9")
    assert backend.world.published() == [
        (
            "workbench:case:action",
            {
                "type": "case_action_completed",
                "case_id": "DEMO00001",
                "request_id": "req-9",
                "executor_id": "user-123",
                "action_type": "REJECT",
                "approved": False,
                "status_code": "REJECTED",
                "at": "2026-02-11T14:30:00.123456Z",
                "history_id": 1,
                "fi_doc_updated": True,
                "tenant_id": 7,
                "action_id": "DEMO00001",
            },
        )
    ]


def test_a_message_says_approved_where_the_row_says_finalized() -> None:
    settings = Settings(action_follow_up="neither", action_publish_completed=True, action_approved_status="FINALIZED")
    backend = Backend(settings, cases=Cases(approved_status="FINALIZED"))
    backend.approve()
    assert backend.world.published()[0][1]["status_code"] == "APPROVED"
    assert backend.statuses() == ("FINALIZED", "FINALIZED", "FINALIZED")


def test_a_second_decision_is_followed_by_nothing() -> None:
    backend = Backend(Settings(action_follow_up="both", action_publish_completed=True))
    backend.approve(request_id="req-1")
    told = list(backend.world.told)
    assert backend.reject(request_id="req-1").status_code == 409
    assert backend.answer("reject").status_code == 409
    assert backend.world.told == told


@pytest.mark.parametrize("failing", ["fetch", "keep", "publish", "record"])
def test_what_follows_can_fail_and_the_decision_stands(failing: str, caplog: pytest.LogCaptureFixture) -> None:
    backend = Backend(Settings(action_follow_up="both", action_publish_completed=True))
    backend.world.failing = {failing}
    with caplog.at_level(logging.WARNING, "harness.synapse"):
        assert backend.approve(request_id="req-1").status_code == 200
    assert f"{failing} failed" in caplog.text
    assert backend.statuses() == ("APPROVED", "APPROVED", "APPROVED")
    if failing != "record":
        assert backend.world.done()[-1] == "record"


def test_a_record_that_aura_refuses_is_told_and_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    backend = Backend(world=World(status=422))
    with caplog.at_level(logging.WARNING, "harness.synapse"):
        assert backend.approve().status_code == 200
    assert "422" in caplog.text
    assert backend.world.done() == ["record"]


def test_the_answer_to_a_request_writes_what_the_request_is_about() -> None:
    backend = Backend(world=World(with_request(context={"case_id": "DEMO00001", "doc_key": "D2"})))
    assert backend.answer("reject", reason="증빙 부족").status_code == 200
    assert backend.statuses() == ("OPEN", "OPEN", "REJECTED")
    (action,) = backend.cases.case(7, "DEMO00001").history
    decision = action.decision
    assert (decision.request_id, decision.executor_id, decision.comment) == ("req-1", "user-123", "증빙 부족")


@pytest.mark.parametrize("context", [{}, None, {"caseId": "ELSEWHERE"}])
def test_the_answer_about_no_case_of_the_backends_is_only_signalled(context: object) -> None:
    backend = Backend(world=World(with_request(context=context)))
    response = backend.answer("approve")
    assert response.json()["data"] == {"requestId": "req-1", "sessionId": "session-1"}
    assert backend.world.published() == [(CHANNEL, APPROVAL)]
    assert backend.cases.recent(7) == ()


def test_nothing_is_written_while_redis_cannot_be_asked_for_the_request() -> None:
    backend = Backend()
    backend.world.failing = {"fetch"}
    assert backend.answer("approve").status_code == 503
    assert backend.statuses() == ("OPEN", "OPEN", "OPEN")
