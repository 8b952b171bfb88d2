"""The command `aura-harness`. Only argparse is imported at the top: `--help` answers at once."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.commands import OWN_REDIS, run_check, run_gate, run_lint, run_replay
from harness.errors import HarnessError

FORMATS = ("json", "junit")
LINT_EXIT_CODES = """exit codes:
  0  the agreement is consistent
  1  it is not
  2  wrong usage
  4  it could not work
"""
REPLAY_EXIT_CODES = """exit codes:
  0  every expectation, and every `must`, is kept; with --from, every message was published
  1  one is broken
  2  wrong usage, or a scenario or a history does not load, or Aura published nothing in it
  3  none is broken, but an expectation could not be proven; with --from, nobody received any message
  4  it could not work, or was interrupted
"""
EXIT_CODES = """exit codes:
  0  every `must` in reach is kept
  1  a `must` is broken
  2  wrong usage, or the agreement does not load
  3  no `must` is broken, but one in reach is unproven
  4  it could not work: Redis out of reach, an interruption, a crash of the harness
"""


def main(argv: Sequence[str] | None = None) -> int:
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    arguments = _parser().parse_args(argv)
    for name in ("harness", "hitl_feedback"):  # what the simulated seats log is in the history
        logging.getLogger(name).addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # Korean in a terminal of another encoding is escaped, not fatal
            stream.reconfigure(errors="backslashreplace")
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except HarnessError as error:
        print(f"aura-harness: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return HarnessError.exit_code
    except OSError as error:
        print(f"aura-harness: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return HarnessError.exit_code
    except KeyboardInterrupt:
        print("aura-harness: interrupted", file=sys.stderr)
        return HarnessError.exit_code
    except Exception:
        import traceback

        traceback.print_exc()
        print("aura-harness: this is a fault of the harness; please report it with the lines above", file=sys.stderr)
        return HarnessError.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aura-harness",
        description="Hold Aura and Synapse to what they agreed, and say which promise was kept, broken or unproven.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"aura-harness {_version()}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    gate = _command_parser(commands, "gate", "drive the seats and judge what was seen", run_gate)
    gate.add_argument(
        "--redis",
        metavar="URL",
        default=os.environ.get("HARNESS_REDIS_URL") or None,
        help="a real Redis (redis://, rediss://, unix://); embedded without it (HARNESS_REDIS_URL)",
    )
    gate.add_argument("--seed", type=int, default=1, metavar="N", help="the run repeats with the same seed (1)")
    gate.add_argument(
        "--examples", type=_positive, default=200, metavar="N", help="generated inputs of each kind (200)"
    )
    gate.add_argument("--history", type=_writable, metavar="FILE", help="keep what was observed, as JSON lines")
    _judging_options(gate)

    purpose = "play scenarios through all three systems"
    replay = _command_parser(commands, "replay", purpose, run_replay, REPLAY_EXIT_CODES)
    replay.set_defaults(parser=replay)
    replay.add_argument("scenarios", nargs="*", metavar="NAME|FILE", help="which ones; all without any")
    replay.add_argument("--list", action="store_true", help="name the scenarios, and play none")
    replay.add_argument(
        "--redis",
        metavar="URL",
        default=os.environ.get("HARNESS_REDIS_URL") or None,
        help=f"a real Redis, in wall time, or `{OWN_REDIS}` to start one for the run; embedded and in virtual time "
        "without it (HARNESS_REDIS_URL)",
    )
    replay.add_argument("--timeout", type=_seconds, default=2.0, metavar="S", help="Aura's, on a real Redis (2)")
    replay.add_argument("--seed", type=int, default=1, metavar="N", help="the order of what happens at once (1)")
    replay.add_argument("--repeat", type=_positive, default=1, metavar="N", help="play them so often")
    replay.add_argument("--history", type=_folder, metavar="DIR", help="keep what was observed, a file for each")
    replay.add_argument("--timeline", action="store_true", help="draw each run as a sequence diagram")
    replay.add_argument(
        "--timeline-to", type=_writable, metavar="FILE.html", help="the same as a picture, of the first scenario"
    )

    replay.add_argument(
        "--from",
        dest="recorded",
        type=Path,
        metavar="HISTORY.jsonl",
        help="play nothing: publish on --redis again what Aura published there, byte for byte",
    )
    replay.add_argument("--speed", type=_speed, metavar="N|max", help="with --from: so many times faster (1)")
    _report_option(replay)

    check = _command_parser(commands, "check", "judge a recorded history again", run_check)
    check.add_argument("recorded", type=Path, metavar="HISTORY.jsonl", help="what `gate --history` wrote")
    _judging_options(check)

    _command_parser(commands, "lint", "prove that the agreement is consistent", run_lint, LINT_EXIT_CODES)
    return parser


def _command_parser(
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


def _report_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report",
        type=_report,
        action="append",
        default=[],
        metavar="FORMAT=FILE",
        help=f"also write a report ({', '.join(FORMATS)}); may be given several times",
    )


def _judging_options(parser: argparse.ArgumentParser) -> None:
    _report_option(parser)
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="ID,…|all",
        help="these clauses must be proven, whatever their level and reach",
    )


def _report(text: str) -> tuple[str, Path]:
    kind, _, path = text.partition("=")
    if kind not in FORMATS or not path:
        raise argparse.ArgumentTypeError(f"{text!r} was found, FORMAT=FILE with {' or '.join(FORMATS)} was expected")
    return kind, _writable(path)


def _writable(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: its folder does not exist, or it is one")
    return path


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder that exists")
    return path


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} was found, a number of seconds above 0 was expected")
    return seconds


def _speed(text: str) -> float:
    if text == "max":
        return float("inf")
    try:
        return _seconds(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} was found, a number above 0 or `max` was expected") from None


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} was found, a whole number above 0 was expected")
    return number


def _version() -> str:
    from harness import __version__

    return __version__


if __name__ == "__main__":
    sys.exit(main())
