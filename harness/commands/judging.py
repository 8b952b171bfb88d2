"""What the commands that judge have in common: the agreement, what has to be proven, and how a report is shown."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.commands.options import STANDARD_OUTPUT
from harness.errors import HarnessError, UsageError
from harness.history import LEFT_ALONE

if TYPE_CHECKING:
    from harness.agreement import Agreement
    from harness.expect import JudgedScenario
    from harness.history import History
    from harness.report import Report
    from harness.verdict import Outcome, Verdict
    from harness.waivers import Waiver


def load_agreement(arguments: argparse.Namespace) -> Agreement:
    from harness.agreement import load
    from harness.schema import compile_schemas

    agreement: Agreement = load(arguments.contracts)
    compile_schemas(agreement)  # a schema that is none is found before anything is driven
    return agreement


def must_differ(arguments: argparse.Namespace) -> None:
    files = [path.resolve() for _, path in getattr(arguments, "report", ())]
    others = (getattr(arguments, name, None) for name in ("history", "timeline_to", "matrix", "json"))
    files += [path.resolve() for path in others if path is not None]
    for path in files:
        if files.count(path) > 1:
            shown = "standard output" if path == STANDARD_OUTPUT.resolve() else path
            raise UsageError(f"{shown} is to be written twice; give every report and history its own file")


def loaded_waivers(arguments: argparse.Namespace, agreement: Agreement) -> tuple[Waiver, ...]:
    """Of the file that was named, else of the one in the current directory, if there is one."""
    from harness import waivers

    path = arguments.waivers or Path(waivers.FILE)
    if arguments.waivers is None and not path.is_file():
        return ()
    return waivers.load(path, {clause.id: clause.seat for clause in agreement.clauses.values()})


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
    waivers: Sequence[Waiver] = (),
    *,
    interrupted: bool = False,
) -> Report:
    """Histories of scenarios alone need not prove every clause, nor those of a load."""
    from harness.checks import judge
    from harness.verdict import merged

    return reported(
        histories,
        merged(judge(agreement, history) for history in histories),
        scenarios,
        [each.outcome for each in scenarios],
        required=required,
        waivers=waivers,
        whole=sum("load" not in history.run for history in histories) > len(scenarios),
        today=today(),
        interrupted=interrupted,
    )


def reported(
    histories: Sequence[History],
    verdicts: Sequence[Verdict],
    scenarios: Sequence[JudgedScenario],
    outcomes: Sequence[Outcome],
    *,
    today: date,
    required: frozenset[str] = frozenset(),
    waivers: Sequence[Waiver] = (),
    whole: bool = True,
    differing: Sequence[str] = (),
    interrupted: bool = False,
) -> Report:
    """What verdicts and the outcomes of scenarios mean, once the waivers are applied.

    `differing` are scenarios that could not be repeated: without anything broken, that is a run that could not work.
    `interrupted` is one of which scenarios are missing, whatever became of the others.
    """
    from harness.report import Report
    from harness.verdict import exit_code
    from harness.waivers import apply

    complete = not interrupted and all(history.complete for history in histories)
    # A part of a run may keep what the whole breaks.
    waived = apply(waivers, verdicts, today, complete=complete and whole)
    code = exit_code(verdicts, required, scenarios=outcomes, whole=whole, waived=waived.clauses)
    if waived.faults:
        code = 1
    if not complete or (differing and code != 1):
        code = HarnessError.exit_code
    return Report(
        run=histories[0].run,
        verdicts=tuple(verdicts),
        exit_code=code,
        complete=complete,
        why=next((history.why for history in histories if history.why), ""),
        scenarios=tuple(scenarios),
        required=required,
        whole=whole,
        waived=waived.clauses,
        faults=waived.faults,
        differing=tuple(differing),
        foreign=left_alone(histories),
        began=histories[0][0].moment,
        ended=max(history[-1].moment for history in histories),
    )


def left_alone(histories: Sequence[History]) -> Mapping[str, int]:
    """How many messages and notifications of others were seen beside live systems, and judged by nobody."""
    counted: Counter[str] = Counter()
    for history in histories:
        for event in history.of("step"):
            if event.data.get("do") == LEFT_ALONE:
                counted.update({name: number for name, number in event.data.items() if name != "do"})
    return counted


def today() -> date:
    """Of the whole world: a waiver does not end earlier on one machine than on another."""
    return datetime.now(UTC).date()


def present(arguments: argparse.Namespace, report: Report) -> int:
    from harness.report import terminal
    from harness.report.replay import failing

    console = terminal.console()
    with unheeded(arguments):
        terminal.show(console, terminal.verdicts(report, console.width))
        for judged in report.scenarios:
            if judged.outcome != "kept":
                terminal.show(console, failing(judged, ()))
        if report.faults:
            terminal.show(console, terminal.faults(report), on_one_line=True)
        terminal.show(console, terminal.left_alone(report), on_one_line=True)
        terminal.show(console, terminal.summary(report), on_one_line=True)
    write(arguments, report)
    return report.exit_code


@contextmanager
def unheeded(arguments: argparse.Namespace) -> Iterator[None]:
    """Where GitHub reads standard output, it takes no command from the text of a message that is shown to people."""
    if ("github", STANDARD_OUTPUT) not in arguments.report:
        yield
        return
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        print(f"::{token}::", flush=True)


def write(arguments: argparse.Namespace, report: Report) -> None:
    from harness import report as writers

    for kind, path in arguments.report:
        text = writers.write(kind, report)
        if path == STANDARD_OUTPUT:
            sys.stdout.write(text)
        else:
            path.write_text(text, encoding="utf-8")


def header(run: Mapping[str, Any]) -> None:
    from harness.report import terminal

    terminal.show(terminal.console(), terminal.header(run))
    sys.stdout.flush()


def opened(path: Path | None) -> AbstractContextManager[IO[str] | None]:
    if path is None:
        return nullcontext()
    return path.open("w", encoding="utf-8")
