"""Common Test Report Format: a test for each clause, each scenario, and each waiver that must go.

What fails the run is `failed`; what is broken and does not (a `should`, a waived clause) is `other`, for it was tried
and is neither; what nothing exercised is `skipped`. `rawStatus` has our own word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from harness.expect import JudgedScenario
from harness.report import Report, conclusion, cut, printable
from harness.verdict import Verdict, grouped

SPECIFICATION = "0.0.0"
"""The version that the reference implementation of the format reads."""
STATUSES = ("passed", "failed", "skipped", "pending", "other")
SHOWN = 4000
_CALM = {"kept": "passed", "broken": "other", "waived": "other", "unproven": "skipped"}


def write(report: Report) -> str:
    name, version = "aura-synapse-harness", str(report.run["harness"])
    tests = list(_tests(report))
    began, ended = _milliseconds(report.began), _milliseconds(report.ended)
    document = {
        "reportFormat": "CTRF",
        "specVersion": SPECIFICATION,
        **({"timestamp": report.ended.isoformat()} if report.ended else {}),
        "generatedBy": f"{name} {version}",
        "results": {
            "tool": {"name": name, "version": version},
            "summary": {
                "tests": len(tests),
                **{status: sum(test["status"] == status for test in tests) for status in STATUSES},
                "start": began,
                "stop": ended,
            },
            "tests": tests,
            "environment": {
                "appName": "Aura and Synapse",
                "extra": {"run": report.run, "conclusion": conclusion(report), "exit_code": report.exit_code},
            },
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=2).encode(errors="backslashreplace").decode() + "\n"


def _tests(report: Report) -> Iterator[dict[str, Any]]:
    yield from (_clause(report, verdict) for verdict in report.verdicts)
    yield from map(_scenario, report.scenarios)
    for fault in report.faults:
        told = {"message": printable(fault.why), **_place(fault.waiver.where)}
        yield _test("waivers", fault.waiver.clause, "failed", "waiver", told)


def _clause(report: Report, verdict: Verdict) -> dict[str, Any]:
    status = report.status(verdict)
    told: dict[str, Any] = {"tags": [verdict.level], **_place(verdict.where)}
    extra: dict[str, Any] = {"promise": verdict.promise, "sources": verdict.sources, "exercised": verdict.exercised}
    if status == "unproven":
        told["message"] = printable(verdict.reason)
    elif status != "kept":
        told["message"] = printable(f"{verdict.promise} Broken by {verdict.seat}, {len(verdict.findings)} times.")
        told["trace"] = "\n\n".join(_findings(report, verdict))
    if status == "waived":
        waiver = report.waived[verdict.clause]
        extra["waiver"] = {"reason": waiver.reason, "owner": waiver.owner, "until": waiver.until.isoformat()}
        told["message"] = f"Waived: {report.waiver(verdict)}. {told['message']}"
    said = "failed" if report.fails(verdict) else _CALM[status]
    return _test(verdict.seat, verdict.clause, said, status, {**told, "extra": extra})


def _findings(report: Report, verdict: Verdict) -> Iterator[str]:
    for group in grouped(verdict.findings):
        first = group.first
        lines = (f"expected: {first.expected}", f"seen: {first.seen}", first.evidence, *first.reproduce, report.command)
        yield "\n".join(cut(printable(line), SHOWN) for line in lines if line)


def _scenario(judged: JudgedScenario) -> dict[str, Any]:
    wrong = [each for each in judged.expectations if each.outcome == judged.outcome and each.outcome != "kept"]
    told = _place(wrong[0].step.where if wrong else judged.scenario.where)
    if wrong:
        first = wrong[0]
        stopped = f" The story stopped at: {first.hop} ({first.seat})." if first.hop else ""
        told["message"] = cut(printable(f"expected: {first.expected}; seen: {first.seen}.{stopped}"), SHOWN)
    return _test(
        "scenarios",
        judged.scenario.name,
        "failed" if wrong else "passed",
        judged.outcome,
        {**told, "extra": {"title": printable(judged.scenario.title)}},
        duration=round(judged.history[-1].at * 1000),
    )


def _test(suite: str, name: str, status: str, raw: str, more: dict[str, Any], *, duration: int = 0) -> dict[str, Any]:
    """A clause takes no time of its own. `duration` is in milliseconds."""
    return {"name": name, "status": status, "duration": duration, "suite": [suite], "rawStatus": raw, **more}


def _place(where: str) -> dict[str, Any]:
    file, line, _ = where.rsplit(":", 2)
    return {"filePath": file, "line": int(line)}


def _milliseconds(moment: datetime | None) -> int:
    return round(moment.timestamp() * 1000) if moment else 0
