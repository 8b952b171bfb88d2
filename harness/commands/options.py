"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.configuration import Configuration
    from harness.redaction import Redaction

from harness.report import FORMATS, ON_STANDARD_OUTPUT

STANDARD_OUTPUT = Path("-")
_SWITCHES = ("insecure", "allow-writes", "may-cut", "redact")
EXIT_CODES = """exit codes:
  0  every `must` in reach is kept
  1  a `must` is broken and not waived, or a waiver has to go
  2  wrong usage, or the agreement does not load
  3  no `must` is broken, but one in reach is unproven
  4  it could not work: Redis out of reach, an interruption, a crash of the harness
"""


def command_parser(
    commands: object, name: str, purpose: str, run: object, codes: str = EXIT_CODES
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(  # type: ignore[attr-defined]
        name,
        help=purpose,
        description=purpose[0].upper() + purpose[1:] + ".",
        epilog=codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--contracts", type=Path, metavar="DIR", help="another agreement than the one that ships with the harness"
    )
    parser.set_defaults(run=run)
    return parser


def report_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report",
        type=report,
        action="append",
        default=[],
        metavar="FORMAT=FILE",
        help=f"also write a report ({', '.join(FORMATS)}); may be given several times; "
        f"`-` as FILE is standard output, for {' and '.join(ON_STANDARD_OUTPUT)}",
    )


def waivers_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--waivers",
        type=Path,
        metavar="FILE",
        help="broken clauses that do not fail the run until a date (waivers.yaml, if it is there)",
    )


def judging_options(parser: argparse.ArgumentParser) -> None:
    report_option(parser)
    waivers_option(parser)
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="ID,…|all",
        help="these clauses must be proven, whatever their level and reach",
    )


def report(text: str) -> tuple[str, Path]:
    kind, _, path = text.partition("=")
    if kind not in FORMATS or not path:
        wanted = f"FORMAT=FILE with one of {', '.join(FORMATS)}"
        raise argparse.ArgumentTypeError(f"{text!r} was found, {wanted} was expected")
    if path != str(STANDARD_OUTPUT):
        return kind, writable(path)
    if kind not in ON_STANDARD_OUTPUT:
        raise argparse.ArgumentTypeError(f"{text!r}: the report for people is there already; give a file")
    return kind, STANDARD_OUTPUT


def writable(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: its folder does not exist, or it is one")
    return path


def folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder that exists")
    return path


def seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} was found, a number of seconds above 0 was expected")
    return seconds


def duration(text: str) -> float:
    """Seconds of `90`, `60s`, `5m`, `2h`."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        return seconds(number) * units[unit]
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} was found, a time such as 60s, 5m or 2h was expected") from None


def positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} was found, a whole number above 0 was expected")
    return number


def live_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Which seats are live, and how they are reached; `configuration` reads them. The group that they stand in."""
    live = parser.add_argument_group(
        "live seats",
        "A seat without a URL is simulated. Everything can also stand in harness.toml or in the environment "
        "(HARNESS_REDIS_URL, HARNESS_AURA_URL, HARNESS_AURA_SECRET, HARNESS_AURA_TOKEN, HARNESS_AURA_FEEDBACK, "
        "HARNESS_SYNAPSE_URL, HARNESS_TENANT); secrets are best kept there.",
    )
    live.add_argument("--aura", metavar="URL", help="a live Aura, as http://host:9000/aura or http://gateway/api/aura")
    live.add_argument("--synapse", metavar="URL", help="a live Synapse, as http://host:8080")
    live.add_argument("--config", type=Path, metavar="FILE", help="instead of harness.toml in this folder")
    live.add_argument("--secret", metavar="TEXT", help="what Aura's tokens are signed with")
    live.add_argument("--token", metavar="TEXT", help="a ready token instead")
    live.add_argument("--tenant", metavar="ID", help="the tenant to call for (7, or that of the token)")
    live.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="sent with every call")
    live.add_argument("--patience", type=seconds, metavar="S", help="how long an answer may take (5)")
    live.add_argument("--insecure", action="store_true", help="take any TLS certificate")
    live.add_argument("--aura-feedback", type=Path, metavar="FILE", help="Aura's feedback log, if it can be read here")
    live.add_argument("--hitl-timeout", type=seconds, metavar="S", help="how long the live Aura waits for an answer")
    live.add_argument(
        "--allow-writes", action="store_true", help="leave behind on live systems what the whole run does"
    )
    live.add_argument("--redact", action="store_true", help="keep no text of people's in history and reports")
    return live


def repeating(arguments: argparse.Namespace, configured: Configuration) -> list[str]:
    """What reaches the same seats in the same way again. What may be a secret is left out, or `***` where one cannot do
    without it."""
    from harness.bus import without_password
    from harness.live.address import shown

    seats = {"aura": configured.aura, "synapse": configured.synapse}
    said: dict[str, object] = {
        "contracts": arguments.contracts,
        "config": arguments.config,
        "redis": None if configured.redis_url is None else without_password(configured.redis_url),
        **{name: None if target is None else shown(target.url) for name, target in seats.items()},
        "tenant": arguments.tenant,
        "patience": None if arguments.patience is None else f"{arguments.patience:g}",
        "hitl-timeout": None if arguments.hitl_timeout is None else f"{arguments.hitl_timeout:g}",
        "aura-feedback": arguments.aura_feedback,
    }
    words = [word for name, value in said.items() if value is not None for word in (f"--{name}", str(value))]
    for header in arguments.header:
        words += ["--header", f"{header.partition(':')[0]}:***"]
    given = vars(arguments)
    return words + [f"--{name}" for name in _SWITCHES if given.get(name.replace("-", "_"))]


def redaction(arguments: argparse.Namespace) -> Redaction | None:
    import secrets

    from harness.redaction import Redaction

    return Redaction(secrets.token_bytes(16)) if arguments.redact else None


def configuration(arguments: argparse.Namespace) -> Configuration:
    """Raises UsageError that names what to correct."""
    import os

    from harness.configuration import Asked, read

    feedback = arguments.aura_feedback
    asked = Asked(
        file=arguments.config,
        redis=arguments.redis,
        aura=arguments.aura,
        synapse=arguments.synapse,
        secret=arguments.secret,
        token=arguments.token,
        tenant=arguments.tenant,
        headers=arguments.header,
        timeout=arguments.patience,
        insecure=arguments.insecure,
        feedback=None if feedback is None else str(feedback),
        hitl_timeout=arguments.hitl_timeout,
    )
    return read(asked, os.environ)
