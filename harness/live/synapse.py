"""A live Synapse, as the outside sees it: what it broadcasts over STOMP, and the rows that it shows over REST.

What carries an id of the run, or repeats one of its messages that carries none, is taken for the run's; everything else
is counted and left alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from harness.bus import Bus
from harness.clock import Ids
from harness.errors import HarnessError, UsageError
from harness.history import LEFT_ALONE, Recorder, decode
from harness.live.address import must_be_url, shown, trusted
from harness.stomp import (
    Channel,
    ChannelClosedError,
    Client,
    Frame,
    ProtocolError,
    StompError,
    as_event,
    open_websocket,
)

TOPIC = "/topic/notifications"
PAGE = 200
MOST_PAGES = 200
PROBES = 3
"""How often a message is published at the most to see whether Synapse broadcasts it, for STOMP does not confirm a
subscription; each leaves a row behind, and is waited for twice as long as the one before."""


@dataclass(frozen=True, slots=True)
class SynapseTarget:
    """Where a live Synapse is. `patience` is how many seconds an answer may take."""

    url: str
    stomp_path: str = "/ws/notifications/websocket"
    notifications_path: str = "/api/synapse/notifications"
    headers: Mapping[str, str] = field(default_factory=dict)
    tenants: tuple[int, ...] = (0, 7)
    """Whose rows are read at the end in any case; those of others only where a notification names them."""
    patience: float = 5.0
    verify: bool | str = True

    def __post_init__(self) -> None:
        must_be_url(self.url, "--synapse", "http://host:8080 (also HARNESS_SYNAPSE_URL)")
        for path in (self.stomp_path, self.notifications_path):
            if not path.startswith("/"):
                raise UsageError(f"--synapse {shown(self.url)}: {path!r} is no path, expected one that begins with /")

    def opened(self) -> AbstractAsyncContextManager[Channel]:
        """A WebSocket to its STOMP endpoint."""
        tls = trusted(self.verify) if urlsplit(self.url).scheme == "https" else None
        return open_websocket(self.websocket, headers=self.headers, tls=tls)

    @property
    def websocket(self) -> str:
        parts = urlsplit(self.url)
        return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{parts.path.rstrip('/')}{self.stomp_path}"


class LiveSynapse:
    """Its notifications become `stored` and `broadcast` events. A row counts as stored before its frame when a read
    that began after the frame had arrived shows it: nobody can see more of it from outside.
    """

    def __init__(
        self, target: SynapseTarget, client: Client, rest: httpx2.AsyncClient, recorder: Recorder, run: str
    ) -> None:
        """`run` begins every id of the run."""
        self.foreign = 0
        """How many notifications of others were seen."""
        self._target = target
        self._client = client
        self._rest = rest
        self._recorder = recorder
        self._mark = f"{run}-".encode()
        self._probe = probe_of(run).encode()
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._tenants = set(target.tenants)
        self._rows: set[tuple[int, int]] = set()
        self._before: int | None = None
        """The row of a probe: all rows of the run are newer."""
        self._lost = ""
        self._looked_at = 0
        self._unmarked: set[str] = set()
        self._reader: asyncio.Task[None] | None = None
        self._observer: asyncio.Task[None] | None = None

    async def prove(self, bus: Bus, channel: str) -> None:
        """Publish until a notification of it arrives and its row is shown: then Synapse listens, and we see it.

        Raises HarnessError that names what to look at.
        """
        self._reader = asyncio.create_task(self._read(), name="stomp reader")
        for probe in range(PROBES):
            wire = json.dumps({"message": f"aura-harness {probe}", "message_id": channel}).encode()
            if not await bus.publisher("harness")(channel, wire):
                raise HarnessError(
                    f"--redis {bus.description}: nobody listens on workbench:*; give the Redis that the Synapse at "
                    f"{shown(self._target.url)} uses (also HARNESS_REDIS_URL)"
                )
            try:
                async with asyncio.timeout(self._target.patience * 2**probe / (2**PROBES - 1)):
                    frame = await self._notified(channel)
            except TimeoutError:
                continue
            return await self._must_show(frame)
        raise HarnessError(
            f"--synapse {shown(self._target.url)}: {PROBES} messages were published and no notification came on "
            f"{TOPIC} at {shown(self._target.websocket)}; is this the Synapse that uses {bus.description}, and does it "
            "broadcast there?"
        )

    async def _notified(self, channel: str) -> Frame:
        while True:
            frame = await self._frames.get()
            if frame is None:
                raise HarnessError(f"{shown(self._target.websocket)}: the STOMP connection was closed: {self._lost}")
            if channel.encode() in frame.body:
                return frame

    async def _must_show(self, frame: Frame) -> None:
        value = _object(frame.body)
        tenant = value.get("tenantId")
        rows, _ = await self._page(tenant if isinstance(tenant, int) else 0, 0)
        if not any(row.get("id") == value.get("id") for row in rows):
            where = f"--synapse {shown(self._target.url)}{self._target.notifications_path}"
            found = f"row {value.get('id')} was broadcast and is not among the newest {PAGE} of its tenant {tenant}"
            raise HarnessError(f"{where}: {found}; correct the path, or let rows be read there")
        if isinstance(value.get("id"), int):
            self._before = value["id"]

    def follow(self) -> None:
        """From now on notifications are recorded."""
        while not self._frames.empty():  # of the probes
            self._frames.get_nowait()
        self._observer = asyncio.create_task(self._observe(), name="live synapse")

    async def finish(self) -> None:
        """Returns when every frame that arrived is recorded, and every row of the run. Raises HarnessError where the
        connection was lost, for then the history has a gap."""
        self._must_be_connected()
        self._frames.put_nowait(None)
        if self._observer is not None:
            await self._observer
        await self._look({tenant: set() for tenant in self._tenants}, exhaustively=True)

    async def lost(self) -> None:
        """Raises HarnessError once its notifications cannot be seen any more."""
        followed = [task for task in (self._reader, self._observer) if task is not None]
        await asyncio.wait(followed, return_when=asyncio.FIRST_COMPLETED)
        if self._observer is not None and self._observer.done():
            self._observer.result()
        self._must_be_connected()

    def _must_be_connected(self) -> None:
        if self._lost:
            where = shown(self._target.websocket)
            raise HarnessError(f"{where}: the STOMP connection was lost during the run: {self._lost}")

    async def close(self) -> None:
        for task in (self._reader, self._observer):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        await self._client.abort()

    async def _read(self) -> None:
        try:
            async for frame in self._client:
                self._frames.put_nowait(frame)
            self._lost = "the server closed it"
        except (OSError, ChannelClosedError, ProtocolError, StompError) as error:
            self._lost = str(error) or type(error).__name__
        self._frames.put_nowait(None)

    async def _observe(self) -> None:
        ended = False
        while not ended:
            frames = [await self._frames.get()]
            while not self._frames.empty():
                frames.append(self._frames.get_nowait())
            ended = None in frames
            read = [(frame, _object(frame.body)) for frame in frames if frame is not None]
            ours = [frame for frame, value in read if self._is_ours(frame.body, value)]
            self.foreign += sum(self._is_foreign(frame.body, value) for frame, value in read)
            values = [_object(frame.body) for frame in ours]
            wanted: dict[int, set[int]] = {}
            for value in values:
                if isinstance(value.get("tenantId"), int) and isinstance(value.get("id"), int):
                    wanted.setdefault(value["tenantId"], set()).add(value["id"])
            await self._look(wanted)
            for frame in ours:
                self._recorder.record("broadcast", as_event(frame), seat="synapse")

    async def _look(self, wanted: Mapping[int, set[int]], *, exhaustively: bool = False) -> None:
        """Read the rows of each tenant, newest first, until the wanted ones are found; `exhaustively` all that may be
        of the run."""
        for tenant, ids in wanted.items():
            self._tenants.add(tenant)
            missing = {row for row in ids if (tenant, row) not in self._rows}
            page = 0
            while (missing or exhaustively) and page < MOST_PAGES:
                rows, last = await self._page(tenant, page)
                for row in rows:
                    missing.discard(row.get("id"))
                    self._saw(tenant, row)
                page += 1
                if last or (exhaustively and self._all_before(rows)):
                    break

    def _all_before(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether every row of a page was there before the run: what comes then is other people's."""
        before = self._before
        return before is not None and all(isinstance(row.get("id"), int) and row["id"] <= before for row in rows)

    def _saw(self, tenant: int, row: Mapping[str, Any]) -> None:
        number = row.get("id")
        if not isinstance(number, int) or (tenant, number) in self._rows:
            return
        if not self._is_ours(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace"), row):
            return
        self._rows.add((tenant, number))
        data = {"id": number, "notification": dict(row)}
        self._recorder.record("stored", data, seat="synapse", about=_ids(row.get("payload")))

    async def _page(self, tenant: int, page: int) -> tuple[list[dict[str, Any]], bool]:
        """The rows of one page, and whether it is the last. Raises HarnessError where there is no page."""
        path = self._target.notifications_path
        parameters = {"page": str(page), "size": str(PAGE)}
        try:
            async with asyncio.timeout(self._target.patience):  # the client's own is for each read
                answer = await self._rest.get(path, params=parameters, headers={"X-Tenant-ID": str(tenant)})
        except TimeoutError as error:
            raise HarnessError(
                f"--synapse {shown(self._target.url)}{path}: no answer within {self._target.patience:g} s"
            ) from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise HarnessError(
                f"--synapse {shown(self._target.url)}{path}: no answer ({str(error) or type(error).__name__})"
            ) from error
        try:
            data = answer.json()["data"]
            return [row for row in data["content"] if isinstance(row, dict)], bool(data["last"])
        except (ValueError, KeyError, TypeError) as error:
            said = f"{answer.status_code} was found, a page of notifications was expected"
            raise HarnessError(f"--synapse {shown(self._target.url)}{path}: {said}") from error

    def _is_ours(self, body: bytes, notification: Mapping[str, Any]) -> bool:
        return self._mark in body or _canonical(notification.get("payload")) in self._without_mark()

    def _is_foreign(self, body: bytes, notification: Mapping[str, Any]) -> bool:
        """Without a payload, which unreadable messages have none of, it could be anybody's; a probe may come late."""
        told = bool(notification.get("payload")) and self._probe not in body
        return told and not self._is_ours(body, notification)

    def _without_mark(self) -> set[str]:
        """What the run's own messages say that carry no id of it."""
        events = self._recorder.since(self._looked_at)
        self._looked_at += len(events)
        for event in events:
            if event.kind == "published" and event.seat is not None:
                wire = decode(event.data["wire"])
                if self._mark not in wire:
                    self._unmarked.add(_canonical(_object(wire)))
        return self._unmarked


@asynccontextmanager
async def live_synapse(target: SynapseTarget, bus: Bus, recorder: Recorder, ids: Ids) -> AsyncIterator[LiveSynapse]:
    """Entered once a notification was seen to come through; from then on both Redis and Synapse are recorded.

    Raises HarnessError that names what to look at when it cannot be verified at all.
    """
    async with AsyncExitStack() as held:
        rest = await held.enter_async_context(
            httpx2.AsyncClient(
                base_url=target.url,
                timeout=target.patience,
                headers=dict(target.headers),
                verify=trusted(target.verify),
                trust_env=False,
            )
        )
        client = await _connected(target, held)
        live = LiveSynapse(target, client, rest, recorder, ids.run)
        held.push_async_callback(live.close)
        await live.prove(bus, probe_of(ids.run))
        await bus.tap(recorder)
        live.follow()
        try:
            yield live
            await live.finish()
        finally:
            recorder.record("step", {"do": LEFT_ALONE, "notifications": live.foreign})


async def _connected(target: SynapseTarget, held: AsyncExitStack) -> Client:
    from websockets.exceptions import InvalidHandshake, InvalidURI

    where = f"--synapse {shown(target.url)}: STOMP at {shown(target.websocket)}"
    try:
        async with asyncio.timeout(target.patience):
            channel = await held.enter_async_context(target.opened())
            client = await Client.connect(channel, confirm=None, name="browser", patience=target.patience)
            await client.subscribe(TOPIC)
    except TimeoutError as error:
        raise HarnessError(f"{where}: no answer within {target.patience:g} s; is it up?") from error
    except (OSError, ValueError, InvalidHandshake, InvalidURI, ChannelClosedError, ProtocolError, StompError) as error:
        raise HarnessError(f"{where}: cannot be reached ({shown(str(error))}); correct the URL or the path") from error
    return client


def probe_of(run: str) -> str:
    """The channel on which nothing but the probes of a run is published."""
    return f"workbench:{run}:probe"


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _canonical(payload: Any) -> str:
    return json.dumps(payload, sort_keys=True)


def _ids(payload: Any) -> dict[str, object]:
    fields = payload if isinstance(payload, dict) else {}
    return {"case": fields.get("case_id"), "request": fields.get("request_id")}
