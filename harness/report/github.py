"""Workflow commands of GitHub Actions, so that a pull request shows what is broken at the line where it was promised.

GitHub shows ten of a kind for each step, so there is one for each clause, and those that fail the run come first.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.expect import JudgedScenario
from harness.report import Report, cut, printable, proven, seats, tally
from harness.verdict import Verdict, grouped

SHOWN = 1000


def write(report: Report) -> str:
    broken = report.of("broken")
    unproven = report.of("unproven") if report.complete else ()  # else that is why, and it is said once
    commands = [
        *(_broken(report, verdict) for verdict in broken if report.fails(verdict)),
        *(command for judged in report.scenarios for command in _scenario(judged)),
        *(_command("error", fault.waiver.where, "a waiver has to go", fault.why) for fault in report.faults),
        *(_unproven(verdict) for verdict in unproven if report.fails(verdict)),
        *(_broken(report, verdict) for verdict in broken if not report.fails(verdict)),
        *(_waived(report, verdict) for verdict in report.of("waived")),
        _command(
            "notice" if report.complete else "error",
            "",
            "aura-harness",
            f"{tally(report)}: {proven(report)}; {seats(report.run)}",
        ),
    ]
    return "".join(f"{command}\n" for command in commands)


def _broken(report: Report, verdict: Verdict) -> str:
    kind = "error" if report.fails(verdict) else "warning"
    title = f"{verdict.clause} broken by {verdict.seat} ({report.how(verdict.seat)})"
    return _command(kind, verdict.where, title, "\n".join(_lines(report, verdict)))


def _lines(report: Report, verdict: Verdict) -> Iterator[str]:
    yield verdict.promise
    yield f"written: {', '.join(verdict.sources)}"
    for group in grouped(verdict.findings):
        times = f" ({group.times} times)" if group.times > 1 else ""
        yield f"expected: {cut(group.first.expected, SHOWN)}"
        yield f"seen: {cut(group.first.seen, SHOWN)}{times}"
    yield f"reproduce: {report.command}"


def _unproven(verdict: Verdict) -> str:
    return _command("error", verdict.where, f"{verdict.clause} unproven", f"{verdict.promise}\n{verdict.reason}")


def _waived(report: Report, verdict: Verdict) -> str:
    title = f"{verdict.clause} broken by {verdict.seat}, waived"
    return _command("notice", verdict.where, title, f"{verdict.promise}\n{report.waiver(verdict)}")


def _scenario(judged: JudgedScenario) -> Iterator[str]:
    for each in judged.expectations:
        if each.outcome != "kept":
            stopped = f"\nthe story stopped at: {each.hop} ({each.seat})" if each.hop else ""
            text = f"expected: {each.expected}\nseen: {cut(each.seen, SHOWN)}{stopped}"
            yield _command("error", each.step.where, f"scenario {judged.scenario.name} {each.outcome}", text)


def _command(kind: str, where: str, title: str, text: str) -> str:
    """`where` is `file:line:column`, or empty."""
    place = dict(zip(("file", "line", "col"), where.rsplit(":", 2), strict=True)) if where else {}
    properties = ",".join(f"{name}={_property(value)}" for name, value in {**place, "title": title}.items())
    return f"::{kind} {properties}::{_data(text)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
