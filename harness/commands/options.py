"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.report import FORMATS, ON_STANDARD_OUTPUT

STANDARD_OUTPUT = Path("-")
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


def positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} was found, a whole number above 0 was expected")
    return number
