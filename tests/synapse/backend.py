"""The deciding side of Synapse with the world around it in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2

from harness.synapse.cases import Cases
from harness.synapse.seat import Synapse
from harness.synapse.settings import Settings
from synapse.feeds import Feed, Stopped, always

CASE, TENANT = "DEMO00001", 7
REQUEST = {
    "requestId": "req-1",
    "sessionId": "session-1",
    "actionType": "approve",
    "context": {"caseId": CASE},
    "status": "pending",
    "userId": "user-456",
    "tenantId": "7",
    "createdAt": "2026-02-11T14:25:00+00:00",
}


class World:
    """Redis and Aura. Each thing that is done to them is told, after `look`, which says what the database shows."""

    def __init__(self, keys: dict[str, str | bytes] | None = None, status: int = 200) -> None:
        self.keys = keys or {}
        self.told: list[tuple[Any, ...]] = []
        self.look: Callable[[], object] = lambda: None
        self.looked: list[object] = []
        self.status = status
        self.failing: set[str] = set()

    async def fetch(self, key: str) -> str | bytes | None:
        self._fail("fetch")
        return self.keys.get(key)

    async def keep(self, key: str, text: str, seconds: int) -> None:
        self._tell("keep", key, text, seconds)

    async def publish(self, channel: str, wire: bytes) -> int:
        self._tell("publish", channel, wire.decode())
        return 1

    async def record(self, body: dict[str, object]) -> int:
        self._tell("record", body)
        return self.status

    def done(self) -> list[str]:
        return [kind for kind, *_ in self.told]

    def published(self) -> list[tuple[str, Any]]:
        return [(what[1], json.loads(what[2])) for what in self.told if what[0] == "publish"]

    def _tell(self, kind: str, *what: Any) -> None:
        self.looked.append(self.look())
        self._fail(kind)
        self.told.append((kind, *what))

    def _fail(self, kind: str) -> None:
        if kind in self.failing:
            raise ConnectionError(f"{kind} failed")


def with_request(**changes: object) -> dict[str, str | bytes]:
    return {"hitl:request:req-1": json.dumps({**REQUEST, **changes})}


class Backend:
    """A case with two documents."""

    def __init__(
        self, settings: Settings | None = None, world: World | None = None, cases: Cases | None = None
    ) -> None:
        self.world = world or World(with_request())
        self.cases = cases or Cases()
        self.cases.create(TENANT, CASE, ["D1", "D2"])
        reach = {name: getattr(self.world, name) for name in ("publish", "keep", "fetch", "record")}
        self.seat = Synapse(settings or Settings(), always(Feed()), Stopped(), seed=1, cases=self.cases, **reach)

    def call(self, method: str, path: str, body: object = None, tenant: str | None = "7") -> httpx2.Response:
        async def scene() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.seat.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://synapse") as client:
                content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
                headers = {} if tenant is None else {"X-Tenant-ID": tenant}
                return await client.request(method, path, content=content, headers=headers)

        return asyncio.run(scene())

    def approve(self, **fields: object) -> httpx2.Response:
        return self.call("POST", f"/api/synapse/actions/{CASE}/approve", {"executor_id": "user-123", **fields})

    def reject(self, **fields: object) -> httpx2.Response:
        return self.call("POST", f"/api/synapse/actions/{CASE}/reject", {"executor_id": "user-123", **fields})

    def answer(self, verb: str, request_id: str = "req-1", **fields: object) -> httpx2.Response:
        return self.call("POST", f"/api/aura/hitl/{verb}/{request_id}", {"userId": "user-123", **fields})

    def statuses(self) -> tuple[str, ...]:
        """Of the case and of its documents."""
        case = self.cases.case(TENANT, CASE)
        return (case.status, *(document.status for document in case.documents))
