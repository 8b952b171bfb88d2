"""`aura-harness drift`: let the simulated seats deviate, one way at a time, and see whether the checks notice."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands.judging import load_agreement, must_differ
from harness.commands.options import command_parser, positive, writable
from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.agreement import Agreement
    from harness.drift.deviation import Deviation
    from harness.drift.matrix import Matrix
    from harness.drift.run import Seen, Task

SEATS = ("aura", "synapse", "workbench")
PICTURES = (".html", ".svg")
EXIT_CODES = """exit codes:
  0  every deviation is caught, and nothing else is told of
  1  a deviation survives, breaks a clause of another seat, or one of its own that it has nothing to do with;
     with --steady: something is broken or unproven, or a scenario is not kept
  2  wrong usage, or the agreement does not load
  4  it could not work: an interruption, a crash of the harness
"""


def add(commands: object) -> None:
    drift = command_parser(
        commands, "drift", "prove that every check can fail, by systems that deviate", run, EXIT_CODES
    )
    drift.add_argument("--only", action="append", default=[], metavar="ID", help="this deviation; may be given often")
    drift.add_argument(
        "--seat", action="append", default=[], choices=SEATS, help="the deviations of this seat; may be given often"
    )
    drift.add_argument("--list", action="store_true", help="tell the deviations and what each must break, and end")
    drift.add_argument("--matrix", type=_picture, metavar="FILE", help="draw deviations against clauses (.html, .svg)")
    drift.add_argument("--json", type=writable, metavar="FILE", help="all that was found, for programs")
    drift.add_argument(
        "--jobs", type=positive, default=os.cpu_count() or 1, metavar="N", help="runs at the same time (one per core)"
    )
    drift.add_argument("--seed", type=int, default=1, metavar="N", help="the runs repeat with the same seed (1)")
    drift.add_argument(
        "--steady",
        type=positive,
        metavar="N",
        help="instead, N runs without any deviation, with as many seeds: nothing may be broken or unproven, and every "
        "scenario is kept",
    )


def run(arguments: argparse.Namespace) -> int:
    from harness.drift.catalogue import chosen

    agreement = load_agreement(arguments)
    _must_fit(arguments)
    if arguments.steady:
        return _steady(arguments)
    deviations = chosen(arguments.only, arguments.seat)
    if not deviations:
        raise UsageError(f"no deviation of {' or '.join(arguments.seat)} is among {', '.join(arguments.only)}")
    return _list(deviations) if arguments.list else _tried(arguments, agreement, deviations)


def _must_fit(arguments: argparse.Namespace) -> None:
    if arguments.steady and (arguments.only or arguments.seat or arguments.matrix or arguments.json or arguments.list):
        raise UsageError("--steady runs without deviations; leave out --only, --seat, --list, --matrix and --json")
    if arguments.list and (arguments.matrix or arguments.json):
        raise UsageError("--list runs nothing that --matrix and --json could write; leave them out")
    must_differ(arguments)


def _tried(arguments: argparse.Namespace, agreement: Agreement, deviations: Sequence[Deviation]) -> int:
    from harness.drift.catalogue import CATALOGUE
    from harness.drift.matrix import matrix, must_know
    from harness.drift.run import Task

    must_know(agreement.clauses, deviations)
    files = [path for path in (arguments.matrix, arguments.json) if path is not None]
    for path in files:
        _must_open(path)
    tasks = [Task(each.id, arguments.seed) for each in deviations]
    seen, interrupted = _seen(arguments, "deviations", tasks)
    whole = len(seen) == len(CATALOGUE) and not any(each.crash for each in seen)
    found = matrix(agreement.clauses, list(zip(deviations, seen, strict=not interrupted)), whole=whole)
    if seen:
        _present(found)
    if interrupted:
        unwritten = "".join(f"; {path} is not written" for path in files)
        told = f"interrupted; {len(seen)} of {len(tasks)} deviations were run{unwritten}"
        print(f"aura-harness: {told}", file=sys.stderr)
        return HarnessError.exit_code
    _write(arguments, found)
    return found.exit_code


def _must_open(path: Path) -> None:
    """A file that cannot be written is found before the runs. What is in it stays until they are done."""
    there = path.exists()
    path.open("a").close()
    if not there:
        path.unlink()


def _list(deviations: Sequence[Deviation]) -> int:
    from rich.table import Table
    from rich.text import Text

    from harness.report import terminal

    table = Table.grid(padding=(0, 2))
    for each in deviations:
        table.add_row(Text(each.id), Text(each.confession), Text(", ".join(sorted(each.breaks)), "dim"))
    console = terminal.console()
    terminal.show(console, table)
    return 0


def _seen(arguments: argparse.Namespace, what: str, tasks: Sequence[Task]) -> tuple[list[Seen], bool]:
    """What came of the tasks, and whether that are not all of them."""
    from harness.drift.run import run_all
    from harness.report import terminal
    from harness.report.progress import Progress

    seen: list[Seen] = []
    with Progress(terminal.console(sys.stderr)) as progress:
        progress(what, 0, len(tasks))
        try:
            for each in run_all(arguments.contracts, tasks, arguments.jobs):
                seen.append(each)
                progress(what, len(seen), len(tasks))
        except KeyboardInterrupt:
            return seen, True
    return seen, False


def _present(found: Matrix) -> None:
    from harness.report import matrix as report
    from harness.report import terminal

    console = terminal.console()
    terminal.show(console, report.listed(found, console.width))
    terminal.show(console, report.summary(found), on_one_line=True)


def _write(arguments: argparse.Namespace, found: Matrix) -> None:
    from harness.report import matrix as report

    if arguments.matrix:
        draw: Callable[[Matrix], str] = report.picture if arguments.matrix.suffix == ".svg" else report.page
        arguments.matrix.write_text(draw(found), encoding="utf-8")
    if arguments.json:
        arguments.json.write_text(json.dumps(found.as_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _steady(arguments: argparse.Namespace) -> int:
    from harness.drift.run import Task
    from harness.report import terminal

    tasks = [Task("", arguments.seed + index) for index in range(arguments.steady)]
    seen, interrupted = _seen(arguments, "seeds", tasks)
    wrong = [line for each in seen for line in _alarms(each)]
    for line in wrong:
        terminal.show(terminal.console(), line, on_one_line=True)
    last = arguments.seed + len(seen) - 1
    seeds = f"seeds {arguments.seed} to {last}" if len(seen) > 1 else f"seed {arguments.seed}" if seen else "no seed"
    alarms = "1 false alarm" if len(wrong) == 1 else f"{len(wrong)} false alarms"
    told = alarms if wrong else "nothing broken, nothing in reach unproven, every scenario kept"
    print(f"{len(seen)} of {len(tasks)} runs without deviation ({seeds}): {told}")
    return HarnessError.exit_code if interrupted else 1 if wrong else 0


def _alarms(seen: Seen) -> Iterator[str]:
    if seen.crash:
        yield f"seed {seen.task.seed}  crashed  {seen.crash}"
    for outcome, found in (("broken", seen.broken), ("unproven", seen.unproven), ("not kept", seen.stories)):
        for what, why in found.items():
            yield f"seed {seen.task.seed}  {outcome}  {what}  {why}"


def _picture(text: str) -> Path:
    path = writable(text)
    if path.suffix not in PICTURES:
        raise argparse.ArgumentTypeError(
            f"{text!r} was found, a file that ends with {' or '.join(PICTURES)} was expected"
        )
    return path
