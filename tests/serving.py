"""An application on a port of loopback, for what has to be reached over a network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """An interrupt belongs to pytest."""
        yield


@asynccontextmanager
async def serving(app: Any, close: Callable[[], None] = lambda: None) -> AsyncIterator[int]:
    """Its port. It listens from the start, so whoever connects early only waits a little. `close` ends what streams."""
    server = Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(30):
                yield listening.getsockname()[1]
        finally:
            close()
            server.should_exit = True
            await running
