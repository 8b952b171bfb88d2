"""An event stream of an ASGI application, read as it comes and without a socket: the usual transports wait for the
end of an answer, which a stream does not have.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message

from harness.asgi_stream import scope_of


class Stream:
    """The client's end."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        """Whether the application said that nothing more comes."""
        self.reading = asyncio.Event()
        """Cleared for a client that does not read: the application waits in its `send`."""
        self.reading.set()
        self._left = asyncio.Event()
        self._received = b""
        self._blocks: asyncio.Queue[str | None] = asyncio.Queue()
        self._asked = False

    async def block(self) -> str:
        """The next event or comment, without the empty line behind it. EOFError at the end of the stream."""
        block = await self._blocks.get()
        if block is None:
            raise EOFError
        return block

    async def event(self) -> dict[str, str]:
        """The fields of the next event; comments are passed over."""
        while (block := await self.block()).startswith(":"):
            pass
        return dict(line.split(": ", 1) for line in block.split("\n"))

    def leave(self) -> None:
        self._left.set()

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reading.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self._received += message.get("body", b"")
        *blocks, self._received = self._received.split(b"\n\n")
        for block in blocks:
            self._blocks.put_nowait(block.decode())
        self.complete = not message.get("more_body", False)

    async def run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self.receive, self.send)
        finally:
            self._blocks.put_nowait(None)


@asynccontextmanager
async def open_stream(app: ASGIApp, path: str) -> AsyncIterator[Stream]:
    """Entered when the application has answered with the head and the first comment."""
    stream = Stream()
    running = asyncio.create_task(stream.run(app, scope_of(path)))
    try:
        assert await stream.block() == ":"
        yield stream
    finally:
        stream.leave()
        await running
