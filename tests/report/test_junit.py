"""JUnit XML: which of our outcomes is a failure, an error, a skipped or a passed case."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from reports import STALE, report

from harness.report import junit


def test_each_outcome_has_its_element_and_each_suite_counts_them() -> None:
    root = ET.fromstring(junit.write(report(faults=(STALE,))))
    told = {
        (str(case.get("classname")), str(case.get("name"))): [e.tag for e in case] for case in root.iter("testcase")
    }
    assert told == {
        ("aura", "http.data"): [],
        ("aura", "publish.once"): ["failure"],
        ("aura", "publish.text"): ["skipped", "system-out"],
        ("aura", "publish.unescaped"): ["skipped", "system-out"],
        ("aura", "hitl.timeout"): ["error"],
        ("aura", "http.far"): ["skipped"],
        ("synapse", "mapping.type"): [],
        ("scenarios", "approve"): ["failure"],
        ("waivers", "http.data"): ["failure"],
    }
    names = ("name", "tests", "failures", "errors", "skipped")
    assert [tuple(suite.get(name) for name in names) for suite in root] == [
        ("aura", "6", "1", "1", "3"),
        ("synapse", "1", "0", "0", "0"),
        ("scenarios", "1", "1", "0", "0"),
        ("waivers", "1", "1", "0", "0"),
    ]


def test_what_is_skipped_says_whether_it_is_broken() -> None:
    messages = [node.get("message", "") for node in ET.fromstring(junit.write(report())).iter("skipped")]
    assert messages == [
        "broken, but only a should: The promise of publish.text.",
        "broken, and waived: 금요일까지 | <봐준다> 🙏 (김철수, until 2026-03-01; waivers.yaml:1:3): The promise of "
        "publish.unescaped.",
        "unproven: out of reach: needs feedback",
    ]


def test_a_replay_reports_no_error_for_what_it_had_no_occasion_to_prove() -> None:
    assert not list(ET.fromstring(junit.write(report(whole=False))).iter("error"))
