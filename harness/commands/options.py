"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from pathlib import Path

FORMATS = ("json", "junit")
EXIT_CODES = """exit codes:
  0  every `must` in reach is kept
  1  a `must` is broken
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
        help=f"also write a report ({', '.join(FORMATS)}); may be given several times",
    )


def judging_options(parser: argparse.ArgumentParser) -> None:
    report_option(parser)
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
        raise argparse.ArgumentTypeError(f"{text!r} was found, FORMAT=FILE with {' or '.join(FORMATS)} was expected")
    return kind, writable(path)


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
