"""A watch for people: one screen that is drawn again and again, or a line for each thing that happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.report import printable
from harness.report.terminal import STYLES
from harness.verdict import Told, Verdict

BYTES = 320
"""Characters of a message that a finding shows."""


@dataclass(frozen=True, slots=True)
class Screen:
    """What is on it. `rates` are messages a second of late."""

    redis: str
    seconds: float
    until: float | None
    channels: Mapping[str, int]
    rates: Mapping[str, float]
    verdicts: Sequence[Verdict]
    latest: Sequence[Told]
    notes: Sequence[str]
    lag: float
    connected: bool


def screen(shown: Screen) -> RenderableType:
    in_reach = [verdict for verdict in shown.verdicts if verdict.in_reach]
    beyond = len(shown.verdicts) - len(in_reach)
    parts: list[RenderableType] = [
        _head(shown),
        Text(),
        _channels(shown),
        Text(),
        _clauses(in_reach),
        Text(f"  {beyond} clauses are out of reach: one message alone does not show them", "dim"),
        Text(),
    ]
    parts += [Text(printable(note), STYLES["unproven"]) for note in list(shown.notes)[-3:]]
    parts += [finding(told) for told in reversed(shown.latest)]
    return Group(*parts)


def _head(shown: Screen) -> Text:
    state = ("connected", "green") if shown.connected else ("no connection", STYLES["broken"])
    until = "" if shown.until is None else f" of {shown.until:.0f} s"
    behind = f"  {shown.lag:.1f} s behind" if shown.lag >= 1 else ""
    return Text.assemble(
        ("watching ", "bold"),
        printable(shown.redis),
        f"  {shown.seconds:.0f} s{until}  ",
        state,
        (behind, STYLES["broken"]),
        ("  Ctrl-C ends it with verdicts", "dim"),
    )


def _channels(shown: Screen) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=28, overflow="fold")
    table.add_column(justify="right", min_width=12)
    table.add_column(justify="right", min_width=12)
    for channel, number in shown.channels.items():
        table.add_row(Text(printable(channel)), f"{number:,}", f"{shown.rates.get(channel, 0):,.0f}/s")
    if not shown.channels:
        table.add_row(Text("no message so far", "dim"))
    return Padding(table, (0, 0, 0, 2))


def _clauses(verdicts: Sequence[Verdict]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=8)
    table.add_column(min_width=6, style="dim")
    table.add_column(min_width=26)
    table.add_column(justify="right", min_width=12)
    table.add_column(justify="right")
    for verdict in verdicts:
        broken = sum(found.times for found in verdict.findings)
        times = Text(f"{broken:,} broken" if broken else "", STYLES["broken"])
        outcome = Text(verdict.outcome, STYLES[verdict.outcome])
        table.add_row(outcome, verdict.level, Text(verdict.clause), f"{verdict.exercised:,}", times)
    return Padding(table, (0, 0, 0, 2))


def finding(told: Told) -> Text:
    """What was expected and seen, and the message as it was."""
    found = told.finding
    wire = printable(found.evidence.partition("\n")[2]).replace("\n", "\\n").replace("\t", "\\t")
    wire = wire if len(wire) <= BYTES else f"{wire[:BYTES]}… ({len(wire)} characters)"
    return Text.assemble(
        _at(told.at),
        (f"{found.clause} broken", STYLES["broken"]),
        f" on {printable(told.channel)}: expected {printable(found.expected)}; seen {printable(found.seen)}\n",
        (f"{'':12}{wire}", "dim"),
    )


def note(at: float, text: str) -> Text:
    return Text.assemble(_at(at), (printable(text), STYLES["unproven"]))


def rates(at: float, channels: Mapping[str, int], late: Mapping[str, float], broken: int) -> Text:
    """How it stands, in a line."""
    told = ", ".join(f"{printable(name)} {number:,} ({late.get(name, 0):,.0f}/s)" for name, number in channels.items())
    return Text.assemble(_at(at), f"{told or 'no message so far'}; {broken:,} finding{'' if broken == 1 else 's'}")


def _at(at: float) -> str:
    return f"{at:9.3f} s "
