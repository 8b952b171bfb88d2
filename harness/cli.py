"""The command `aura-harness`. Only argparse is imported at the top: `--help` answers at once."""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.agreement import Agreement
    from harness.history import History
    from harness.report import Report

FORMATS = ("json", "junit")
LINT_EXIT_CODES = """exit codes:
  0  the agreement is consistent
  1  it is not
  2  wrong usage
  4  it could not work
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


def _gate(arguments: argparse.Namespace) -> int:
    from harness import gate
    from harness.report import terminal
    from harness.report.progress import Progress

    agreement = _agreement(arguments)
    required = _required(arguments, agreement)
    _must_differ(arguments)
    options = gate.Options(
        redis_url=arguments.redis, seed=arguments.seed, examples=arguments.examples, command=_command(arguments)
    )
    settings = gate.Settings.from_environment(os.environ)
    with (
        _opened(arguments.history) as out,
        Progress(terminal.console(sys.stderr)) as progress,
        asyncio.Runner() as runner,
    ):
        history = runner.run(gate.run(agreement, options, settings, out=out, began=_header, progress=progress))
    return _present(arguments, _judged(agreement, history, required))


def _check(arguments: argparse.Namespace) -> int:
    from harness.history import load

    agreement = _agreement(arguments)
    required = _required(arguments, agreement)
    _must_differ(arguments)
    history = load(arguments.recorded)
    _header(history.run)
    return _present(arguments, _judged(agreement, history, required))


def _lint(arguments: argparse.Namespace) -> int:
    from harness.agreement import contracts_dir, load
    from harness.checks import CHECKS
    from harness.gate import REACH, SEATS
    from harness.lint import lint

    root = arguments.contracts or contracts_dir()
    if not root.is_dir():
        raise UsageError(f"--contracts {root}: there is no such folder")
    problems = lint(root, CHECKS, seats=SEATS, reach=REACH)
    for problem in problems:
        print(f"{problem.where}: {problem.text}")
    if problems:
        print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
        return 1
    agreement = load(root)
    print(
        f"agreement {agreement.version} is consistent: {len(agreement.clauses)} clauses, {len(agreement.schemas)} "
        f"schemas, {len(agreement.mapping)} mapping rows, {len(agreement.samples)} samples"
    )
    return 0


def _agreement(arguments: argparse.Namespace) -> Agreement:
    from harness.agreement import load
    from harness.schema import compile_schemas

    agreement: Agreement = load(arguments.contracts)
    compile_schemas(agreement)  # a schema that is none is found before anything is driven
    return agreement


def _must_differ(arguments: argparse.Namespace) -> None:
    files = [path.resolve() for _, path in arguments.report]
    files += [path.resolve() for path in (getattr(arguments, "history", None),) if path is not None]
    for path in files:
        if files.count(path) > 1:
            raise UsageError(f"{path} is to be written twice; give each report and the history a file of its own")


def _required(arguments: argparse.Namespace, agreement: Agreement) -> frozenset[str]:
    import difflib

    asked = {name for names in arguments.require for name in names.split(",")}
    if "all" in asked:
        return frozenset(agreement.clauses)
    for name in sorted(asked - set(agreement.clauses)):
        close = difflib.get_close_matches(name, agreement.clauses, n=1)
        hint = f"; did you mean {close[0]}?" if close else "; `aura-harness gate` lists them all"
        raise UsageError(f"--require {name}: there is no such clause{hint}")
    return frozenset(asked)


def _judged(agreement: Agreement, history: History, required: frozenset[str]) -> Report:
    from harness.checks import judge
    from harness.report import Report
    from harness.verdict import exit_code

    verdicts = judge(agreement, history)
    code = exit_code(verdicts, required) if history.complete else HarnessError.exit_code
    return Report(history.run, verdicts, code, history.complete)


def _present(arguments: argparse.Namespace, report: Report) -> int:
    from harness.report import WRITERS, terminal

    console = terminal.console()
    terminal.show(console, terminal.verdicts(report, console.width))
    terminal.show(console, terminal.summary(report), on_one_line=True)
    for kind, path in arguments.report:
        path.write_text(WRITERS[kind](report), encoding="utf-8")
    return report.exit_code


def _header(run: Mapping[str, Any]) -> None:
    from harness.report import terminal

    terminal.show(terminal.console(), terminal.header(run))
    sys.stdout.flush()


def _opened(path: Path | None) -> AbstractContextManager[IO[str] | None]:
    if path is None:
        return nullcontext()
    return path.open("w", encoding="utf-8")


def _command(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What repeats the run, without the password of a Redis URL."""
    from harness.bus import without_password

    command = ["aura-harness", "gate", "--seed", str(arguments.seed), "--examples", str(arguments.examples)]
    if arguments.contracts:
        command += ["--contracts", str(arguments.contracts)]
    if arguments.redis:
        command += ["--redis", without_password(arguments.redis)]
    return tuple(command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aura-harness",
        description="Hold Aura and Synapse to what they agreed, and say which promise was kept, broken or unproven.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"aura-harness {_version()}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    gate = _command_parser(commands, "gate", "drive the seats and judge what was seen", _gate)
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

    check = _command_parser(commands, "check", "judge a recorded history again", _check)
    check.add_argument("recorded", type=Path, metavar="HISTORY.jsonl", help="what `gate --history` wrote")
    _judging_options(check)

    _command_parser(commands, "lint", "prove that the agreement is consistent", _lint, LINT_EXIT_CODES)
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


def _judging_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report",
        type=_report,
        action="append",
        default=[],
        metavar="FORMAT=FILE",
        help=f"also write a report ({', '.join(FORMATS)}); may be given several times",
    )
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
