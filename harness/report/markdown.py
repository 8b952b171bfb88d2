"""A job summary in GitHub's Markdown: the verdict, the clauses by keeper, and the findings to unfold.

What comes from the wire stands in code spans, and in blocks whose fence is longer than any in it; all other text is
escaped. So nothing that a message says becomes markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from harness.expect import Judged, JudgedScenario
from harness.report import Report, Status, cut, printable, proven, seats, tally
from harness.verdict import Group, Verdict, grouped

SHOWN = 1000
EXAMPLES = 3
MOST = 25
"""Findings that are shown with their bytes, and scenarios with their steps: GitHub takes 1 MiB of a summary."""
MARKS: Mapping[Status, str] = {"kept": "✅", "broken": "❌", "waived": "🔕", "unproven": "❔"}
_HEADINGS = {0: "✅ Kept", 1: "❌ Broken", 3: "❔ Unproven", 4: "❔ Cut off"}


def write(report: Report) -> str:
    wrong = [judged for judged in report.scenarios if judged.outcome != "kept"]
    parts = [
        f"## {_HEADINGS[report.exit_code]}: {text(proven(report))}",
        f"{text(tally(report))}; {text(seats(report.run))}.",
        _run(report),
        "\n".join(f"- ❌ {code(str(fault))}" for fault in report.faults),
        _keepers(report),
        *_findings(report),
        *map(_scenario, wrong[:MOST]),
        *(_clauses(report, seat) for seat in report.seats),
        _scenarios(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def text(said: str) -> str:
    """On one line, with nothing in it that is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#+\-!|&~$@:])", r"\\\1", _line(said))


def code(said: str) -> str:
    """A code span on one line."""
    line = _line(said) or "(nothing)"
    fence = "`" * (_longest(line) + 1)
    padded = f" {line} " if line[0] == "`" or line[-1] == "`" else line
    return f"{fence}{padded}{fence}"


def block(said: str) -> str:
    body = printable(said)
    fence = "`" * max(3, _longest(body) + 1)
    return f"{fence}text\n{body}\n{fence}"


def _line(said: str) -> str:
    return " ".join(printable(said).split())


def _longest(body: str) -> int:
    return max(map(len, re.findall("`+", body)), default=0)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(said: str) -> str:
    """Code in a table; a bar would end the cell even in code, and one behind a backslash cannot be written there."""
    return text(said) if "|" in said else code(said)


def _folded(head: str, *parts: str, unfolded: bool = False) -> str:
    opened = "<details open>" if unfolded else "<details>"
    return "\n\n".join([f"{opened}<summary>{head}</summary>", *parts, "</details>"])


def _run(report: Report) -> str:
    run = report.run
    told = f"harness {run['harness']}, agreement {run['agreement']}, Redis {run['redis']}, seed {run['seed']}"
    return f"{text(told)}, {code(report.command)}"


def _keepers(report: Report) -> str:
    rows = []
    for seat in report.seats:
        found = [report.status(verdict) for verdict in report.verdicts if verdict.seat == seat]
        rows.append((seat, _cell(report.how(seat)), *(str(found.count(status) or "") for status in MARKS)))
    return _table(("keeper", "", *(f"{mark} {status}" for status, mark in MARKS.items())), rows)


def _findings(report: Report) -> Iterator[str]:
    wrong = sorted([*report.of("broken"), *report.of("waived")], key=lambda verdict: not report.fails(verdict))
    groups = [(verdict, group) for verdict in wrong for group in grouped(verdict.findings)]
    yield from (_finding(report, verdict, group) for verdict, group in groups[:MOST])
    if len(groups) > MOST:
        yield f"{len(groups) - MOST} more findings are left out here; {code('--report html=FILE')} shows them."


def _finding(report: Report, verdict: Verdict, group: Group) -> str:
    first, number, status = group.first, group.times, report.status(verdict)
    times = f", {number} times" if number > 1 else ""
    head = f"{MARKS[status]} <code>{verdict.clause}</code> ({verdict.level}) {status}: {verdict.seat}{times}"
    waived = [f"Waived: {text(report.waiver(verdict))}"] if status == "waived" else []
    lines = [
        f"- expected {code(cut(first.expected, SHOWN))}",
        *(f"- seen {code(cut(each.seen, SHOWN))}" for each in group.findings[:EXAMPLES]),
        *([f"- and {number - EXAMPLES} more"] if number > EXAMPLES else []),
        *([f"- at {code(first.pointer)}"] if first.pointer else []),
    ]
    wire = ["On the wire:", block(cut(first.evidence, SHOWN))] if first.evidence else []
    commands = (cut(command, SHOWN) for command in (*first.reproduce, report.command))
    return _folded(
        head,
        f"{text(verdict.promise)} Written in {code(', '.join(verdict.sources))}, {code(verdict.where)}.",
        *waived,
        "\n".join(lines),
        *wire,
        "To see it again:",
        block("\n".join(commands)),
        unfolded=report.fails(verdict),
    )


def _scenario(judged: JudgedScenario) -> str:
    wrong = [each for each in judged.expectations if each.outcome != "kept"]
    head = f"{MARKS[judged.outcome]} scenario {judged.outcome}"
    title = f"{code(judged.scenario.name)}: {text(judged.scenario.title)}"
    return _folded(head, title, "\n".join(map(_expectation, wrong[:MOST])), unfolded=True)


def _expectation(judged: Judged) -> str:
    stopped = f"; the story stopped at: {text(judged.hop)} ({judged.seat})" if judged.hop else ""
    seen = f", seen {code(cut(judged.seen, SHOWN))}" if judged.seen else ""
    return f"- {code(judged.step.where)}: expected {code(cut(judged.expected, SHOWN))}{seen}{stopped}"


def _clauses(report: Report, seat: str) -> str:
    rows = [
        (
            f"{MARKS[report.status(verdict)]} {report.status(verdict)}",
            verdict.level,
            _cell(verdict.clause),
            str(verdict.exercised or ""),
            text(verdict.reason if verdict.outcome == "unproven" else verdict.promise),
            _cell(", ".join(verdict.sources)),
        )
        for verdict in report.verdicts
        if verdict.seat == seat
    ]
    head = ("", "level", "clause", "times", "promise, or why it is unproven", "written")
    return _folded(f"{seat}: {len(rows)} clauses", _table(head, rows))


def _scenarios(report: Report) -> str:
    rows = [
        (f"{MARKS[each.outcome]} {each.outcome}", _cell(each.scenario.name), text(each.scenario.title))
        for each in report.scenarios
    ]
    return _folded(f"{len(rows)} scenarios", _table(("", "scenario", "story"), rows)) if rows else ""
