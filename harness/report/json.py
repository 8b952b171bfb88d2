"""Everything that a run says, as one JSON document: for tools, and for whatever the other reports leave out."""

from __future__ import annotations

import json
from dataclasses import asdict

from harness.expect import JudgedScenario
from harness.report import Report, conclusion
from harness.verdict import counts
from harness.waivers import Waiver


def write(report: Report) -> str:
    document = {
        "run": dict(report.run),
        "complete": report.complete,
        "exit_code": report.exit_code,
        "conclusion": conclusion(report),
        "left_alone": dict(report.foreign),
        "counts": counts(report.verdicts),
        "waived": {clause: _waiver(waiver) for clause, waiver in report.waived.items()},
        "waiver_faults": [{**_waiver(fault.waiver), "why": fault.why} for fault in report.faults],
        "verdicts": [asdict(verdict) for verdict in report.verdicts],
        "scenarios": [_scenario(judged) for judged in report.scenarios],
    }
    return json.dumps(document, ensure_ascii=False, indent=2).encode(errors="backslashreplace").decode() + "\n"


def _waiver(waiver: Waiver) -> dict[str, str]:
    return {**asdict(waiver), "until": waiver.until.isoformat()}


def _scenario(judged: JudgedScenario) -> dict[str, object]:
    return {
        "name": judged.scenario.name,
        "title": judged.scenario.title,
        "outcome": judged.outcome,
        "expectations": [
            {
                "where": each.step.where,
                "expected": each.expected,
                "outcome": each.outcome,
                "seen": each.seen,
                "hop": each.hop,
                "seat": each.seat,
                "events": each.events,
            }
            for each in judged.expectations
        ],
    }
