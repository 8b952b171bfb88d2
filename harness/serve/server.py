"""An ASGI application on a socket that is bound beforehand, so that a taken port is told before anything begins."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from harness.errors import HarnessError

GRACE_SECONDS = 1
"""How long a client may take to notice that it is over."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They belong to the command."""
        yield


def bound(host: str, port: int) -> socket.socket:
    """Raises HarnessError that names the option where the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
        # asyncio sets it on sockets that know their protocol, which this one does not: an answer in two parts would
        # wait 40 ms for the other side's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except socket.gaierror as error:
        raise HarnessError(
            f"--host {host}: no address was found ({error.strerror}); give one of this machine"
        ) from error
    except OverflowError as error:
        raise HarnessError(f"--port {port}: a port is a number from 0 to 65535") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise HarnessError(
            f"--port {port}: {host}:{port} cannot be had ({reason}); give another one, or 0 for any that is free"
        ) from error


def url_of(listening: socket.socket) -> str:
    """As a client on this machine names it."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def serving(
    app: ASGIApp, listening: socket.socket, close: Callable[[], Awaitable[None]]
) -> AsyncIterator[asyncio.Task[None]]:
    """Entered when it answers; the task ends if the server does. `close` ends what would go on for ever."""
    config = uvicorn.Config(
        app, lifespan="off", log_level="critical", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listening]), name="server")
    try:
        await server.up.wait()
        yield running
    finally:
        await close()
        server.should_exit = True
        await running
