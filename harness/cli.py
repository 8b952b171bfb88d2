"""The command `aura-harness`. Only argparse is imported at the top: `--help` answers at once."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence

from harness.commands import check, drift, gate, lint, replay, serve, watch
from harness.commands.options import EXIT_CODES
from harness.errors import HarnessError


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

    for command in (gate, replay, check, watch, serve, drift, lint):
        command.add(commands)
    return parser


def _version() -> str:
    from harness import __version__

    return __version__


if __name__ == "__main__":
    sys.exit(main())
