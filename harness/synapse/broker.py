"""The STOMP broker of the simulated Synapse, which does what Spring 6's simple broker does, its omissions
included.

A client that relies on more than this (a receipt for SUBSCRIBE, a replay, an ERROR for a wrong version) works
here as little as against the deployed one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from harness.stomp import HEARTBEAT, SUBPROTOCOLS, VERSIONS, Decoder, Frame, ProtocolError, encode
from harness.synapse import ant

_log = logging.getLogger(__name__)

GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
SESSION_NOT_RELIABLE = 4500
INCOMING_LIMIT = 64 * 1024
SEND_BUFFER_LIMIT = 512 * 1024
SEND_TIME_LIMIT = 10.0

_HEART_BEAT = re.compile(r"([+-]?\d+),([+-]?\d+)")


@dataclass(frozen=True, slots=True)
class _Subscription:
    id: str
    destination: str
    is_pattern: bool

    def takes(self, destination: str) -> bool:
        if self.is_pattern:
            return ant.matches(self.destination, destination)
        return self.destination == destination


class _Outbox:
    """What waits to go to one client, in order. A client that does not read delays nobody else: past the
    limits its connection is given up. They are looked at only while a send hangs, so that a burst to a quick
    client is no offence.
    """

    def __init__(self, websocket: WebSocket) -> None:
        self.closing: int | None = None
        """The code to close with, once what waits is sent; None while open."""
        self._websocket = websocket
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._size = 0
        self._hanging_since: float | None = None
        self._patience: asyncio.Timeout | None = None
        self._news = asyncio.Event()

    def put(self, data: bytes, now: float, binary: bool = False) -> bool:
        """False where it will never be sent."""
        if self.closing is not None:
            return False
        self._waiting.append((data, binary))
        self._size += len(data)
        since = self._hanging_since
        if since is not None and (now - since > SEND_TIME_LIMIT or self._size > SEND_BUFFER_LIMIT):
            self._give_up(now)
            return False
        self._news.set()
        return True

    def close(self, code: int) -> None:
        if self.closing is None:
            self.closing = code
            self._news.set()

    def _give_up(self, now: float) -> None:
        self._waiting.clear()
        self.close(SESSION_NOT_RELIABLE)
        if self._patience is not None:
            self._patience.reschedule(now)

    async def run(self) -> None:
        """Returns once the connection is closed or the client is gone."""
        # `send` and `close` are where a client that is gone shows, and TimeoutError where it is given up.
        with suppress(WebSocketDisconnect, WebSocketDisconnected):
            with suppress(TimeoutError):
                await self._flush()
            with suppress(TimeoutError):
                async with asyncio.timeout(SEND_TIME_LIMIT):
                    await self._websocket.close(self.closing or PROTOCOL_ERROR)

    async def _flush(self) -> None:
        while self._waiting or self.closing is None:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
                continue
            data, binary = self._waiting.popleft()
            self._size -= len(data)
            async with asyncio.timeout(None) as self._patience:
                self._hanging_since = asyncio.get_running_loop().time()
                if binary:
                    await self._websocket.send_bytes(data)
                else:
                    await self._websocket.send_text(data.decode("utf-8", "replace"))
            self._hanging_since = self._patience = None


@dataclass(slots=True, eq=False)
class _Session:
    id: str
    outbox: _Outbox
    connected: bool = False
    subscriptions: dict[str, _Subscription] = field(default_factory=dict)
    # In milliseconds, as Java counts; an interval of 0 means that no beat is expected.
    read_interval: int = 0
    write_interval: int = 0
    last_read: int = 0
    last_write: int = 0


class SimpleBroker:
    def __init__(
        self,
        prefixes: Sequence[str] = ("/topic",),
        *,
        heartbeat: tuple[int, int] = (0, 0),
        new_session_id: Callable[[], str] | None = None,
    ) -> None:
        """`heartbeat`: what the server sends and wants, in milliseconds; Spring's is 0,0 without a scheduler
        and 10000,10000 with one. Session ids look like Spring's, but are counted unless `new_session_id`
        gives others.
        """
        self._prefixes = tuple(prefixes)
        self._heartbeat = heartbeat
        counter = itertools.count(1)
        self._new_session_id = new_session_id or (lambda: str(uuid.UUID(int=next(counter))))
        self._sessions: dict[str, _Session] = {}
        self._message_numbers = itertools.count()
        self._ticker: asyncio.TimerHandle | None = None
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    # What the application and its tests use.

    def send(self, destination: str, body: bytes, content_type: str = "application/json") -> int:
        """How many frames were handed out: one for each matching subscription of a connected session.

        Frames of one session leave in the order of the calls. Outside the prefixes a message is dropped in
        silence.
        """
        return self._broadcast(destination, {"destination": destination, "content-type": content_type}, body)

    @property
    def sessions(self) -> int:
        """How many sessions have sent CONNECT and not left."""
        return sum(session.connected for session in self._sessions.values())

    def subscriptions(self, destination: str) -> int:
        """How many frames a message to `destination` would give now."""
        return sum(len(_matching(session, destination)) for session in self._sessions.values())

    async def subscribed(self, destination: str, count: int = 1) -> None:
        """Returns once a message to `destination` would give at least `count` frames."""
        await self.until(lambda: self.subscriptions(destination) >= count)

    async def holds(self, destination: str, subscription: str) -> None:
        """Returns once a connected session has this subscription id for this destination or pattern: a
        client's `confirm`.
        """
        await self.until(
            lambda: any(
                session.connected
                and subscription in session.subscriptions
                and session.subscriptions[subscription].destination == destination
                for session in self._sessions.values()
            )
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once `condition` holds; it is asked again whenever a session or a subscription comes or
        goes.
        """
        if condition():
            return
        waiter = (condition, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter[1]
        finally:
            self._waiters.remove(waiter)

    def close_sessions(self, code: int = GOING_AWAY) -> None:
        """Closes every WebSocket, as a server that goes down does."""
        for session in list(self._sessions.values()):
            session.outbox.close(code)
            self._forget(session)

    # One WebSocket.

    async def endpoint(self, websocket: WebSocket) -> None:
        """For Starlette's `WebSocketRoute`."""
        await websocket.accept(subprotocol=_subprotocol(websocket.scope.get("subprotocols", [])))
        session = _Session(self._new_session_id(), _Outbox(websocket))
        self._sessions[session.id] = session
        work = (self._listen(session, websocket), session.outbox.run())
        tasks = [asyncio.create_task(part) for part in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._forget(session)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in done:
            task.result()

    async def _listen(self, session: _Session, websocket: WebSocket) -> None:
        decoder = Decoder(limit=INCOMING_LIMIT)
        while (event := await websocket.receive())["type"] == "websocket.receive":
            if session.outbox.closing is not None:
                continue
            text = event.get("text")
            message = event["bytes"] if text is None else text
            try:
                frames = decoder.feed(message)
                if frames or not message.strip():
                    session.last_read = _milliseconds()
                for frame in frames:
                    self._handle(session, frame)
            except ProtocolError as problem:
                self._end(session, str(problem))

    def _handle(self, session: _Session, frame: Frame) -> None:
        client_beats = _client_heartbeat(frame)
        destination = frame.headers.get("destination")
        if destination is not None and not destination.startswith(self._prefixes):
            return
        match frame.command:
            case "CONNECT" | "STOMP":
                self._connect(session, frame, client_beats)
            case "SUBSCRIBE" if "id" in frame.headers and destination is not None:
                subscription = _Subscription(frame.headers["id"], destination, ant.is_pattern(destination))
                # A second one with the same id is not heard, whatever its destination.
                session.subscriptions.setdefault(subscription.id, subscription)
            case "UNSUBSCRIBE":
                session.subscriptions.pop(frame.headers.get("id", ""), None)
            case "SEND" | "MESSAGE" if destination is not None:
                self._broadcast(destination, frame.headers, frame.body)
            case "DISCONNECT":
                self._disconnect(session, frame.headers.get("receipt"))
            case _:
                _log.debug("%s in session %s has no effect", frame.command, session.id)
        self._changed()

    def _connect(self, session: _Session, frame: Frame, client_beats: tuple[int, int]) -> None:
        if session.connected:
            _log.warning("CONNECT in session %s, which is connected already, has no effect", session.id)
            return
        session.connected = True
        sends, wants = self._heartbeat
        session.read_interval = 3 * max(client_beats[0], wants) if client_beats[0] > 0 and wants > 0 else 0
        session.write_interval = max(client_beats[1], sends) if client_beats[1] > 0 and sends > 0 else 0
        session.last_read = session.last_write = _milliseconds()
        self._schedule_tick()
        # Split at the commas only: after a blank a version is another one. Where none is known the session
        # counts as connected all the same, and the client waits for an answer that does not come.
        accepted = frame.headers.get("accept-version", "").split(",")
        version = next((version for version in VERSIONS if version in accepted), None)
        if version is None:
            _log.warning("session %s accepts the STOMP versions %s, none is known", session.id, accepted)
            return
        self._put(session, Frame("CONNECTED", {"version": version, "heart-beat": f"{sends},{wants}"}))

    def _disconnect(self, session: _Session, receipt: str | None) -> None:
        if receipt is None:
            self._end(session, "Session closed.")
            return
        session.connected = False
        session.subscriptions.clear()
        self._put(session, Frame("RECEIPT", {"receipt-id": receipt}))

    def _end(self, session: _Session, message: str) -> None:
        self._put(session, Frame("ERROR", {"message": message}))
        session.outbox.close(PROTOCOL_ERROR)
        self._forget(session)

    def _forget(self, session: _Session) -> None:
        session.connected = False
        self._sessions.pop(session.id, None)
        if self._ticker is not None and not self.sessions:
            self._ticker.cancel()
            self._ticker = None
        self._changed()

    # To the clients.

    def _broadcast(self, destination: str, headers: Mapping[str, str], body: bytes) -> int:
        if not destination.startswith(self._prefixes):
            return 0
        handed_out = 0
        for session in list(self._sessions.values()):
            for subscription in _matching(session, destination):
                own = {**headers, "subscription": subscription.id}
                if "message-id" not in own:
                    own["message-id"] = f"{session.id}-{next(self._message_numbers)}"
                handed_out += self._put(session, Frame("MESSAGE", own, body))
                session.last_write = _milliseconds()
        return handed_out

    def _put(self, session: _Session, frame: Frame) -> bool:
        media_type = frame.headers.get("content-type", "").partition(";")[0].strip().lower()
        binary = bool(frame.body) and media_type == "application/octet-stream"
        is_put = session.outbox.put(encode(frame), asyncio.get_running_loop().time(), binary)
        if session.outbox.closing == SESSION_NOT_RELIABLE:
            self._forget(session)
        return is_put

    # Heart-beats, looked after by one timer, which runs while somebody is connected.

    def _schedule_tick(self) -> None:
        interval = min((beat for beat in self._heartbeat if beat > 0), default=0)
        if interval and self._ticker is None:
            self._ticker = asyncio.get_running_loop().call_later(interval / 1000, self._tick)

    def _tick(self) -> None:
        self._ticker = None
        now = _milliseconds()
        for session in [session for session in self._sessions.values() if session.connected]:
            if 0 < session.read_interval < now - session.last_read:
                self._end(session, "Session closed.")
            # A beat does not count as written: once the client heard nothing for long enough, each tick has a
            # beat.
            elif 0 < session.write_interval < now - session.last_write:
                session.outbox.put(HEARTBEAT.encode(), asyncio.get_running_loop().time())
        if self.sessions:
            self._schedule_tick()

    def _changed(self) -> None:
        for condition, waiter in self._waiters:
            if not waiter.done() and condition():
                waiter.set_result(None)


def _matching(session: _Session, destination: str) -> list[_Subscription]:
    if not session.connected:
        return []
    return [held for held in session.subscriptions.values() if held.takes(destination)]


def _subprotocol(offered: Sequence[str]) -> str | None:
    """The client's order decides, and its spelling is given back; offering none, or none that is known, is
    fine.
    """
    return next((name for name in offered if name.lower() in SUBPROTOCOLS), None)


def _client_heartbeat(frame: Frame) -> tuple[int, int]:
    value = frame.headers.get("heart-beat", "0,0")
    if "," not in value:
        return 0, 0
    numbers = _HEART_BEAT.fullmatch(value)
    if numbers is None:
        raise ProtocolError(f"heart-beat: found {value!r}, expected two numbers with a comma between")
    return int(numbers[1]), int(numbers[2])


def _milliseconds() -> int:
    return round(asyncio.get_running_loop().time() * 1000)
