"""The first document's alternative to STOMP: the same notifications as server-sent events, of all tenants, without a
replay.

A plain ASGI application, because a stream has to end when its client goes, when the seat stops, and when a client
does not read; none of them may delay another client.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from harness.synapse.notification import NotificationDto

BUFFER_LIMIT: Final = 512 * 1024
SEND_TIME_LIMIT: Final = 10.0
"""Both as the STOMP broker has them."""

_HEADERS: Final = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
_COMMENT: Final = b":\n\n"


class _Stream:
    """What waits to go to one client, in order."""

    def __init__(self, send: Callable[[Message], Awaitable[None]], heartbeat: float) -> None:
        self._send = send
        self._heartbeat = heartbeat or None
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._hanging = False
        self._closing = False
        self._news = asyncio.Event()
        self.given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def put(self, event: bytes) -> None:
        self._waiting.append(event)
        self._size += len(event)
        # Looked at only while a send hangs, so that a burst to a quick client is no offence.
        if self._hanging and self._size > BUFFER_LIMIT and not self.given_up.done():
            self.given_up.set_result(None)
        self._news.set()

    def close(self) -> None:
        self._closing = True
        self._news.set()

    async def run(self) -> None:
        """Returns when it was closed and all is sent, or when a send took too long or found nobody."""
        with suppress(OSError):  # which TimeoutError is one of
            await self._deliver({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            # A server may keep the head back until there is a body.
            await self._chunk(_COMMENT)
            while self._waiting or not self._closing:
                await self._chunk(self._next() if self._waiting else await self._wait())
            await self._chunk(b"", more=False)

    async def _wait(self) -> bytes:
        """The beat that is due when nothing comes, and nothing otherwise."""
        self._news.clear()
        try:
            async with asyncio.timeout(self._heartbeat):
                await self._news.wait()
        except TimeoutError:
            return _COMMENT
        return b""

    def _next(self) -> bytes:
        event = self._waiting.popleft()
        self._size -= len(event)
        return event

    async def _chunk(self, body: bytes, more: bool = True) -> None:
        if body or not more:
            await self._deliver({"type": "http.response.body", "body": body, "more_body": more})

    async def _deliver(self, message: Message) -> None:
        self._hanging = True
        async with asyncio.timeout(SEND_TIME_LIMIT):
            await self._send(message)
        self._hanging = False


class EventStreams:
    """The endpoint, for Starlette's `Route`. Who has got the head of the answer hears of every notification from then
    on.
    """

    def __init__(self, heartbeat: float = 15.0) -> None:
        """`heartbeat`: after so many quiet seconds a comment is sent, which keeps proxies from ending the stream; 0
        for none.
        """
        self._heartbeat = heartbeat
        self._streams: dict[_Stream, None] = {}

    @property
    def open(self) -> int:
        """How many clients are listening."""
        return len(self._streams)

    def send(self, dto: NotificationDto, body: bytes) -> None:
        """A `Hearer` of the broadcast; JSON as it is sent has no line ends."""
        event = f"id: {dto.id}\nevent: notification\ndata: ".encode() + body + b"\n\n"
        for stream in self._streams:
            stream.put(event)

    def close(self) -> None:
        """Every stream ends when it has sent what waits."""
        for stream in self._streams:
            stream.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = _Stream(send, self._heartbeat)
        if scope["method"] == "HEAD":
            stream.close()
            await stream.run()
            return
        self._streams[stream] = None
        work = [asyncio.create_task(stream.run()), asyncio.create_task(_gone(receive))]
        try:
            await asyncio.wait([*work, stream.given_up], return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._streams[stream]
            for task in work:
                task.cancel()
            await asyncio.wait(work)
        for task in work:
            if not task.cancelled():
                task.result()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
