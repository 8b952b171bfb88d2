"""The record endpoint by HTTP over loopback, on a real Redis, beside a bare endpoint of the same server and beside what
the real Aura runs; and what its taps cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import load
from benchmarks.measure import Compared, Rate, Rounds
from benchmarks.processes import started
from benchmarks.samples import SIZES, SUBSCRIBERS
from harness import tokens
from harness.aura.access import REMEMBERED
from harness.aura.settings import Settings

BARE = "bare Starlette endpoint"
FASTAPI = "FastAPI equivalent"
RECORD = "record endpoint"
STRANGERS = "record endpoint, no token twice"
TAPPED = "record endpoint, all taps"
RECORD_CPU = "record endpoint, by its CPU alone"
BARE_CPU, FASTAPI_CPU = f"{BARE}, likewise", f"{FASTAPI}, likewise"
SERVED = "`aura-harness serve --seats aura`"

ROUNDS, SECONDS = 15, 0.5
GROWTH_ROUNDS, GROWTH_SECONDS = 7, 0.4


Ports = dict[str, int]
"""Of each candidate, by its name."""


def compared(redis_url: str, folder: Path) -> list[Compared]:
    with _up(redis_url, folder) as ports, started("benchmarks.subscribers", "1", redis_url):
        callers, strangers = _tokens(load.CONNECTIONS), _tokens(2 * REMEMBERED)
        rates = {name: _rate(port, callers) for name, port in ports.items()}
        rates |= {STRANGERS: _rate(ports[RECORD], strangers)}
        for name, of in ((RECORD_CPU, RECORD), (BARE_CPU, BARE), (FASTAPI_CPU, FASTAPI)):
            rates[name] = _rate(ports[of], callers, measure=load.rate_of_cpu)
        _warm(rates)
        rounds = Rounds(ROUNDS, rates)
    return [
        rounds.compared(RECORD, BARE, required=0.5),
        rounds.compared(RECORD, FASTAPI, required=5),
        rounds.compared(RECORD_CPU, BARE_CPU),
        rounds.compared(RECORD_CPU, FASTAPI_CPU),
        rounds.compared(STRANGERS, BARE, required=0.5),
        rounds.compared(STRANGERS, FASTAPI, required=5),
        rounds.compared(TAPPED, RECORD),
        rounds.compared(SERVED, BARE),
        rounds.compared(FASTAPI, BARE),
    ]


def by_subscribers(redis_url: str, folder: Path) -> Mapping[str, Sequence[Compared]]:
    columns = {}
    with _up(redis_url, folder) as ports:
        for number in SUBSCRIBERS:
            with started("benchmarks.subscribers", str(number), redis_url):
                columns[str(number)] = _column(ports)
    return columns


def by_size(redis_url: str, folder: Path) -> Mapping[str, Sequence[Compared]]:
    with _up(redis_url, folder) as ports, started("benchmarks.subscribers", "1", redis_url):
        return {label: _column(ports, size) for label, size in SIZES.items()}


def _column(ports: Ports, size: int = 0) -> list[Compared]:
    rates = {name: _rate(port, _tokens(load.CONNECTIONS), size, GROWTH_SECONDS) for name, port in ports.items()}
    _warm(rates)
    rounds = Rounds(GROWTH_ROUNDS, rates)
    return [
        rounds.compared(RECORD, BARE),
        rounds.compared(RECORD, FASTAPI),
        rounds.compared(TAPPED, RECORD),
    ]


def _tokens(number: int) -> list[str]:
    """One for each of so many people."""
    secret, now = Settings().jwt_secret, datetime.now(UTC)
    return [tokens.mint(secret, "7", now, user=f"user-{each}") for each in range(number)]


def _rate(
    port: int,
    callers: Sequence[str],
    size: int = 0,
    seconds: float = SECONDS,
    measure: Callable[[int, Iterator[bytes], float], float] = load.rate,
) -> Rate:
    requests = cycle([load.request(token, size) for token in callers])
    return lambda: measure(port, requests, seconds)


def _warm(rates: Mapping[str, Rate]) -> None:
    for rate in rates.values():
        rate()


@contextmanager
def _up(redis_url: str, folder: Path) -> Iterator[Ports]:
    """All of them, for as long as it is measured: those that nobody calls take no time."""
    with ExitStack() as stack:
        ports: Ports = {}
        for name, kind in ((BARE, "bare"), (RECORD, "record"), (TAPPED, "tapped"), (FASTAPI, "fastapi")):
            feedback = str(folder / f"{kind}.jsonl")
            ports[name] = int(stack.enter_context(started("benchmarks.servers", kind, redis_url, feedback)))
        serve = ("harness.cli", "serve", "--seats", "aura", "--quiet", "--port", "0", "--redis", redis_url)
        address = stack.enter_context(started(*serve)).split()[1]
        ports[SERVED] = urlsplit(address).port or 0
        yield ports
