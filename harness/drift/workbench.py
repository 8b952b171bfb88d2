"""How the workbench drifts: for whom it fetches again, what, and when it catches up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

from harness.drift.deviation import Deviation
from harness.seats import Parts
from harness.workbench import rest
from harness.workbench.sources import Notification
from harness.workbench.viewer import UNKNOWN_TENANT, Reason, Viewer

_of = partial(Deviation.of, "workbench")


class EveryCase(Viewer):
    def _concerns(self, case_id: Any, tenant: Any) -> bool:
        return case_id is not None and tenant in (self.tenant, UNKNOWN_TENANT, None)


class AnyTenant(Viewer):
    def _concerns(self, case_id: Any, tenant: Any) -> bool:
        return bool(case_id == self.case_id)


class NoUnknownTenant(Viewer):
    def _concerns(self, case_id: Any, tenant: Any) -> bool:
        return bool(case_id == self.case_id and tenant == self.tenant)


class Nothing(Viewer):
    async def _take(self, notification: Notification | None) -> None:
        if notification is None:
            await self._catch_up()


class BusyIgnored(Viewer):
    async def _take(self, notification: Notification | None) -> None:
        if not self.loading:
            self._busy = asyncio.create_task(Viewer._take(self, notification))
            await asyncio.sleep(0)

    async def close(self) -> None:
        if busy := getattr(self, "_busy", None):
            busy.cancel()
        await Viewer.close(self)


class ApprovalsOnly(Viewer):
    async def _take(self, notification: Notification | None) -> None:
        payload = (notification or {}).get("payload")
        if notification is None or (isinstance(payload, dict) and payload.get("approved") is True):
            await Viewer._take(self, notification)


class OneOfTwoShapes(Viewer):
    """Knows a case action by its type, which is another one in the older shape."""

    async def _take(self, notification: Notification | None) -> None:
        if notification is None or (notification.get("payload") or {}).get("type") == "NOTIFICATION":
            await Viewer._take(self, notification)


class NoCatchingUp(Viewer):
    async def _arrive(self) -> None:
        if self._fresh is None:
            await self._load("opened")
        else:
            self._on_change("viewer-restored")
        self._ready.set()


class CatchesUpAnyway(Viewer):
    async def _catch_up(self) -> None:
        await self._load("catch-up")


class Caching(Viewer):
    """Fetches some paths when it is opened, and never again."""

    def __init__(self, *seat: Any, **more: Any) -> None:
        super().__init__(*seat, **more)
        self._answers: dict[str, tuple[int, Any]] = {}

    def keeps(self, path: str) -> bool:
        raise NotImplementedError

    async def _fetch_all(self, reason: Reason, notification: int | None) -> None:
        fetch, tell = self._fetch, self._on_refetch
        fetched: list[str] = []

        async def perhaps(path: str) -> tuple[int, Any]:
            if path not in self._answers or not self.keeps(path):
                self._answers[path] = await fetch(path)
                fetched.append(path)
            return self._answers[path]

        self._fetch, self._on_refetch = perhaps, lambda refetch: tell(replace(refetch, paths=tuple(fetched)))
        try:
            await Viewer._fetch_all(self, reason, notification)
        finally:
            self._fetch, self._on_refetch = fetch, tell


class CaseOnly(Caching):
    def keeps(self, path: str) -> bool:
        return path != rest.case_path(self.case_id)


class FirstDocument(Caching):
    def keeps(self, path: str) -> bool:
        return path in map(rest.document_path, self._documents[1:])


class FromTheCache(Caching):
    def keeps(self, path: str) -> bool:
        return True


def _seen_by(viewer: type[Viewer]) -> Parts:
    return Parts(viewer=viewer)


DEVIATIONS = (
    _of("every-case", "Any case action reloads the screen.", "refetch.others", _seen_by(EveryCase)),
    _of("any-tenant", "The case id is enough; tenants have their own.", "refetch.others", _seen_by(AnyTenant)),
    _of("no-case", "The screen reloads when somebody clicks.", "refetch.showing", _seen_by(Nothing)),
    _of(
        "unknown-tenant-ignored",
        "Tenant 0 is not mine.",
        "refetch.showing",
        _seen_by(NoUnknownTenant),
        also="refetch.catch-up",
    ),
    _of("approvals-only", "A rejection changes nothing on the screen.", "refetch.showing", _seen_by(ApprovalsOnly)),
    _of(
        "case-without-documents", "Case detail is fetched, documents are cached.", "refetch.showing", _seen_by(CaseOnly)
    ),
    _of(
        "first-document-only",
        "Only documents[0] is fetched again.",
        "refetch.showing",
        _seen_by(FirstDocument),
    ),
    _of(
        "busy-ignored",
        "While it loads, a notification starts nothing; it is loading already.",
        "refetch.showing",
        _seen_by(BusyIgnored),
    ),
    _of(
        "from-the-cache",
        "A notification draws the screen anew, of what was fetched when it was opened.",
        "refetch.showing",
        _seen_by(FromTheCache),
    ),
    _of(
        "older-shape-unknown",
        "A case action is a NOTIFICATION, I know no other.",
        "refetch.showing",
        _seen_by(OneOfTwoShapes),
    ),
    _of("reloads-on-reconnect", "A new connection loads the screen.", "refetch.others", _seen_by(CatchesUpAnyway)),
    _of("no-catching-up", "STOMP comes back by itself, that is enough.", "refetch.catch-up", _seen_by(NoCatchingUp)),
)
