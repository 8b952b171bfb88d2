"""A WebSocket to an ASGI application without a socket: it lives on the caller's event loop, whatever time
that keeps.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from harness.stomp import ChannelClosedError

_Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]],
    Awaitable[None],
]


class AsgiWebSocket:
    """The client's end; a `harness.stomp.Channel`. Made by `open_asgi_websocket`."""

    def __init__(self, window: int | None) -> None:
        self.subprotocol: str | None = None
        self.close_code: int | None = None
        """The code of whoever closed first; None while open."""
        self._close_reason = ""
        self._window = window
        self._to_app: asyncio.Queue[_Message] = asyncio.Queue()
        self._from_app: deque[str | bytes] = deque()
        self._accepted = False
        self._news = asyncio.Condition()
        self._app: asyncio.Task[None] | None = None

    async def send(self, message: str | bytes) -> None:
        if self.close_code is not None:
            raise ChannelClosedError(self.close_code, self._close_reason)
        kind = "text" if isinstance(message, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", kind: message})

    async def receive(self) -> str | bytes:
        await self._until(lambda: self._from_app or self.close_code is not None)
        if not self._from_app:
            raise ChannelClosedError(self.close_code or 1006, self._close_reason)
        message = self._from_app.popleft()
        await self._tell()
        return message

    async def close(self, code: int = 1000) -> None:
        """Returns when the application has left its endpoint, and so has forgotten this connection."""
        await self._close(code)
        if self._app is not None:
            await asyncio.wait({self._app})

    async def _close(self, code: int, reason: str = "") -> None:
        if self.close_code is None:
            self.close_code, self._close_reason = code, reason
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
            await self._tell()

    async def _take(self, message: _Message) -> None:
        """ASGI's `send`."""
        if message["type"] == "websocket.accept":
            self._accepted, self.subprotocol = True, message.get("subprotocol")
            await self._tell()
        elif message["type"] == "websocket.close":
            code = message.get("code", 1000) if self._accepted else 1006
            await self._close(code, message.get("reason") or "")
        elif message["type"] == "websocket.send":
            await self._until(lambda: self._has_room() or self.close_code is not None)
            if self.close_code is not None:
                raise OSError("the WebSocket is closed")
            text = message.get("text")
            self._from_app.append(message["bytes"] if text is None else text)
            await self._tell()
        else:
            raise RuntimeError(f"found the ASGI message {message['type']!r}, expected one of a WebSocket")

    def _has_room(self) -> bool:
        return self._window is None or len(self._from_app) < self._window

    async def _until(self, condition: Callable[[], object]) -> None:
        async with self._news:
            await self._news.wait_for(lambda: bool(condition()))

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _run(self, app: AsgiApp, scope: MutableMapping[str, Any]) -> None:
        self._to_app.put_nowait({"type": "websocket.connect"})
        try:
            await app(scope, self._to_app.get, self._take)
        finally:
            await self._close(1000 if self._accepted else 1006)


@asynccontextmanager
async def open_asgi_websocket(
    app: AsgiApp,
    url: str,
    *,
    subprotocols: Sequence[str] = (),
    headers: Sequence[tuple[str, str]] = (),
    window: int | None = None,
) -> AsyncIterator[AsgiWebSocket]:
    """A connection to `url` (`/path?query`, or whole) of `app`; leaving closes it. ChannelClosedError where
    it is refused.

    `window`: as many messages may lie unread before the application has to wait, as it has to for a slow
    client. What the application raises is raised on leaving.
    """
    websocket = AsgiWebSocket(window)
    endpoint = asyncio.create_task(websocket._run(app, _scope(url, subprotocols, headers)))
    websocket._app = endpoint
    try:
        await websocket._until(lambda: websocket._accepted or websocket.close_code is not None)
        if not websocket._accepted:
            raise ChannelClosedError(websocket.close_code or 1006, "refused")
        yield websocket
    finally:
        await websocket.close()
        endpoint.result()


def _scope(url: str, subprotocols: Sequence[str], headers: Sequence[tuple[str, str]]) -> MutableMapping[str, Any]:
    parts = urlsplit(url)
    host = parts.netloc or "testserver"
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": parts.scheme or "ws",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in [("host", host), *headers]],
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname or "testserver", parts.port or 80),
        "subprotocols": list(subprotocols),
        "state": {},
        "extensions": {},
    }
