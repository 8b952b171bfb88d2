"""What the commands that judge have in common: the agreement, what has to be proven, and how a report is shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.agreement import Agreement
    from harness.expect import JudgedScenario
    from harness.history import History
    from harness.report import Report


def load_agreement(arguments: argparse.Namespace) -> Agreement:
    from harness.agreement import load
    from harness.schema import compile_schemas

    agreement: Agreement = load(arguments.contracts)
    compile_schemas(agreement)  # a schema that is none is found before anything is driven
    return agreement


def must_differ(arguments: argparse.Namespace) -> None:
    files = [path.resolve() for _, path in arguments.report]
    files += [path.resolve() for path in (getattr(arguments, "history", None),) if path is not None]
    for path in files:
        if files.count(path) > 1:
            raise UsageError(f"{path} is to be written twice; give each report and the history a file of its own")


def required_clauses(arguments: argparse.Namespace, agreement: Agreement) -> frozenset[str]:
    from harness.agreement import no_such_clause

    asked = {name for names in arguments.require for name in names.split(",")}
    if "all" in asked:
        return frozenset(agreement.clauses)
    for name in sorted(asked - set(agreement.clauses)):
        raise UsageError(f"--require {name}: {no_such_clause(agreement, name)}")
    return frozenset(asked)


def judged(
    agreement: Agreement,
    histories: Sequence[History],
    scenarios: Sequence[JudgedScenario],
    required: frozenset[str],
) -> Report:
    """Histories of scenarios alone need not prove every clause."""
    from harness.checks import judge
    from harness.report import Report
    from harness.verdict import exit_code, merged

    verdicts = merged(judge(agreement, history) for history in histories)
    complete = all(history.complete for history in histories)
    whole = len(histories) > len(scenarios)
    code = exit_code(verdicts, required, scenarios=[each.outcome for each in scenarios], whole=whole)
    code = code if complete else HarnessError.exit_code
    return Report(histories[0].run, verdicts, code, complete, tuple(scenarios))


def present(arguments: argparse.Namespace, report: Report) -> int:
    from harness.report import terminal
    from harness.report.replay import failing

    console = terminal.console()
    terminal.show(console, terminal.verdicts(report, console.width))
    for judged in report.scenarios:
        if judged.outcome != "kept":
            terminal.show(console, failing(judged, ()))
    terminal.show(console, terminal.summary(report), on_one_line=True)
    write(arguments, report)
    return report.exit_code


def write(arguments: argparse.Namespace, report: Report) -> None:
    from harness.report import WRITERS

    for kind, path in arguments.report:
        path.write_text(WRITERS[kind](report), encoding="utf-8")


def header(run: Mapping[str, Any]) -> None:
    from harness.report import terminal

    terminal.show(terminal.console(), terminal.header(run))
    sys.stdout.flush()


def opened(path: Path | None) -> AbstractContextManager[IO[str] | None]:
    if path is None:
        return nullcontext()
    return path.open("w", encoding="utf-8")
