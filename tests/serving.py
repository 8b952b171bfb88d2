"""Applications on ports of loopback, for what has to be reached over a network."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
import uvicorn

from harness.bus import Subscription, open_bus
from harness.clock import WallClock
from harness.http import App
from harness.synapse.seat import Synapse
from harness.synapse.settings import Settings
from harness.synapse.store import Store


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """An interrupt belongs to pytest."""
        yield


@asynccontextmanager
async def serving(
    app: Any,
    close: Callable[[], None] = lambda: None,
    *,
    lifespan: bool = False,
    certificate: tuple[Path, Path] | None = None,
) -> AsyncIterator[int]:
    """Its port. It listens from the start, so whoever connects early only waits a little. `close` ends what streams.
    With a certificate and its key it speaks TLS."""
    file, key = certificate or (None, None)
    server = Server(
        uvicorn.Config(
            app, log_level="critical", lifespan="on" if lifespan else "off", ssl_certfile=file, ssl_keyfile=key
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(30):
                yield listening.getsockname()[1]
        finally:
            close()
            server.should_exit = True
            await running


@asynccontextmanager
async def synapse(
    redis_url: str,
    certificate: tuple[Path, Path] | None = None,
    *,
    around: Callable[[App], App] = lambda app: app,
    store: Store | None = None,
) -> AsyncIterator[str]:
    """The URL of a simulated one that runs on its own: its own connection to Redis, its own port. `around` is put
    before its HTTP side."""
    async with open_bus(redis_url, "a-live-synapse") as bus:

        async def connect() -> Subscription:
            return await bus.subscribe("workbench:*")

        async with Synapse(Settings(), connect, WallClock(), seed=1, store=store) as running:

            def close() -> None:
                running.broker.close_sessions()
                running.streams.close()

            async with serving(around(running.app), close, certificate=certificate) as port:
                yield f"http{'s' if certificate else ''}://127.0.0.1:{port}"


OF_OTHERS = (
    ("workbench:alert", b'{"type":"NOTIFICATION","category":"AI_DETECT","message":"of others","case_id":"theirs-1"}'),
    (
        "workbench:rag:status",
        b'{"type":"NOTIFICATION","category":"RAG_STATUS","message":"of others","rag_document_id":"theirs-2"}',
    ),
    ("hitl:channel:theirs-3", b'{"type":"approval","requestId":"theirs-3"}'),
)


@asynccontextmanager
async def others_on(redis_url: str) -> AsyncIterator[None]:
    """Somebody else publishes there all the time, on the channels of the agreement."""

    async def publish() -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            for _ in range(2000):
                for channel, wire in OF_OTHERS:
                    await client.publish(channel, wire)
                await asyncio.sleep(0.01)

    publishing = asyncio.create_task(publish())
    try:
        yield
    finally:
        while not publishing.done():  # redis-py can swallow a cancellation in Python 3.11
            publishing.cancel()
            await asyncio.wait([publishing], timeout=0.05)
