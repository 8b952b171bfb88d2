"""An answer of an ASGI application, read as it comes and without a socket: the usual in-process transport waits for the
end of an answer, which an event stream does not have.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from harness.http import App, Message


class _Stream:
    def __init__(self) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.left = asyncio.Event()
        self.body: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._asked = False

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status.set_result(message["status"])
        elif message.get("body"):
            self.body.put_nowait(message["body"])


def scope_of(path: str) -> dict[str, Any]:
    """Of a browser that asks for the event stream at `path`."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"synapse"), (b"accept", b"text/event-stream")],
        "client": ("127.0.0.1", 0),
        "server": ("synapse", 80),
    }


@asynccontextmanager
async def open_asgi_stream(app: App, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """Entered when the application has answered 200 and sent something; raises OSError for any other answer."""
    stream = _Stream()

    async def run() -> None:
        try:
            await app(scope_of(path), stream.receive, stream.send)
        finally:
            stream.body.put_nowait(None)

    running = asyncio.create_task(run(), name=f"stream {path}")
    try:
        first = await stream.body.get()
        status = stream.status.result() if stream.status.done() else None
        if status != 200 or first is None:
            raise ConnectionError(f"{path} was answered {status}")
        yield _read(first, stream.body)
    finally:
        stream.left.set()
        await running


async def _read(first: bytes, body: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    part: bytes | None = first
    while part is not None:
        yield part
        part = await body.get()
