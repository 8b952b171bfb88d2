"""SockJS in front of a WebSocket application, as Spring's `withSockJS()` puts it there and `sockjs-client` speaks it.

Only the WebSocket transport: it is what the workbench uses, and whoever falls back to another one is answered 404. The
application behind it sees a WebSocket like any other.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute, websocket_session
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

HEARTBEAT_SECONDS: Final = 25.0
NOT_ACCEPTABLE: Final = 1003
BAD_DATA: Final = 1007
SESSION_NOT_RELIABLE: Final = 4500
"""Spring's code for a client that does not read: it is not told either."""

_SPECIAL: Final = re.compile("[\u0000-\u001f\u200c-\u200f\u2028-\u202f\u2060-\u206f\ud800-\udfff\ufff0-\uffff]")
"""`escapable_by_server` of the protocol, in UTF-16 units: what some browser has lost or changed on the way."""
_BEYOND: Final = re.compile("[\U00010000-\U0010ffff]")
_WANTS_BEATS: Final = re.compile(r"CONNECTED\n(?:[^\n]+\n)*?heart-beat:[0-9]+,0*[1-9]")
_NO_CACHE: Final = {"Cache-Control": "no-store, no-cache, must-revalidate, max-age=0"}

Endpoint = Callable[[WebSocket], Awaitable[None]]


def sockjs_routes(path: str, endpoint: Endpoint, random: Random) -> list[BaseRoute]:
    """The endpoint at `path`: its greeting, its `info`, and the framed WebSocket of every session."""

    async def greeting(request: Request) -> Response:
        return PlainTextResponse("Welcome to SockJS!\n")

    async def info(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204)
        told = {"entropy": random.getrandbits(32), "origins": ["*:*"], "cookie_needed": True, "websocket": True}
        return JSONResponse(told, headers=_NO_CACHE)

    return [
        Route(path, greeting, methods=["GET"]),
        Route(f"{path}/info", info, methods=["GET", "OPTIONS"]),
        WebSocketRoute(f"{path}/{{server}}/{{session}}/websocket", Framed(websocket_session(endpoint))),
    ]


class Framed:
    """An ASGI application that puts `app`'s messages into SockJS frames, and takes the client's out of theirs."""

    def __init__(self, app: ASGIApp, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._app = app
        self._heartbeat = heartbeat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session = _Session(receive, send, self._heartbeat)
        try:
            await self._app(scope, session.receive, session.send)
        finally:
            await session.quieten()


class _Session:
    def __init__(self, receive: Receive, send: Send, heartbeat: float) -> None:
        self._receive = receive
        self._send = send
        self._heartbeat = heartbeat
        self._received: deque[str] = deque()
        self._opened = False
        self._closed = False
        self._spoke = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        """ASGI's, for the application."""
        if message["type"] == "websocket.accept":
            await self._send(message)
            self._opened = True
            await self._frame("o")
            self._beating = asyncio.create_task(self._beat(), name="sockjs heart-beat")
        elif message["type"] == "websocket.send":
            # Never binary: a frame is text.
            text = message.get("text")
            text = message["bytes"].decode("utf-8", "replace") if text is None else text
            await self._frame(f"a[{quoted(text)}]")
            if _WANTS_BEATS.match(text):  # two heart-beats on one connection would be one too many
                await self.quieten()
        elif message["type"] == "websocket.close" and self._opened:
            await self._close(message.get("code", 1000), message.get("reason") or "")
        else:
            await self._send(message)

    async def receive(self) -> Message:
        """ASGI's, for the application: one message at a time, of however many a frame holds."""
        while not self._received:
            event = await self._receive()
            if event["type"] != "websocket.receive":
                return event
            found = _messages(event.get("text"))
            if isinstance(found, int):
                with suppress(OSError):
                    await self._close(found, "")
                return {"type": "websocket.disconnect", "code": found}
            self._received += found
        return {"type": "websocket.receive", "text": self._received.popleft()}

    async def quieten(self) -> None:
        """No `h` from now on."""
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            await asyncio.wait({beating})

    async def _close(self, code: int, reason: str) -> None:
        if code != SESSION_NOT_RELIABLE:
            await self._frame(f"c[{code},{quoted(reason)}]")
        self._closed = True
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _frame(self, text: str) -> None:
        if self._closed:
            raise OSError("the SockJS session is closed")
        await self._send({"type": "websocket.send", "text": text})
        self._spoke.set()

    async def _beat(self) -> None:
        """`h` after every so many seconds in which the server said nothing else."""
        with suppress(OSError):  # the client is gone, which the application learns by itself
            while True:
                self._spoke.clear()
                try:
                    async with asyncio.timeout(self._heartbeat):
                        await self._spoke.wait()
                except TimeoutError:
                    await self._frame("h")


def quoted(text: str) -> str:
    """A JSON string in which everything is escaped that SockJS clients cannot take raw; beyond U+FFFF in two units."""
    text = json.dumps(text, ensure_ascii=False)
    return _SPECIAL.sub(_escaped, _BEYOND.sub(_pair, text))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _pair(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return f"\\u{units[:4]}\\u{units[4:]}"


def _messages(text: str | None) -> list[str] | int:
    """What a frame of the client holds, or the code to close with."""
    if text is None:
        return NOT_ACCEPTABLE
    if not text:
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return BAD_DATA
    if not isinstance(found, list) or not all(isinstance(message, str) for message in found):
        return BAD_DATA
    return found
