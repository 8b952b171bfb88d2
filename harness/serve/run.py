"""Brings up what is asked for, serves it until it is told to stop, and takes everything down again."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from starlette.routing import Route

from harness import __version__
from harness.agreement import Agreement
from harness.aura.settings import Settings as AuraSettings
from harness.bus import Bus, open_bus, without_password
from harness.clock import Clock
from harness.history import FINISHED
from harness.outage import Restart
from harness.redis_server import RedisServer
from harness.runner import (
    BACKEND_TENANT,
    AuraSeat,
    SynapseSeat,
    backend_headers,
    described,
    recorded_at,
    simulated_aura,
    simulated_synapse,
)
from harness.seats import Settings
from harness.serve.app import Parts, create_app
from harness.serve.feed import Feed
from harness.serve.lines import Lines
from harness.serve.plays import Plays, Systems
from harness.serve.server import serving
from harness.serve.triggers import aura_triggers, synapse_triggers
from harness.synapse.follow_ups import Record

REACH: Mapping[str, tuple[str, ...]] = {
    "aura": ("http", "redis", "feedback", "hitl-timeout", "trigger:detect", "trigger:rag", "trigger:hitl"),
    "synapse": ("redis", "stomp", "rest", "trigger:action"),
}
"""What the taps of each seat see."""
OWN = ", or leave it out for one of its own"
STOPPING = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Options:
    seats: tuple[str, ...]
    redis_url: str
    server: RedisServer | None
    """The Redis at the URL, if it is ours to stop."""
    aura_url: str | None
    """Of the Aura that Synapse calls, where only Synapse is served."""
    contracts: Path
    command: tuple[str, ...]
    seed: int = 1

    @property
    def name(self) -> str:
        """Of its connections to Redis, by which a gate tells them from its own."""
        return f"served-{'-'.join(self.seats)}"


@dataclass(frozen=True, slots=True)
class Seats:
    aura: AuraSeat | None
    synapse: SynapseSeat | None


async def serve(
    options: Options,
    settings: Settings,
    listening: socket.socket,
    agreement: Callable[[], Agreement],
    clock: Clock,
    lines: Lines,
    ready: Callable[[], None],
    out: IO[str] | None = None,
) -> None:
    """Returns when SIGINT or SIGTERM came and all is taken down. `ready` is told when it answers. Raises HarnessError
    when Redis cannot be reached."""
    stopped = _stopped()
    feed = Feed(clock, out)
    feed.listeners[lines.event] = None
    async with open_bus(options.redis_url, options.name, instead=OWN) as bus, AsyncExitStack() as held:
        if out is not None:
            feed.record("run", _described(agreement(), options, bus))
        await bus.tap(feed)
        await held.enter_async_context(_kept_tapped(bus))
        seats = await _up(options, settings, bus, feed, clock, held)
        plays = Plays(_systems(options, settings, seats, bus, feed, clock), agreement, f"s{secrets.token_hex(3)}")

        async def close() -> None:
            await plays.stop()
            await held.aclose()

        triggers = [
            *(aura_triggers(seats.aura, settings.aura, feed, clock, held) if seats.aura else ()),
            *(synapse_triggers(seats.synapse) if seats.synapse else ()),
        ]
        app = create_app(_parts(options, seats, plays, triggers, bus, lines.tell))
        async with serving(app, listening, close) as server:
            ready()
            await asyncio.wait({server, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if out is not None and not bus.missed:
            feed.record("step", {"do": FINISHED})
        elif out is not None:
            lines.say("the history has a gap, for the connection to Redis was lost; it is not marked as finished")


def _stopped() -> asyncio.Future[None]:
    """Done when it is time to stop. A second signal changes nothing: all is bounded by then."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()
    for number in STOPPING:
        loop.add_signal_handler(number, lambda: None if stopped.done() else stopped.set_result(None))
    return stopped


async def _up(options: Options, settings: Settings, bus: Bus, feed: Feed, clock: Clock, held: AsyncExitStack) -> Seats:
    aura = synapse = None
    if "aura" in options.seats:
        aura = await held.enter_async_context(simulated_aura(bus, feed, clock, settings.aura, settings.parts.aura))
    if "synapse" in options.seats:
        record: Record
        if aura is not None:
            record = partial(recorded_at, aura.app, partial(backend_headers, settings.aura, clock))
        else:
            record = await held.enter_async_context(_recorded_by_http(options.aura_url, settings.aura, clock))
        synapse = await held.enter_async_context(
            simulated_synapse(bus, feed, clock, options.seed, settings.synapse, record, settings.parts.synapse)
        )
    return Seats(aura, synapse)


@asynccontextmanager
async def _kept_tapped(bus: Bus) -> AsyncIterator[None]:
    keeping = asyncio.create_task(bus.keep_tapped(), name="tap keeper")
    try:
        yield
    finally:
        while not keeping.done():  # redis-py can swallow a cancellation in Python 3.11
            keeping.cancel()
            await asyncio.wait({keeping}, timeout=0.05)
        with suppress(asyncio.CancelledError):
            keeping.result()


@asynccontextmanager
async def _recorded_by_http(aura_url: str | None, settings: AuraSettings, clock: Clock) -> AsyncIterator[Record]:
    """How a backend calls an Aura that runs elsewhere: at its base path, `/aura` or `/api/aura` of the gateway."""
    import httpx2

    async with httpx2.AsyncClient() as client:

        async def record(body: dict[str, object]) -> int:
            headers = {**backend_headers(settings, clock), "X-Tenant-ID": BACKEND_TENANT}
            answer = await client.post(f"{aura_url}/action/record", json=body, headers=headers)
            return answer.status_code

        yield record


def _systems(options: Options, settings: Settings, seats: Seats, bus: Bus, feed: Feed, clock: Clock) -> Systems | None:
    if seats.aura is None or seats.synapse is None:
        return None
    links = (seats.aura.link, seats.synapse.link)
    return Systems(
        aura=seats.aura,
        synapse=seats.synapse,
        bus=bus,
        feed=feed,
        clock=clock,
        settings=settings,
        outage=Restart(options.server, bus, links) if options.server else None,
        seed=options.seed,
    )


def _parts(
    options: Options, seats: Seats, plays: Plays, triggers: Sequence[Route], bus: Bus, tell: Callable[[str], None]
) -> Parts:
    async def health() -> Mapping[str, Any]:
        reachable = await bus.answers()
        subscribed = seats.synapse.link.listens if seats.synapse else None
        return {
            "status": "up" if reachable and bus.tapped and subscribed is not False else "down",
            "harness": __version__,
            "seats": list(options.seats),
            "redis": {
                "url": without_password(options.redis_url),
                "own": options.server is not None,
                "reachable": reachable,
                "observed": bus.tapped,
            },
            "playing": plays.playing,
            **({} if subscribed is None else {"subscribed": subscribed}),
        }

    return Parts(
        aura=seats.aura.app if seats.aura else None,
        synapse=seats.synapse.app if seats.synapse else None,
        untapped=seats.synapse.system.app if seats.synapse else None,
        contracts=options.contracts,
        redis_url=options.redis_url,
        plays=plays,
        triggers=triggers,
        health=health,
        tell=tell,
    )


def _described(agreement: Agreement, options: Options, bus: Bus) -> dict[str, Any]:
    reach = dict.fromkeys(need for seat in options.seats for need in REACH[seat])
    return described(agreement, bus, options.seed, tuple(reach), options.command, time="wall", seats=options.seats)
