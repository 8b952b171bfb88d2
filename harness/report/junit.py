"""JUnit XML: a suite for each keeper, a case for each clause; one for the scenarios, and one for waivers that must go.

What is broken and counts is a failure, what is unproven and counts an error. JUnit knows no third kind of bad news, so
a waived clause and a broken `should` are skipped cases whose message says what they are.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from harness.expect import Judged, JudgedScenario
from harness.report import Report, conclusion, printable
from harness.verdict import Verdict, grouped


def write(report: Report) -> str:
    root = ET.Element("testsuites", name="aura-synapse-harness")
    for seat in report.seats:
        suite = ET.SubElement(root, "testsuite", name=seat)
        kinds = [_case(report, suite, verdict) for verdict in report.verdicts if verdict.seat == seat]
        _count(suite, kinds)
        ET.SubElement(suite, "system-out").text = printable(conclusion(report))
    if report.scenarios:
        suite = ET.SubElement(root, "testsuite", name="scenarios")
        _count(suite, [_scenario(suite, judged) for judged in report.scenarios])
    if report.faults:
        suite = ET.SubElement(root, "testsuite", name="waivers")
        for fault in report.faults:
            case = ET.SubElement(suite, "testcase", classname="waivers", name=fault.waiver.clause)
            ET.SubElement(case, "failure", message=printable(str(fault)))
        _count(suite, ["failure"] * len(report.faults))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _count(suite: ET.Element, kinds: list[str]) -> None:
    suite.set("tests", str(len(kinds)))
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(kinds.count(kind)))


def _scenario(suite: ET.Element, judged: JudgedScenario) -> str:
    case = ET.SubElement(suite, "testcase", classname="scenarios", name=judged.scenario.name)
    if judged.outcome == "kept":
        return ""
    kind = {"broken": "failure", "unproven": "error"}[judged.outcome]
    wrong = [each for each in judged.expectations if each.outcome == judged.outcome]
    node = ET.SubElement(case, kind, message=printable(f"{judged.outcome}: {judged.scenario.title}"))
    node.text = printable("\n\n".join(map(_expectation, wrong)))
    return kind


def _expectation(judged: Judged) -> str:
    stopped = f"\nthe story stopped at: {judged.hop} ({judged.seat})" if judged.hop else ""
    return f"{judged.step.where}\nexpected: {judged.expected}\nseen: {judged.seen}{stopped}"


def _case(report: Report, suite: ET.Element, verdict: Verdict) -> str:
    case = ET.SubElement(suite, "testcase", classname=verdict.seat, name=verdict.clause)
    status = report.status(verdict)
    if status == "kept":
        return ""
    if status == "unproven":
        kind = "error" if report.fails(verdict) else "skipped"
        ET.SubElement(case, kind, message=f"unproven: {printable(verdict.reason)}")
        return kind
    text = "\n\n".join(_lines(report, verdict))
    if report.fails(verdict):
        ET.SubElement(case, "failure", message=printable(verdict.promise)).text = text
        return "failure"
    why = f"broken, and waived: {report.waiver(verdict)}" if status == "waived" else "broken, but only a should"
    ET.SubElement(case, "skipped", message=f"{why}: {printable(verdict.promise)}")
    ET.SubElement(case, "system-out").text = text
    return "skipped"


def _lines(report: Report, verdict: Verdict) -> list[str]:
    return [
        printable(
            f"{', '.join(verdict.sources)}\nbroken by {verdict.seat}, {group.times} times\n"
            f"expected: {group.first.expected}\nseen: {group.first.seen}\n{group.first.evidence}\n"
            + "\n".join((*group.first.reproduce, report.command))
        )
        for group in grouped(verdict.findings)
    ]
