"""JUnit XML: a suite for each keeper, a case for each clause.

A broken `must` is a failure, an unproven one that counts an error. JUnit knows no third kind of bad news, so a broken
`should` is a skipped case whose message says that it is broken.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from harness.report import Report, conclusion, printable
from harness.verdict import Verdict, grouped


def write(report: Report) -> str:
    root = ET.Element("testsuites", name="aura-synapse-harness")
    for seat in report.seats:
        suite = ET.SubElement(root, "testsuite", name=seat)
        kinds = [_case(report, suite, verdict) for verdict in report.verdicts if verdict.seat == seat]
        suite.set("tests", str(len(kinds)))
        for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(attribute, str(kinds.count(kind)))
        ET.SubElement(suite, "system-out").text = printable(conclusion(report))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(report: Report, suite: ET.Element, verdict: Verdict) -> str:
    case = ET.SubElement(suite, "testcase", classname=verdict.seat, name=verdict.clause)
    if verdict.outcome == "kept":
        return ""
    counts = verdict.level == "must"
    if verdict.outcome == "unproven":
        kind = "error" if counts and verdict.in_reach else "skipped"
        ET.SubElement(case, kind, message=f"unproven: {printable(verdict.reason)}")
        return kind
    kind, prefix = ("failure", "") if counts else ("skipped", "broken, but only a should: ")
    node = ET.SubElement(case, kind, message=printable(f"{prefix}{verdict.promise}"))
    text = "\n\n".join(_lines(report, verdict))
    if counts:
        node.text = text
    else:
        ET.SubElement(case, "system-out").text = text
    return kind


def _lines(report: Report, verdict: Verdict) -> list[str]:
    return [
        printable(
            f"{', '.join(verdict.sources)}\nbroken by {verdict.seat}, {len(group.findings)} times\n"
            f"expected: {group.first.expected}\nseen: {group.first.seen}\n{group.first.evidence}\n"
            + "\n".join((*group.first.reproduce, report.command))
        )
        for group in grouped(verdict.findings)
    ]
