"""The options of a load run beside locust's own, and what they mean. They travel from master to workers as text."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from harness.errors import UsageError
from harness.live.address import must_be_url, shown
from harness.live.aura import DIRECT, AuraTarget, tenant_of
from harness.live.synapse import SynapseTarget
from harness.load.run import Target
from harness.load.thresholds import LeastRate, MostP95, Threshold
from harness.load.traffic import Ratio

_SECRET: Final = ("secret", "token", "redis_url")
RATE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    """`rate` is how many messages a second a user sends, None for as many as it can."""

    ratio: Ratio
    rate: float | None
    thresholds: tuple[Threshold, ...]
    most_lost: int
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
        ("--max-p95", {"action": "append", "default": [], "help": '"HOP=TIME", as "Redis delivery=50ms"'}),
        ("--min-rate", {"action": "append", "default": [], "help": "accepted messages a second, or HOP=N"}),
        ("--max-lost", {"default": "0", "help": "so many may be lost outside of gaps (0)"}),
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
        most_lost=_whole("--max-lost", given.max_lost),
        seed=_whole("--seed", given.seed),
        ledger=_writable("--ledger", given.ledger),
        history=_writable("--history", given.history),
    )


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


def _whole(option: str, text: object) -> int:
    written = str(text)
    if not (written.isascii() and written.isdigit()):
        raise UsageError(f"{option} {text}: a whole number was expected")
    return int(written)


def _writable(option: str, text: str | None) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{option} {text}: it cannot be written: its folder does not exist, or it is one")
    return path
