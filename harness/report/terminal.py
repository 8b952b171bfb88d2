"""The report that people read first: what ran, what was kept, what was broken and how to see it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.report import Report, conclusion, cut, how, printable, tally, without_userinfo
from harness.report import left_alone as of_others
from harness.verdict import Finding, Verdict, grouped
from harness.verdict import Group as Findings

STYLES = {"kept": "green", "broken": "bold red", "waived": "magenta", "unproven": "yellow"}
PIPE_WIDTH = 110
NARROW = 80
SHOWN = 600
EXAMPLES = 3


def console(file: IO[str] | None = None) -> Console:
    """Colour where the terminal has it and NO_COLOR is not set; a fixed width where there is no terminal."""
    found = Console(file=file, highlight=False, emoji=False, markup=False)
    if not found.is_terminal:
        found.width = PIPE_WIDTH
    return found


def show(console: Console, shown: RenderableType, *, on_one_line: bool = False) -> None:
    """Print; into a pipe or a file without the blanks that fill up a table's lines."""
    if console.is_terminal:
        console.print(shown, soft_wrap=on_one_line)
        return
    with console.capture() as capture:
        console.print(shown, soft_wrap=on_one_line)
    console.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def header(run: Mapping[str, Any]) -> RenderableType:
    """Versions, seats and how each is there, Redis and seed: known before the run begins to work."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=9)
    table.add_column()
    table.add_row("harness", f"{run['harness']}, agreement {run['agreement']}")
    for seat, where in run["seats"].items():
        table.add_row(seat, how(without_userinfo(where)))
    table.add_row("redis", printable(without_userinfo(str(run["redis"]))))
    table.add_row("seed", str(run["seed"]))
    if "leaves" in run:  # on live systems; said before anything is sent
        table.add_row("leaves", f"{run['leaves']}; ids begin with {run['ids']}")
    return Group(table, Text())


def verdicts(report: Report, width: int) -> RenderableType:
    """Clauses by keeper, then the findings."""
    parts: list[RenderableType] = []
    for seat in report.seats:
        kept = [verdict for verdict in report.verdicts if verdict.seat == seat]
        parts += [Text.assemble((seat, "bold"), f"  {tally(report, seat)}"), _clauses(report, kept, width), Text()]
    return Group(*parts, findings(report))


def findings(report: Report) -> RenderableType:
    """Each way in which a clause was broken, once."""
    parts: list[RenderableType] = []
    for verdict in report.verdicts:
        for group in grouped(verdict.findings):
            parts += [_finding(report, verdict, group), Text()]
    return Group(*parts)


def waivers(report: Report) -> RenderableType:
    """What is waived, and the waivers that fail the run."""
    told = [
        Text.assemble(("waived   ", STYLES["waived"]), f"{verdict.clause}: {report.waiver(verdict)}")
        for verdict in report.of("waived")
    ]
    return Group(*told, faults(report))


def faults(report: Report) -> RenderableType:
    """The waivers that fail the run, each with its place."""
    return Group(*(Text(printable(str(fault)), STYLES["broken"]) for fault in report.faults))


def left_alone(report: Report) -> RenderableType:
    """Beside live systems, what others published meanwhile."""
    told = of_others(report)
    return Text(f"{told} of others were left alone", "dim") if told else Group()


def summary(report: Report) -> Text:
    """How many clauses are kept, broken and unproven, and what that means."""
    style = {0: "bold green", 1: "bold red"}.get(report.exit_code, "bold yellow")
    return Text.assemble((tally(report), style), f": {conclusion(report)}")


def _clauses(report: Report, verdicts: list[Verdict], width: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=8, no_wrap=True)
    table.add_column(min_width=6, no_wrap=True)
    table.add_column(no_wrap=width >= NARROW, overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    if width >= NARROW:
        table.add_column(style="dim")
    for verdict in verdicts:
        status = report.status(verdict)
        row = [
            Text(status, STYLES[status]),
            Text(verdict.level, "dim"),
            Text(verdict.clause),
            Text(str(verdict.exercised) if verdict.exercised else ""),
        ]
        said = verdict.reason if verdict.outcome == "unproven" else verdict.promise
        if width >= NARROW:
            table.add_row(*row, Text(printable(said)))
        elif verdict.outcome == "unproven":
            table.add_row(*row[:2], Text(f"{verdict.clause} ({printable(said)})"), row[3])
        else:
            table.add_row(*row)
    return Padding(table, (0, 0, 0, 2))


def _finding(report: Report, verdict: Verdict, group: Findings) -> RenderableType:
    number, finding = group.times, group.first
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=9, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("promise", Text(verdict.promise))
    table.add_row("written", Text(f"{', '.join(verdict.sources)}  ({verdict.where})"))
    times = f", {number} times" if number > 1 else ""
    table.add_row("broken by", Text(f"{verdict.seat} ({report.how(verdict.seat)}){times}"))
    if verdict.clause in report.waived:
        table.add_row("waived", Text(report.waiver(verdict), STYLES["waived"]))
    table.add_row("expected", Text(printable(finding.expected)))
    for shown in group.findings[:EXAMPLES]:
        table.add_row("seen", Text(printable(_seen(shown))))
    if number > EXAMPLES:
        where = "; --report json=FILE has them all" if number == len(group.findings) else ", which were only counted"
        table.add_row("", Text(f"and {number - EXAMPLES} more{where}", "dim"))
    if finding.pointer:
        table.add_row("pointer", Text(printable(finding.pointer)))
    if finding.evidence:
        table.add_row("wire", Text(_cut(printable(finding.evidence))))
    for command in (*finding.reproduce, report.command):
        table.add_row("reproduce", Text(_cut(printable(command))))
    title = Text.assemble((f"{verdict.clause} ", STYLES[report.status(verdict)]), (verdict.level, "dim"))
    return Group(title, Padding(table, (0, 0, 0, 2)))


def _seen(finding: Finding) -> str:
    events = ", ".join(map(str, sorted(finding.events)))
    return f"{_cut(finding.seen)}  [event {events}]" if events else _cut(finding.seen)


def _cut(text: str) -> str:
    return cut(text, SHOWN)
