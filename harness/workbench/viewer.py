"""A browser that shows one case: it looks again when the case was acted upon, and catches up after a lost connection.

It keeps the moment as of which its screen shows everything, and asks for the actions since then: that finds what it
missed while its own connection was gone, and what never came because the backend's was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from harness.clock import Clock
from harness.workbench import rest
from harness.workbench.sources import LOST, Notification, Source

RECONNECT_SECONDS = 5.0
UNKNOWN_TENANT = 0

Fetch = Callable[[str], Awaitable[tuple[int, Any]]]
"""GETs a path of Synapse with the viewer's token and tenant; gives the status and the JSON, None where it is none.

Raises OSError when there is no answer.
"""

Reason = Literal["opened", "notification", "catch-up"]


@dataclass(frozen=True, slots=True)
class Seen:
    """The status of the case and of each document, None where none could be read."""

    case: str | None = None
    documents: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refetch:
    """What a viewer fetched, in which order, and why: the first time, for a notification (its id), or catching up."""

    viewer: str
    tenant: int
    case: str
    reason: Reason
    notification: int | None
    paths: tuple[str, ...]
    seen: Seen

    def as_json(self) -> dict[str, Any]:
        """With `documents`, the keys of what was fetched."""
        return {**asdict(self), "paths": list(self.paths), "documents": list(self.seen.documents)}


class Viewer:
    """`on_refetch` is told of each load when all of it has come; one that was cut off in the middle is not told.

    `on_change` is told `viewer-cut` when the connection is lost and `viewer-restored` when it is subscribed again.
    """

    def __init__(
        self,
        name: str,
        tenant: int,
        case_id: str,
        source: Source,
        fetch: Fetch,
        clock: Clock,
        *,
        on_refetch: Callable[[Refetch], None] = lambda refetch: None,
        on_change: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.name = name
        self.tenant = tenant
        self.case_id = case_id
        self._source = source
        self._fetch = fetch
        self._clock = clock
        self._on_refetch = on_refetch
        self._on_change = on_change
        self._documents: tuple[str, ...] = ()
        self._fresh: datetime | None = None
        self._cut = False
        self.loading = False
        """Whether it has begun to fetch something that has not come yet."""
        self._ready, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._connection: asyncio.Timeout | None = None
        self._living: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Returns when it is subscribed and shows the case."""
        self._living = asyncio.create_task(self._live(), name=f"viewer {self.name}")
        try:
            await self._until(self._ready)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Raises what ended the viewer before, if anything did."""
        if self._living is not None:
            self._living.cancel()
            with suppress(asyncio.CancelledError):
                await self._living

    async def cut(self) -> None:
        """Take the connection away. Returns when nothing comes through any more."""
        self._cut = True
        if self._connection is not None and not self._connection.expired():
            self._connection.reschedule(asyncio.get_running_loop().time())
        await self._until(self._idle)

    async def restore(self) -> None:
        """Returns when the viewer, which tries every five seconds, has connected and caught up."""
        self._cut = False
        await self._until(self._ready)

    async def _until(self, event: asyncio.Event) -> None:
        """Until then, or until the viewer is dead, which is raised."""
        assert self._living is not None, "it was never opened"
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait({waiting, self._living}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._living.done():
            self._living.result()

    async def _live(self) -> None:
        while True:
            if not self._cut:
                with suppress(*LOST):
                    await self._connect()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _connect(self) -> None:
        """One connection, from the first try to its end."""
        subscribed = False
        self._idle.clear()
        try:
            # Never runs out by itself: `cut` lets it.
            async with asyncio.timeout(None) as self._connection, self._source() as news:
                subscribed = True
                await self._arrive()
                async for notification in news:
                    await self._take(notification)
        finally:
            self._connection = None
            self._ready.clear()
            if subscribed and not self._closing():
                self._on_change("viewer-cut")
            self._idle.set()

    def _closing(self) -> bool:
        return self._living is not None and bool(self._living.cancelling())

    async def _arrive(self) -> None:
        if self._fresh is None:
            await self._load("opened")
        else:
            self._on_change("viewer-restored")
            await self._catch_up()
        self._ready.set()

    async def _take(self, notification: Notification | None) -> None:
        if notification is None:
            await self._catch_up()
        elif self._concerns(_case_acted_upon(notification), notification.get("tenantId")):
            row = notification.get("id")
            await self._load("notification", row if isinstance(row, int) else None)

    def _concerns(self, case_id: Any, tenant: Any) -> bool:
        """Aura's messages name no tenant: better to look once too often than to miss a change."""
        return case_id == self.case_id and tenant in (self.tenant, UNKNOWN_TENANT, None)

    async def _catch_up(self) -> None:
        assert self._fresh is not None
        asked = self._clock.now()
        status, answer = await self._fetch(rest.recent_path(self._fresh))
        if any(self._concerns(case_id, tenant) for case_id, tenant in rest.actions(answer)):
            await self._load("catch-up")
        elif status == 200:
            self._fresh = asked

    async def _load(self, reason: Reason, notification: int | None = None) -> None:
        self.loading = True
        try:
            await self._fetch_all(reason, notification)
        finally:
            self.loading = False

    async def _fetch_all(self, reason: Reason, notification: int | None) -> None:
        """Case detail, then the documents that it names; if it cannot be read, those that it named before."""
        asked = self._clock.now()
        paths = [rest.case_path(self.case_id)]
        status, case = await self._fetch(paths[0])
        if status == 200:
            self._documents = rest.doc_keys(case)
        documents: dict[str, str | None] = {}
        for key in self._documents:
            paths.append(rest.document_path(key))
            found, document = await self._fetch(paths[-1])
            documents[key] = rest.status(document) if found == 200 else None
        if status == 200 or self._fresh is None:
            self._fresh = asked
        seen = Seen(rest.status(case) if status == 200 else None, documents)
        refetch = Refetch(self.name, self.tenant, self.case_id, reason, notification, tuple(paths), seen)
        self._on_refetch(refetch)


def _case_acted_upon(notification: Notification) -> Any:
    """The case of a case action in either shape; None for any other notification."""
    payload = notification.get("payload")
    if not isinstance(payload, dict):
        return None
    is_action = notification.get("type") == "CASE_ACTION" or payload.get("type") == "case_action_completed"
    return payload.get("case_id") if is_action else None
