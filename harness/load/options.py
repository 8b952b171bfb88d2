"""The options of a load run beside locust's own, and what they mean. They travel from master to workers as text."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.ledger import BROADCAST, DELIVERY, Limits
from harness.live.address import must_be_url, shown
from harness.live.aura import DIRECT, AuraTarget, tenant_of
from harness.live.synapse import SynapseTarget
from harness.load.run import Target
from harness.load.thresholds import LeastRate, MostP95, Threshold
from harness.load.traffic import Ratio

_SECRET: Final = ("secret", "token", "redis_url")
RATE: Final = 10.0
_ALONE: Final = "give both, or neither for a private Redis and simulated systems"
QUIET: Final = Limits().quiet
_WITH_GAPS: Final = (DELIVERY, BROADCAST)


@dataclass(frozen=True, slots=True)
class Options:
    """`rate` is how many messages a second a user sends, None for as many as it can."""

    ratio: Ratio
    rate: float | None
    thresholds: tuple[Threshold, ...]
    limits: Limits
    seed: int
    ledger: Path | None
    history: Path | None


def add(parser: argparse.ArgumentParser) -> None:
    """To locust's parser. All users begin within a second, and finish what they do before they stop."""
    parser.set_defaults(spawn_rate=100.0, stop_timeout=5.0)
    environment = os.environ.get
    group = parser.add_argument_group("aura-harness")
    wanted: tuple[tuple[str, dict[str, Any]], ...] = (
        ("--redis-url", {"default": environment("HARNESS_REDIS_URL"), "help": "where --host publishes"}),
        (
            "--synapse",
            {"default": environment("HARNESS_SYNAPSE_URL"), "help": "whose screen is looked at beside --host"},
        ),
        ("--secret", {"default": environment("HARNESS_AURA_SECRET"), "help": "what tokens are signed with"}),
        ("--token", {"default": environment("HARNESS_AURA_TOKEN"), "help": "a ready token instead"}),
        ("--tenant", {"default": environment("HARNESS_TENANT"), "help": "the tenant to call for (7)"}),
        ("--rate", {"default": f"{RATE:g}", "help": f"messages a second of each user ({RATE:g})"}),
        ("--flat-out", {"action": "store_true", "help": "no pace: measures throughput, and no latency"}),
        ("--decisions", {"default": "3:2", "help": "APPROVE:REJECT of what reviewers record (3:2)"}),
        (
            "--max-p95",
            {"action": "append", "default": [], "help": '"HOP=TIME", as "Redis delivery=50ms"; 1ms at least'},
        ),
        ("--min-rate", {"action": "append", "default": [], "help": "accepted messages a second, or HOP=N"}),
        ("--max-lost", {"default": "0", "help": "so many may be lost (0)"}),
        (
            "--max-in-gap",
            {
                "action": "append",
                "default": [],
                "help": "so many may be lost in the gaps of each hop, or HOP=N; where it is not given, any number in "
                "those of our own subscription, and what a screen's took is lost",
            },
        ),
        ("--max-duplicated", {"default": "0", "help": "so many copies may come by each hop (0)"}),
        ("--quiet-seconds", {"default": f"{QUIET:g}", "help": f"what comes later than that is lost ({QUIET:g})"}),
        ("--ledger", {"default": None, "metavar": "FILE", "help": "keep the ledger, as JSON"}),
        ("--history", {"default": None, "metavar": "FILE", "help": "keep what `aura-harness check` judges"}),
        ("--seed", {"default": "1", "help": "of the texts (1)"}),
    )
    for name, how in wanted:
        action = group.add_argument(name, **how)
        if action.dest in _SECRET:
            action.include_in_web_ui = False  # type: ignore[attr-defined]


def read(given: argparse.Namespace) -> Options:
    """Raises UsageError that names the option."""
    rate = _number("--rate", given.rate)
    return Options(
        ratio=Ratio.parse(given.decisions),
        rate=None if given.flat_out else rate,
        thresholds=(
            *(MostP95.parse(text) for text in given.max_p95),
            *(LeastRate.parse(text) for text in given.min_rate),
        ),
        limits=Limits(
            lost=_whole("--max-lost", given.max_lost),
            duplicated=_whole("--max-duplicated", given.max_duplicated),
            in_gaps=dict(pair for text in given.max_in_gap for pair in _in_gaps(text)),
            quiet=_number("--quiet-seconds", given.quiet_seconds),
        ),
        seed=_whole("--seed", given.seed),
        ledger=_writable("--ledger", given.ledger),
        history=_writable("--history", given.history),
    )


def must_be_alone(given: argparse.Namespace) -> None:
    """A run without a host. A URL says what to load, wherever it is given; how to call may stand in an environment for
    other runs."""
    for option, variable in {"redis_url": "HARNESS_REDIS_URL", "synapse": "HARNESS_SYNAPSE_URL"}.items():
        if getattr(given, option):
            raise UsageError(f"--{option.replace('_', '-')} (also {variable}) is given without --host; {_ALONE}")
    how = {"secret": "HARNESS_AURA_SECRET", "token": "HARNESS_AURA_TOKEN", "tenant": "HARNESS_TENANT"}
    for option, variable in how.items():
        if getattr(given, option) and getattr(given, option) != os.environ.get(variable):
            raise UsageError(f"--{option} is given without --host; {_ALONE}")


def target(given: argparse.Namespace, host: str, *, embedded: bool) -> Target:
    """What is there. Raises UsageError for what cannot be called."""
    if not given.redis_url:
        raise UsageError("--host is given without --redis-url (also HARNESS_REDIS_URL); give the Redis it publishes on")
    must_be_url(host, "--host", f"http://127.0.0.1:9000{DIRECT}")
    url = host.rstrip("/") if urlsplit(host).path.strip("/") else f"{host.rstrip('/')}{DIRECT}"
    try:
        aura = AuraTarget(
            url=url,
            secret=given.secret or None,
            token=given.token or None,
            tenant=given.tenant or (tenant_of(given.token) if given.token else "7"),
        )
    except UsageError as error:
        raise UsageError(str(error).replace("--aura", "--host")) from error
    synapse = SynapseTarget(given.synapse) if given.synapse else None
    return Target(redis_url=given.redis_url, aura=aura, synapse=synapse, embedded=embedded)


def told(given: argparse.Namespace, read: Options, *, embedded: bool) -> str:
    """What will be sent, and what of it stays where it is sent to."""
    pace = (
        "no pace, which measures throughput and no latency" if read.rate is None else f"{read.rate:g} a second of each"
    )
    until = f"for {given.run_time} s" if given.run_time else "until it is stopped"
    leaves = "" if embedded else "; leaves a feedback line of each action, and a notification's row of each message"
    return f"{given.num_users or 1} users, {pace}, {until}{leaves}"


def command(given: argparse.Namespace, host: str | None) -> tuple[str, ...]:
    """What repeats it, without what is secret."""
    words = ["locust", "-f", "locustfile.py", "--headless", "-u", str(given.num_users or 1)]
    words += ["-t", f"{given.run_time}s"] if given.run_time else []
    words += ["--host", shown(host)] if host else []
    said: Mapping[str, object] = {"rate": given.rate, "decisions": given.decisions, "seed": given.seed}
    return (*words, *(word for name, value in said.items() for word in (f"--{name}", str(value))))


def _number(option: str, text: object) -> float:
    try:
        number = float(str(text))
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise UsageError(f"{option} {text}: a number above 0 was expected")
    return number


def _whole(option: str, text: object, given: object = None) -> int:
    """`given` is the whole of what was said, where the number is a part of it."""
    written = str(text)
    if not (written.isascii() and written.isdigit()):
        raise UsageError(f"{option} {given or text}: a whole number was expected")
    return int(written)


def _in_gaps(text: str) -> Iterator[tuple[str, int]]:
    """A number for each hop that has gaps, or for the one that is named."""
    hop, _, number = text.rpartition("=")
    if hop and hop not in _WITH_GAPS:
        raise UsageError(f"--max-in-gap {text}: {hop!r} has no gaps; give {' or '.join(map(repr, _WITH_GAPS))}")
    most = _whole("--max-in-gap", number, text)
    return ((each, most) for each in ((hop,) if hop else _WITH_GAPS))


def _writable(option: str, text: str | None) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{option} {text}: it cannot be written: its folder does not exist, or it is one")
    return path
