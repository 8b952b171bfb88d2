"""The simulated Aura answers, logs and publishes as the deployed one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from harness import tokens
from harness.aura.actions import Actions
from harness.aura.app import create_app
from harness.aura.publishers import Publishers
from harness.aura.settings import Settings

NOW = datetime(2026, 2, 11, 14, 30, 0, 123456, tzinfo=UTC)
SETTINGS = Settings()
BODY = {"case_id": "DEMO00001", "request_id": "req-xxx", "executor_id": "user-123", "approved": True}


class Stopped:
    """A clock that stands still."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def elapsed(self) -> float:
        return 0.0


class Aura:
    def __init__(self, clock: Stopped | None = None, redis_is_down: bool = False) -> None:
        self.clock = clock or Stopped()
        self.did: list[tuple[str, Any]] = []
        self._down = redis_is_down
        publishers = Publishers(SETTINGS, self._publish, self.clock)
        self.app = create_app(SETTINGS, Actions(publishers, self._feedback, self.clock), self.clock)

    async def _publish(self, channel: str, wire: bytes) -> int:
        if self._down:
            raise ConnectionError("Redis is down")
        self.did.append((channel, json.loads(wire)))
        return 1

    def _feedback(self, line: str) -> None:
        self.did.append(("feedback", json.loads(line)))

    def call(
        self,
        body: Any = BODY,
        *,
        method: str = "POST",
        path: str = "/aura/action/record",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://aura") as client:
                wire = body if isinstance(body, bytes) else json.dumps(body).encode()
                return await client.request(method, path, content=wire, headers=valid_headers() | dict(headers or {}))

        return asyncio.run(send())


def valid_headers() -> dict[str, str]:
    token = tokens.mint(SETTINGS.jwt_secret, "7", NOW)
    return {"Authorization": f"Bearer {token}", "X-Tenant-ID": "7", "Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/aura/action/record", "/api/aura/action/record"])
def test_a_valid_call_is_answered_with_the_envelope_of_the_document(path: str) -> None:
    response = Aura().call(path=path)
    assert response.status_code == 200
    assert response.json() == {
        "status": "SUCCESS",
        "message": "Action recorded",
        "data": {"ok": True, "logged": True},
        "success": True,
        "timestamp": "2026-02-11T14:30:00.123456",
    }


def test_an_action_is_logged_first_and_then_published() -> None:
    aura = Aura()
    aura.call(BODY | {"comment": "검토 후 승인", "doc_key": "1000-1900000001-2024"})
    line = {"event": "hitl_feedback", **BODY, "action_type": "APPROVE", "comment": "검토 후 승인"}
    line |= {"doc_key": "1000-1900000001-2024", "at": "2026-02-11T14:30:00.123456+00:00"}
    message = {"type": "NOTIFICATION", "category": "CASE_ACTION", "message": "조치 승인됨", **BODY}
    message |= {"timestamp": "2026-02-11T14:30:00.123456+00:00", "action_type": "APPROVE", "status_code": "APPROVED"}
    assert aura.did == [("feedback", line), ("workbench:case:action", message)]


def test_a_rejection_without_a_comment_is_logged_with_an_empty_one() -> None:
    aura = Aura()
    aura.call(BODY | {"approved": False, "comment": None})
    (_, line), (_, message) = aura.did
    assert (line["comment"], line["doc_key"], line["action_type"]) == ("", None, "REJECT")
    assert (message["approved"], message["action_type"], message["status_code"]) == (False, "REJECT", "REJECTED")
    assert message["message"] == "조치 거절됨"


def test_a_full_second_has_no_fraction() -> None:
    aura = Aura(Stopped(NOW.replace(microsecond=0)))
    assert aura.call().json()["timestamp"] == "2026-02-11T14:30:00"
    assert aura.did[1][1]["timestamp"] == "2026-02-11T14:30:00+00:00"


def test_an_action_counts_as_logged_when_redis_is_down(caplog: pytest.LogCaptureFixture) -> None:
    aura = Aura(redis_is_down=True)
    assert aura.call().json()["data"] == {"ok": True, "logged": True}
    assert [what for what, _ in aura.did] == ["feedback"]
    assert "was not published: Redis is down" in caplog.text


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer not.a.token",
        "Basic aGFybmVzczpoYXJuZXNz",
        f"Bearer {tokens.mint('another-secret-of-at-least-32-bytes', '7', NOW)}",
        f"Bearer {tokens.mint(SETTINGS.jwt_secret, '7', NOW, lifetime=timedelta(0))}",
        f"Bearer {tokens.unsigned('7', NOW)}",
    ],
)
def test_a_token_that_is_not_valid_is_answered_401(authorization: str) -> None:
    aura = Aura()
    response = aura.call(headers={"Authorization": authorization})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert "detail" in response.json()
    assert aura.did == []


def test_a_token_expires_on_the_clock_of_the_run() -> None:
    later = Aura(Stopped(NOW + timedelta(days=365)))
    assert later.call().status_code == 401


def test_another_tenant_is_answered_403() -> None:
    aura = Aura()
    assert aura.call(headers={"X-Tenant-ID": "8"}).status_code == 403
    assert aura.did == []


def test_without_a_tenant_the_gateway_answers_400_and_aura_itself_accepts() -> None:
    aura = Aura()
    refused = aura.call(path="/api/aura/action/record", headers={"X-Tenant-ID": ""})
    assert (refused.status_code, refused.content) == (400, b"")
    assert aura.call(headers={"X-Tenant-ID": ""}).status_code == 200


def test_the_gateway_caps_a_body_at_256_kib_and_aura_itself_does_not() -> None:
    long = BODY | {"comment": "x" * 256 * 1024}
    assert Aura().call(long, path="/api/aura/action/record").status_code == 413
    assert Aura().call(long).status_code == 200


def test_another_method_is_answered_405_with_what_is_allowed() -> None:
    response = Aura().call(b"", method="GET")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert "detail" in response.json()


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        (b"", ["body"]),
        (b"{", ["body"]),
        (b"\xff", ["body"]),
        (b"[" * 100_000, ["body"]),
        (b"[]", ["body"]),
        ({**BODY, "case_id": ""}, ["body", "case_id"]),
        ({**BODY, "request_id": 7}, ["body", "request_id"]),
        ({**BODY, "executor_id": None}, ["body", "executor_id"]),
        ({**BODY, "approved": "true"}, ["body", "approved"]),
        ({**BODY, "approved": 1}, ["body", "approved"]),
        ({**BODY, "comment": 7}, ["body", "comment"]),
        ({**BODY, "doc_key": []}, ["body", "doc_key"]),
        ({**BODY, "comment": "\ud800"}, ["body", "comment"]),
        ({name: value for name, value in BODY.items() if name != "approved"}, ["body", "approved"]),
    ],
)
def test_a_body_that_does_not_validate_is_answered_422_and_leaves_no_trace(body: Any, loc: list[str]) -> None:
    aura = Aura()
    response = aura.call(body)
    assert response.status_code == 422
    assert [error["loc"] for error in response.json()["detail"]] == [loc]
    assert aura.did == []


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert len(Aura().call({"comment": 7}).json()["detail"]) == 5


def test_another_content_type_is_answered_422() -> None:
    assert Aura().call(headers={"Content-Type": "text/plain"}).status_code == 422


def test_properties_that_nobody_knows_are_ignored() -> None:
    assert Aura().call(BODY | {"client": {"version": 3}}).status_code == 200


@pytest.mark.parametrize(
    ("refusals", "status"),
    [
        ({"Authorization": "", "X-Tenant-ID": "8"}, 401),
        ({"X-Tenant-ID": "8"}, 403),
        ({}, 405),
    ],
)
def test_of_several_refusals_the_first_is_answered(refusals: dict[str, str], status: int) -> None:
    assert Aura().call(b"", method="PUT", headers=refusals).status_code == status


def test_no_message_escapes_what_is_not_ascii() -> None:
    sent: list[bytes] = []

    async def publish(channel: str, wire: bytes) -> int:
        sent.append(wire)
        return 0

    publishers = Publishers(SETTINGS, publish, Stopped())
    asyncio.run(publishers.case_created("사건-👍", "HIGH", 0.85))
    assert "신규 이상 징후 탐지" in sent[0].decode()
    assert "사건-👍" in sent[0].decode()
    assert not re.search(rb"\\u", sent[0])


def test_only_a_high_severity_and_a_success_are_told() -> None:
    sent: list[str] = []

    async def publish(channel: str, wire: bytes) -> int:
        sent.append(channel)
        return 0

    async def scene() -> None:
        publishers = Publishers(SETTINGS, publish, Stopped())
        for severity in ("HIGH", "MEDIUM", "high"):
            await publishers.case_created("c", severity, 0.5)
        for succeeded in (True, False):
            await publishers.rag_finished("d", 3, succeeded)

    asyncio.run(scene())
    assert sent == ["workbench:alert", "workbench:rag:status"]
