"""`aura-harness serve`: the simulated systems behind one port, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from harness.commands.judging import opened
from harness.commands.options import command_parser, seconds, writable
from harness.errors import UsageError

if TYPE_CHECKING:
    import socket

    from harness.clock import Clock
    from harness.drift.deviation import Deviation
    from harness.redis_server import RedisServer
    from harness.seats import Settings
    from harness.serve.run import Options

SEATS = ("aura", "synapse")
TENANT = "7"
SEEN = frozenset({"http", "redis", "stomp", "rest"})
"""What every gate on a live system sees."""
OUT_OF_REACH = "trigger:action"
GIVEN = {
    "feedback": "--aura-feedback",
    "hitl-timeout": "--hitl-timeout",
    "fault": "--may-cut",
    **{f"trigger:{name}": f"[triggers.{name}]" for name in ("detect", "rag", "hitl")},
}
"""What else a clause may need, and how a gate is given it."""
TOKEN_LIFETIME = timedelta(days=1)
SHORTEST_SECRET = 32
EXIT_CODES = """exit codes:
  0  stopped by Ctrl-C or SIGTERM
  2  wrong usage
  4  it could not work: a port that is taken, Redis out of reach
"""


def add(commands: object) -> None:
    serve = command_parser(commands, "serve", "serve the simulated systems behind one port", run, EXIT_CODES)
    serve.add_argument("--seats", type=_seats, default=SEATS, metavar="SEAT,…", help="aura, synapse, or both (both)")
    serve.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8080, metavar="N", help="0 for any that is free (8080)")
    serve.add_argument(
        "--redis",
        metavar="URL",
        default=os.environ.get("HARNESS_REDIS_URL") or None,
        help="a real Redis (redis://, rediss://, unix://); without it one of its own (HARNESS_REDIS_URL)",
    )
    serve.add_argument(
        "--aura", type=_url, metavar="URL", help="the Aura that a Synapse served alone calls, with /aura"
    )
    serve.add_argument("--secret", type=_secret, metavar="TEXT", help="what tokens are signed with (JWT_SECRET)")
    serve.add_argument(
        "--timeout", type=seconds, metavar="S", help="how long Aura waits for an answer (HITL_TIMEOUT_SECONDS; 300)"
    )
    serve.add_argument(
        "--follow-up",
        choices=("signal", "record", "both", "neither"),
        help="whom Synapse tells of a decision (ACTION_FOLLOW_UP; record, and signal where there is no Aura to call)",
    )
    serve.add_argument(
        "--publish-completed",
        action="store_true",
        default=None,
        help="Synapse publishes case_action_completed, too (ACTION_PUBLISH_COMPLETED)",
    )
    serve.add_argument(
        "--drift", metavar="ID", help="let what is served misbehave in this way (`aura-harness drift --list`)"
    )
    serve.add_argument("--history", type=writable, metavar="FILE", help="keep what was observed, as JSON lines")
    serve.add_argument("--quiet", action="store_true", help="no line for each request and message")


def run(arguments: argparse.Namespace) -> int:
    from harness.serve.server import bound

    drift = _drift(arguments)
    settings = _settings(arguments)
    if drift is not None:
        settings = drift.of_settings(settings)
    contracts = _contracts(arguments)
    try:
        with (
            opened(arguments.history) as out,
            bound(arguments.host, arguments.port) as listening,
            _redis(arguments.redis) as (url, server),
        ):
            _serve(arguments, settings, drift, contracts, listening, url, server, out)
    except KeyboardInterrupt:  # before anything was there to be stopped
        pass
    return 0


def _serve(
    arguments: argparse.Namespace,
    settings: Settings,
    drift: Deviation | None,
    contracts: Path,
    listening: socket.socket,
    redis_url: str,
    server: RedisServer | None,
    out: IO[str] | None,
) -> None:
    from harness.agreement import load
    from harness.clock import WallClock
    from harness.serve.lines import Lines, Warnings
    from harness.serve.run import Options, serve
    from harness.serve.server import url_of

    clock = WallClock()
    lines = Lines(sys.stdout, clock, quiet=arguments.quiet)
    options = Options(arguments.seats, redis_url, server, arguments.aura, contracts, _command(arguments))
    url = url_of(listening)

    def ready() -> None:
        for line in _greeting(url, options, settings, drift, clock):
            lines.say(line)

    warnings = Warnings(lines)
    logging.getLogger("harness").addHandler(warnings)
    try:
        asyncio.run(serve(options, settings, listening, lambda: load(contracts), clock, lines, ready, out))
    finally:
        logging.getLogger("harness").removeHandler(warnings)


def _greeting(url: str, options: Options, settings: Settings, drift: Deviation | None, clock: Clock) -> Iterator[str]:
    """The address first: whoever asked for any free port reads one line. A call that works when it is copied last."""
    from harness import tokens
    from harness.bus import without_password

    own = "  (its own, and gone with it)" if options.server else ""
    yield f"serving    {url}  ({' and '.join(options.seats)}, simulated)"
    yield f"redis      {without_password(options.redis_url)}{own}"
    if drift is not None:
        yield f"drift      {drift.id}: {drift.confession}"
        yield from (f"           {line}" for line in _found_by(drift))
    yield f"health     {url}/_harness/health"
    yield f"documents  {url}/_harness/openapi.yaml  {url}/_harness/asyncapi.yaml"
    if "synapse" in options.seats:
        yield f"stomp      {url}/ws/notifications (SockJS)  ws{url.removeprefix('http')}/ws/notifications/websocket"
    if set(options.seats) == set(SEATS):
        yield f"scenarios  curl -X POST {url}/_harness/scenarios/approve-by-signal"
    if "aura" in options.seats:
        token = tokens.mint(settings.aura.jwt_secret, TENANT, clock.now(), lifetime=TOKEN_LIFETIME)
        until = clock.now() + TOKEN_LIFETIME
        yield f"token      tenant {TENANT}, until {until:%Y-%m-%d %H:%M} UTC: {token}"
        headers = f"-H 'Authorization: Bearer {token}' -H 'X-Tenant-ID: {TENANT}' -H 'Content-Type: application/json'"
        body = '{"case_id": "case-1", "request_id": "request-1", "executor_id": "김검토", "approved": true}'
        yield f"call       curl -i {url}/api/aura/action/record {headers} -d '{body}'"
    else:
        yield f"call       curl -i {url}/api/synapse/notifications -H 'X-Tenant-ID: 0'"


def _found_by(drift: Deviation) -> Iterator[str]:
    """What a gate on it should find, and what that gate has to be given. Raises UsageError where none can."""
    from harness.agreement import load

    clauses = load().clauses
    seen = {
        name: clauses[name].needs - SEEN for name in sorted(drift.breaks) if OUT_OF_REACH not in clauses[name].needs
    }
    if not seen:
        raise UsageError(
            f"--drift {drift.id}: no gate on a live system can see {', '.join(sorted(drift.breaks))}; "
            f"`aura-harness drift --only {drift.id}` shows it"
        )
    for name, needs in seen.items():
        given = " and ".join(sorted(GIVEN[need] for need in needs))
        told = "" if clauses[name].level == "must" else ", a `should`: it is told and fails nothing"
        yield f"a gate on this {drift.seat}{' with ' + given if given else ''} should find {name} broken{told}"


def _drift(arguments: argparse.Namespace) -> Deviation | None:
    if arguments.drift is None:
        return None
    from harness.drift.catalogue import named

    drift = named(arguments.drift)
    missing = [seat for seat in drift.seats if seat not in arguments.seats]
    if missing:
        raise UsageError(
            f"--drift {drift.id}: {' and '.join(missing)} would have to be served, "
            f"{' and '.join(arguments.seats)} was asked for; `aura-harness drift --only {drift.id}` runs it"
        )
    list(_found_by(drift))  # before anything is started
    return drift


@contextmanager
def _redis(url: str | None) -> Iterator[tuple[str, RedisServer | None]]:
    """The one at the URL, or one that is started, and stopped at the end."""
    if url is not None:
        yield url, None
        return
    from harness.redis_server import private_server

    with private_server() as server:
        yield server.url, server


def _settings(arguments: argparse.Namespace) -> Settings:
    """From the environment; an option wins."""
    from harness.aura.settings import Settings as AuraSettings
    from harness.seats import Settings
    from harness.synapse.settings import Settings as SynapseSettings

    aura = AuraSettings.from_environment(
        os.environ, jwt_secret=arguments.secret, hitl_timeout_seconds=arguments.timeout
    )
    asked = arguments.follow_up or os.environ.get("ACTION_FOLLOW_UP") or None
    alone = "aura" not in arguments.seats
    if arguments.aura and not alone:
        raise UsageError(
            "--aura: Aura is served here, and Synapse calls that one; leave it out, or give --seats synapse"
        )
    if alone and not arguments.aura and asked in ("record", "both"):
        raise UsageError(f"--follow-up {asked}: Synapse would call Aura, and none is served here; give --aura URL")
    follow_up = "signal" if alone and not arguments.aura and asked is None else asked
    synapse = SynapseSettings.from_environment(
        os.environ, action_follow_up=follow_up, action_publish_completed=arguments.publish_completed
    )
    return Settings(aura, synapse)


def _contracts(arguments: argparse.Namespace) -> Path:
    from harness.agreement import contracts_dir

    found: Path = arguments.contracts or contracts_dir()
    if not found.is_dir():
        raise UsageError(f"--contracts {found}: there is no such folder")
    return found


def _command(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What repeats it, for the history: no secret and no password."""
    from harness.bus import without_password

    command = ["aura-harness", "serve", "--seats", ",".join(arguments.seats)]
    if arguments.drift:
        command += ["--drift", arguments.drift]
    if arguments.redis:
        command += ["--redis", without_password(arguments.redis)]
    return tuple(command)


def _seats(text: str) -> tuple[str, ...]:
    asked = [name.strip() for name in text.split(",")]
    for name in asked:
        if name not in SEATS:
            raise argparse.ArgumentTypeError(f"{name!r} was found, aura, synapse, or aura,synapse was expected")
    return tuple(seat for seat in SEATS if seat in asked)


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} was found, a number from 0 to 65535 was expected")
    return number


def _secret(text: str) -> str:
    if len(text.encode()) < SHORTEST_SECRET:
        raise argparse.ArgumentTypeError(f"at least {SHORTEST_SECRET} bytes were expected, for HS256")
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise argparse.ArgumentTypeError(f"{text!r} was found, http://HOST:PORT/aura was expected")
    return text.rstrip("/") if parts.path.strip("/") else f"{text.rstrip('/')}/aura"
