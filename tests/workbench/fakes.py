"""What a viewer is tried with: a source that a test feeds and breaks, and a Synapse that answers what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.workbench.sources import Notification
from harness.workbench.viewer import Refetch, Viewer

START = datetime(2026, 2, 11, 14, 30, tzinfo=UTC)
DOCUMENT = "1000-1900000001-2024"
CASE_PATH = "/api/synapse/cases/case-1"
DOCUMENT_PATH = f"/api/synapse/documents/{DOCUMENT}"
RECENT_PATH = "/api/synapse/actions/recent?since="


class LoopClock:
    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed())

    def elapsed(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class Feed:
    """A source. Whoever is connected gets what `send` is given; `lose` ends the connection; `refuses` the next ones."""

    connections: int = 0
    tries: list[float] = field(default_factory=list)
    refuses: bool = False
    _news: asyncio.Queue[Notification | BaseException | None] | None = None

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncIterator[Notification | None]]:
        self.tries.append(asyncio.get_running_loop().time())
        if self.refuses:
            raise ConnectionRefusedError("refused")
        self.connections += 1
        self._news = asyncio.Queue()
        try:
            yield self._iterate(self._news)
        finally:
            self._news = None
            self.connections -= 1

    def send(self, notification: Notification | None) -> None:
        """Lost where nobody is connected."""
        if self._news is not None:
            self._news.put_nowait(notification)

    def lose(self, error: BaseException) -> None:
        assert self._news is not None
        self._news.put_nowait(error)

    async def _iterate(
        self, news: asyncio.Queue[Notification | BaseException | None]
    ) -> AsyncIterator[Notification | None]:
        while True:
            one = await news.get()
            if isinstance(one, StopAsyncIteration):
                return
            if isinstance(one, BaseException):
                raise one
            yield one


@dataclass
class Backend:
    """Answers in the envelope; a path that is in `failing` has no answer at all."""

    case: dict[str, Any] = field(default_factory=lambda: {"status": "OPEN", "documents": [{"docKey": DOCUMENT}]})
    documents: dict[str, str] = field(default_factory=lambda: {DOCUMENT: "PENDING"})
    recent: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    slow: float = 0

    async def fetch(self, path: str) -> tuple[int, Any]:
        self.asked.append(path)
        await asyncio.sleep(self.slow)
        if path in self.failing:
            raise ConnectionError(path)
        if path in self.statuses:
            return self.statuses[path], None
        if path.startswith(RECENT_PATH):
            since = datetime.fromisoformat(path.removeprefix(RECENT_PATH).replace("%3A", ":"))
            return _answer([one for one in self.recent if datetime.fromisoformat(one["createdAt"]) >= since])
        if path == CASE_PATH:
            return _answer(self.case)
        key = path.rpartition("/")[2]
        return _answer({"docKey": key, "status": self.documents[key]})

    def approve(self, case: str = "case-1", **more: Any) -> None:
        self.documents[DOCUMENT] = "APPROVED"
        action = {"caseId": case, "docKey": DOCUMENT, "requestId": "request-1", **more}
        self.recent.append({**action, "createdAt": LoopClock().now().isoformat()})


@dataclass
class Stage:
    """A viewer of case-1 for tenant 7 with all that it touches."""

    backend: Backend = field(default_factory=Backend)
    feed: Feed = field(default_factory=Feed)
    told: list[Refetch] = field(default_factory=list)
    changes: list[tuple[float, str]] = field(default_factory=list)

    @asynccontextmanager
    async def viewer(self, source: Any = None) -> AsyncIterator[Viewer]:
        viewer = Viewer(
            "viewer-1",
            7,
            "case-1",
            source or self.feed,
            self.backend.fetch,
            LoopClock(),
            on_refetch=self.told.append,
            on_change=lambda what: self.changes.append((asyncio.get_running_loop().time(), what)),
        )
        await viewer.open()
        try:
            yield viewer
        finally:
            await viewer.close()

    @property
    def reasons(self) -> list[tuple[str, int | None]]:
        """Without the first load."""
        return [(one.reason, one.notification) for one in self.told[1:]]


def dto(row: int = 1, *, case: str = "case-1", tenant: int = 0, **changes: Any) -> Notification:
    payload = {"type": "NOTIFICATION", "category": "CASE_ACTION", "case_id": case}
    return {"id": row, "tenantId": tenant, "type": "CASE_ACTION", "payload": payload, **changes}


async def settled() -> None:
    """When everything that has to happen now has happened: on virtual time, a moment later."""
    await asyncio.sleep(0.001)


def _answer(data: Any) -> tuple[int, Any]:
    return 200, {"status": "SUCCESS", "message": "OK", "data": data, "success": True}
