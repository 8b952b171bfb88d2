"""A replay for people: a line for each scenario, and for one that went wrong its steps and where the story stopped."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.expect import Judged, JudgedScenario
from harness.history import Event
from harness.report import printable
from harness.report.terminal import STYLES
from harness.verdict import Verdict

NAME_WIDTH = 28
SHOWN = 160


def line(name: str, outcome: str, *, virtual: float | None, seconds: float) -> Text:
    """The outcome of one scenario, and how long it took."""
    passed = f"{virtual:.2f} s virtual, " if virtual is not None else ""
    return Text.assemble((f"{outcome:<9}", STYLES[outcome]), f"{name:<{NAME_WIDTH}} {passed}{seconds:.2f} s")


def failing(judged: JudgedScenario, verdicts: Sequence[Verdict]) -> RenderableType:
    """The steps with the broken ones marked, what was seen instead, the hop, and the events around it."""
    scenario = judged.scenario
    wrong = judged.wrong
    parts: list[RenderableType] = [Text(f"{scenario.name}: {printable(scenario.title)}", "bold")]
    for step in scenario.steps:
        marked = any(part.where in wrong for part in step.expectations)
        for number, text in enumerate(step.lines, step.line):
            style = STYLES["broken"] if marked else "dim"
            parts.append(Text(f"{'>' if marked else ' '} {number:>3} | {printable(text)}", style))
        parts += [Padding(_told(wrong[part.where]), (0, 0, 0, 8)) for part in step.expectations if part.where in wrong]
    for verdict in verdicts:
        for finding in verdict.findings[:1]:
            text = f"{verdict.clause} ({verdict.level}) broken by {verdict.seat}: {finding.expected}; {finding.seen}"
            parts.append(Text(printable(text), STYLES["broken"] if verdict.level == "must" else STYLES["unproven"]))
    return Group(*parts, Text())


def _told(judged: Judged) -> RenderableType:
    by = f" ({judged.seat})" if judged.seat else ""
    lines = [Text(f"{judged.outcome}: {printable(judged.expected)}", STYLES[judged.outcome])]
    if judged.seen:
        lines.append(Text(f"seen: {printable(judged.seen)}"))
    if judged.hop:
        lines.append(Text(f"the story stopped at: {judged.hop}{by}"))
    lines += [Text(f"  {_event(event)}", "dim") for event in judged.around]
    return Group(*lines)


def _event(event: Event) -> str:
    told = ", ".join(f"{name} {value}" for name, value in event.about.items())
    data = {name: value for name, value in event.data.items() if name in ("do", "channel", "status", "path", "viewer")}
    shown = printable(f"{event.at:9.3f} s  {event.kind} {event.seat or ''} {told} {data or ''}")
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
