"""Cases, documents and decisions over REST, in the envelope of the other endpoints."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from harness.synapse.seat import Synapse
from harness.synapse.settings import Settings
from synapse.backend import Backend, World, with_request
from synapse.feeds import Feed, Stopped, always

PATHS = [
    ("GET", "/api/synapse/cases/DEMO00001"),
    ("GET", "/api/synapse/documents/D1"),
    ("GET", "/api/synapse/actions/recent"),
    ("POST", "/api/synapse/actions/DEMO00001/approve"),
    ("POST", "/api/synapse/actions/DEMO00001/reject"),
    ("POST", "/api/aura/hitl/approve/req-1"),
    ("POST", "/api/aura/hitl/reject/req-1"),
]


def test_a_case_is_shown_with_its_documents_and_its_history() -> None:
    backend = Backend()
    backend.reject(comment="증빙 부족 👎", doc_key="D2")
    response = backend.call("GET", "/api/synapse/cases/DEMO00001")
    assert response.json() == {
        "status": "SUCCESS",
        "message": "OK",
        "data": {
            "caseId": "DEMO00001",
            "tenantId": 7,
            "status": "OPEN",
            "documents": [
                {"docKey": "D1", "caseId": "DEMO00001", "tenantId": 7, "status": "OPEN"},
                {"docKey": "D2", "caseId": "DEMO00001", "tenantId": 7, "status": "REJECTED"},
            ],
            "history": [
                {
                    "historyId": 1,
                    "caseId": "DEMO00001",
                    "requestId": "action-DEMO00001",
                    "executorId": "user-123",
                    "actionType": "REJECT",
                    "approved": False,
                    "statusCode": "REJECTED",
                    "comment": "증빙 부족 👎",
                    "docKey": "D2",
                    "createdAt": "2026-02-11T14:30:00.123456Z",
                }
            ],
        },
        "success": True,
        "timestamp": "2026-02-11T14:30:00.123456",
    }


def test_a_document_is_shown_by_its_key() -> None:
    backend = Backend()
    backend.cases.create(7, "DEMO00002", ["1000-1900000001-2024 가"])
    response = backend.call("GET", "/api/synapse/documents/1000-1900000001-2024%20%EA%B0%80")
    assert response.json()["data"] == {
        "docKey": "1000-1900000001-2024 가",
        "caseId": "DEMO00002",
        "tenantId": 7,
        "status": "OPEN",
    }


@pytest.mark.parametrize(("verb", "status"), [("approve", "APPROVED"), ("reject", "REJECTED")])
def test_a_decision_is_answered_with_its_row(verb: str, status: str) -> None:
    backend = Backend()
    body = {"userId": 456, "request_id": "req-7", "comment": None, "doc_key": ""}
    response = backend.call("POST", f"/api/synapse/actions/DEMO00001/{verb}", body)
    assert response.json()["data"] == {
        "historyId": 1,
        "caseId": "DEMO00001",
        "requestId": "req-7",
        "executorId": "456",
        "actionType": verb.upper(),
        "approved": verb == "approve",
        "statusCode": status,
        "createdAt": "2026-02-11T14:30:00.123456Z",
    }
    assert backend.statuses() == (status, status, status)


def test_an_answer_is_answered_with_the_session_and_the_row() -> None:
    data = Backend().answer("approve", reason="확인").json()["data"]
    assert (data["sessionId"], data["requestId"], data["historyId"], data["comment"]) == (
        "session-1",
        "req-1",
        1,
        "확인",
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 2]),
        ("?since=", [1, 2]),
        ("?since=2026-02-11T14:30:00.123456Z", [1, 2]),
        ("?since=2026-02-11T23:30:00%2B09:00", [1, 2]),
        ("?since=2026-02-11T14:30:00.123457Z", []),
    ],
)
def test_recent_actions_are_listed_from_a_moment_on(query: str, found: list[int]) -> None:
    backend = Backend()
    backend.approve(doc_key="D1")
    backend.reject()
    response = backend.call("GET", f"/api/synapse/actions/recent{query}")
    assert [action["historyId"] for action in response.json()["data"]] == found


@pytest.mark.parametrize("since", ["yesterday", "2026-02-11", "1770820200", "2026-02-11T14:30:00+00:00"])
def test_a_since_that_is_no_instant_is_refused(since: str) -> None:
    """The last one is sent with its plus sign as it stands, which in a query is a blank."""
    response = Backend().call("GET", f"/api/synapse/actions/recent?since={since}")
    assert response.status_code == 400
    assert "2026-02-11T14:30:00Z is expected" in response.json()["message"]


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("tenant", [None, "", "seven"])
def test_every_call_names_its_tenant(method: str, path: str, tenant: str | None) -> None:
    backend = Backend()
    response = backend.call(method, path, {"userId": "user-123"}, tenant)
    assert (response.status_code, response.json()["status"]) == (400, "ERROR")
    assert backend.statuses() == ("OPEN", "OPEN", "OPEN")


@pytest.mark.parametrize(
    ("method", "path", "tenant", "status"),
    [
        ("GET", "/api/synapse/cases/NOWHERE", "7", 404),
        ("GET", "/api/synapse/cases/DEMO00001", "8", 404),
        ("GET", "/api/synapse/documents/D9", "7", 404),
        ("GET", "/api/synapse/documents/D1", "8", 404),
        ("POST", "/api/synapse/actions/NOWHERE/approve", "7", 404),
        ("POST", "/api/synapse/actions/DEMO00001/reject", "8", 404),
        ("POST", "/api/aura/hitl/approve/req-9", "7", 404),
        ("POST", "/api/aura/hitl/approve/req-1", "8", 403),
        ("GET", "/api/synapse/actions/DEMO00001/approve", "7", 405),
    ],
)
def test_what_is_not_there_or_not_theirs_is_refused(method: str, path: str, tenant: str, status: int) -> None:
    backend = Backend()
    response = backend.call(method, path, {"userId": "user-123"}, tenant)
    assert (response.status_code, response.json()["success"]) == (status, False)
    assert backend.statuses() == ("OPEN", "OPEN", "OPEN")
    assert backend.world.told == []


def test_a_document_of_another_case_is_not_decided() -> None:
    backend = Backend()
    backend.cases.create(7, "DEMO00002", ["D3"])
    assert backend.approve(doc_key="D3").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        {},
        {"executor_id": ""},
        {"executor_id": None},
        {"executor_id": True},
        {"executor_id": ["user-123"]},
        {"executor_id": "user-123", "comment": {}},
        {"executor_id": "user-123", "comment": "\0"},
        {"executor_id": "user-123", "doc_key": False},
    ],
)
def test_a_body_that_does_not_say_who_decided_what_is_refused(body: object) -> None:
    backend = Backend()
    response = backend.call("POST", "/api/synapse/actions/DEMO00001/approve", body)
    assert (response.status_code, response.json()["status"]) == (400, "ERROR")
    assert backend.statuses() == ("OPEN", "OPEN", "OPEN")


def test_half_an_emoji_in_a_comment_becomes_a_question_mark() -> None:
    backend = Backend()
    response = backend.approve(comment="잘림 \ud83d")
    assert response.json()["data"]["comment"] == "잘림 ?"
    assert backend.world.told[0][1]["comment"] == "잘림 ?"


def test_a_decided_case_is_answered_409_however_it_is_decided_again() -> None:
    backend = Backend()
    assert backend.approve().status_code == 200
    for response in (backend.approve(), backend.reject(), backend.reject(doc_key="D1"), backend.answer("reject")):
        assert (response.status_code, response.json()["status"]) == (409, "ERROR")
    assert backend.statuses() == ("APPROVED", "APPROVED", "APPROVED")
    assert len(backend.cases.recent(7)) == 1


def test_an_expired_request_is_told() -> None:
    response = Backend(world=World()).answer("approve")
    assert response.status_code == 404
    assert "expired" in response.json()["message"]


def test_without_a_tenant_in_the_request_the_callers_counts() -> None:
    assert Backend(world=World(with_request(tenantId=None))).answer("approve").status_code == 200
    assert Backend(world=World(with_request(tenantId=7))).answer("approve").status_code == 200


def test_a_seat_without_the_world_decides_and_tells_nobody() -> None:
    async def scene() -> tuple[httpx2.Response, httpx2.Response]:
        settings = Settings(action_follow_up="both", action_publish_completed=True)
        async with Synapse(settings, always(Feed()), Stopped(), seed=1) as seat:
            seat.cases.create(7, "DEMO00001")
            transport = httpx2.ASGITransport(app=seat.app)
            headers = {"X-Tenant-ID": "7"}
            async with httpx2.AsyncClient(transport=transport, base_url="http://synapse", headers=headers) as client:
                body = {"executor_id": "user-123"}
                decided = await client.post("/api/synapse/actions/DEMO00001/approve", json=body)
                return decided, await client.post("/api/aura/hitl/approve/req-1", json={"userId": "user-123"})

    decided, answered = asyncio.run(scene())
    assert (decided.status_code, answered.status_code) == (200, 503)
