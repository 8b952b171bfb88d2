"""The REST side of the simulated Synapse: pages and read marks in the envelope of the deployed backend."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from harness.synapse.app import create_app
from harness.synapse.instant import Instant
from harness.synapse.notification import read
from harness.synapse.notification_routes import notification_routes
from harness.synapse.store import SqliteStore
from synapse.feeds import ALERT, NOW, Stopped

LIST = "/api/synapse/notifications"
WIRE = '{"category":"AI_DETECT","message":"탐지 👍","tenant_id":%d,"timestamp":"2026-02-11T14:00:00+00:00"}'


class Backend:
    """With `rows` notifications of tenant 7 and one of tenant 0."""

    def __init__(self, rows: int = 3) -> None:
        self.store = SqliteStore()
        self.save(WIRE % 0)
        for _ in range(rows):
            self.save(WIRE % 7)

    def save(self, wire: str) -> None:
        now = Instant.of(NOW)
        self.store.save(read(ALERT, wire.encode(), now), now)

    def call(self, method: str, path: str, tenant: str | None = "7") -> httpx2.Response:
        async def scene() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=create_app(Stopped(), *notification_routes(self.store, Stopped())))
            async with httpx2.AsyncClient(transport=transport, base_url="http://synapse") as client:
                return await client.request(method, path, headers={} if tenant is None else {"X-Tenant-ID": tenant})

        return asyncio.run(scene())

    def get(self, query: str = "", tenant: str = "7") -> dict[str, Any]:
        response = self.call("GET", f"{LIST}{query}", tenant)
        assert response.status_code == 200
        data: dict[str, Any] = response.json()["data"]
        return data


def test_a_page_comes_in_the_envelope_byte_for_byte() -> None:
    response = Backend(rows=1).call("GET", LIST)
    assert response.headers["content-type"] == "application/json"
    assert response.content.decode() == (
        '{"status":"SUCCESS","message":"OK","data":{"content":[{"id":2,"tenantId":7,"title":"알림",'
        '"content":"탐지 \\uD83D\\uDC4D","type":"AI_DETECT","channel":"workbench:alert",'
        '"occurredAt":"2026-02-11T14:00:00Z","createdAt":"2026-02-11T14:30:00.123456Z",'
        '"payload":{"category":"AI_DETECT","message":"탐지 \\uD83D\\uDC4D","tenant_id":7,'
        '"timestamp":"2026-02-11T14:00:00+00:00"}}],'
        '"totalElements":1,"totalPages":1,"size":20,"number":0,"first":true,"last":true},'
        '"success":true,"timestamp":"2026-02-11T14:30:00.123456"}'
    )


@pytest.mark.parametrize(
    ("query", "ids", "first", "last"),
    [
        ("?size=2", [4, 3], True, False),
        ("?size=2&page=1", [2], False, True),
        ("?size=2&page=2", [], False, True),
        ("?size=3", [4, 3, 2], True, True),
    ],
)
def test_pages_hold_the_newest_first(query: str, ids: list[int], first: bool, last: bool) -> None:
    page = Backend().get(query)
    assert [row["id"] for row in page["content"]] == ids
    assert (page["first"], page["last"], page["totalElements"]) == (first, last, 3)


@pytest.mark.parametrize(
    ("query", "number", "size"),
    [
        ("", 0, 20),
        ("?page=-1&size=0", 0, 20),
        ("?page=abc&size=abc", 0, 20),
        ("?page=99999999999&size=-5", 0, 20),
        ("?page=2147483647&size=2147483647", 2147483647, 2000),
    ],
)
def test_a_page_is_never_refused(query: str, number: int, size: int) -> None:
    page = Backend().get(query)
    assert (page["number"], page["size"]) == (number, size)


def test_messages_without_a_tenant_are_listed_for_tenant_0_alone() -> None:
    backend = Backend(rows=1)
    assert [row["tenantId"] for row in backend.get()["content"]] == [7]
    assert [row["tenantId"] for row in backend.get(tenant="0")["content"]] == [0]


def test_an_empty_page_is_first_and_last() -> None:
    page = Backend().get(tenant="8")
    assert (page["content"], page["totalPages"], page["first"], page["last"]) == ([], 0, True, True)


@pytest.mark.parametrize(("method", "path"), [("GET", LIST), ("PATCH", f"{LIST}/1"), ("PATCH", f"{LIST}/read-all")])
@pytest.mark.parametrize("tenant", [None, "", "seven", "7.0", "9223372036854775808", "1" * 5000])
def test_without_a_tenant_that_is_a_number_every_call_is_answered_400(
    method: str, path: str, tenant: str | None
) -> None:
    response = Backend().call(method, path, tenant)
    assert response.status_code == 400
    assert response.json().keys() == {"status", "message", "success", "timestamp"}
    assert (response.json()["status"], response.json()["success"]) == ("ERROR", False)


def test_a_notification_is_marked_read() -> None:
    backend = Backend()
    assert "readAt" not in backend.get()["content"][0]
    response = backend.call("PATCH", f"{LIST}/4")
    assert (response.status_code, response.json()["success"]) == (200, True)
    assert "data" not in response.json()
    assert backend.get()["content"][0]["readAt"] == "2026-02-11T14:30:00.123456Z"


@pytest.mark.parametrize(("row", "status"), [("99", 404), ("1", 403), ("abc", 400), ("9" * 19, 400)])
def test_what_cannot_be_marked_is_refused_in_the_envelope(row: str, status: int) -> None:
    response = Backend().call("PATCH", f"{LIST}/{row}")
    assert (response.status_code, response.json()["status"]) == (status, "ERROR")


def test_all_are_marked_and_counted() -> None:
    backend = Backend()
    assert backend.call("PATCH", f"{LIST}/read-all?userId=5").json()["data"] == {"markedCount": 0}
    assert backend.call("PATCH", f"{LIST}/read-all").json()["data"] == {"markedCount": 3}
    assert backend.call("PATCH", f"{LIST}/read-all?userId=").json()["data"] == {"markedCount": 0}
    assert backend.call("PATCH", f"{LIST}/read-all?userId=me").status_code == 400


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/synapse/other", 404), ("PUT", LIST, 405)])
def test_other_paths_and_methods_are_refused_in_the_envelope(method: str, path: str, status: int) -> None:
    response = Backend().call(method, path)
    assert (response.status_code, response.json()["status"]) == (status, "ERROR")


def test_one_payload_that_is_too_deep_makes_its_page_unreadable() -> None:
    backend = Backend()
    backend.save('{"tenant_id":7,"a":' + "[" * 998 + "]" * 998 + "}")
    assert backend.call("GET", LIST).status_code == 500
    assert json.loads(backend.call("GET", f"{LIST}?size=1&page=1").content)["success"]
