"""What is compared by HTTP, each in a process of its own, on the server that `aura-harness serve` runs on.

    python -m benchmarks.servers bare|record|tapped|fastapi REDIS_URL FEEDBACK_FILE

Prints its port when it answers, and ends by SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import redis.asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.fastapi_aura import fastapi_aura
from benchmarks.load import CPU, PATH
from harness.aura.actions import Actions, feedback_writer
from harness.aura.app import create_app
from harness.aura.publishers import Publishers
from harness.aura.settings import Settings
from harness.bus import Link, open_bus
from harness.clock import WallClock
from harness.history import Recorder
from harness.runner import simulated_aura
from harness.serve.server import bound, serving

Opened = AbstractAsyncContextManager[ASGIApp]


@asynccontextmanager
async def bare(redis_url: str, feedback: Path) -> AsyncIterator[ASGIApp]:
    """Reads the JSON, answers in the envelope, and does nothing else."""
    answer = {"status": "SUCCESS", "message": "Action recorded", "data": {"ok": True, "logged": True}, "success": True}

    async def record(request: Request) -> Response:
        await request.json()
        return JSONResponse({**answer, "timestamp": "2026-02-11T14:30:00.123456"})

    yield Starlette(routes=[Route(PATH, record, methods=["POST"])])


@asynccontextmanager
async def record(redis_url: str, feedback: Path) -> AsyncIterator[ASGIApp]:
    """The simulated Aura's, without taps."""
    settings, clock = Settings(hitl_feedback_log_path=feedback), WallClock()
    async with open_bus(redis_url, "benchmark") as bus:
        publishers = Publishers(settings, Link(bus, "aura").publish, clock)
        yield create_app(settings, Actions(publishers, feedback_writer(feedback), clock), clock)


@asynccontextmanager
async def tapped(redis_url: str, feedback: Path) -> AsyncIterator[ASGIApp]:
    """The same with the taps of HTTP, Redis and the feedback log, whose events nobody keeps."""
    settings, clock = Settings(hitl_feedback_log_path=feedback), WallClock()
    async with open_bus(redis_url, "benchmark") as bus:
        recorder = Recorder(clock, keep=False)
        await bus.tap(recorder)
        async with simulated_aura(bus, recorder, clock, settings) as aura:
            yield aura.app


@asynccontextmanager
async def fastapi(redis_url: str, feedback: Path) -> AsyncIterator[ASGIApp]:
    async with redis.asyncio.Redis.from_url(redis_url, protocol=2) as client:
        yield fastapi_aura(client, feedback, Settings().jwt_secret)


KINDS: dict[str, Callable[[str, Path], Opened]] = {each.__name__: each for each in (bare, record, tapped, fastapi)}


def telling(app: ASGIApp) -> ASGIApp:
    """It also tells how many seconds of CPU the process has used."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        used = scope["type"] == "http" and scope["path"] == CPU
        await (PlainTextResponse(str(time.process_time())) if used else app)(scope, receive, send)

    return told


async def main(kind: str, redis_url: str, feedback: str) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    async def close() -> None:
        """Nothing goes on for ever here."""

    with bound("127.0.0.1", 0) as listening:
        async with KINDS[kind](redis_url, Path(feedback)) as app, serving(telling(app), listening, close):
            print(listening.getsockname()[1], flush=True)
            await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
