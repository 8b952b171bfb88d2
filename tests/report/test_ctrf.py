"""CTRF: what the format asks of a document, and which status each of our outcomes has in it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from reports import STALE, calm, report

from harness.report import ctrf

PUBLISHED = Path(__file__).parent.parent / "node" / "node_modules" / "ctrf" / "dist" / "ctrf-schema-0.0.json"
TEXT, NUMBER, OBJECT = {"type": "string"}, {"type": "integer"}, {"type": "object"}


def closed(required: str, **properties: Any) -> dict[str, Any]:
    """An object of the format: nothing that it does not know may stand in it."""
    return {"type": "object", "required": required.split(), "properties": properties, "additionalProperties": False}


STATUSES = dict.fromkeys(("passed", "failed", "skipped", "pending", "other"), NUMBER)
TEST = closed(
    "name status duration",
    name={"type": "string", "minLength": 1},
    status={"enum": list(STATUSES)},
    suite={"type": "array", "minItems": 1, "items": TEXT},
    tags={"type": "array", "items": TEXT},
    **dict.fromkeys(("duration", "line"), NUMBER),
    **dict.fromkeys(("message", "trace", "rawStatus", "filePath"), TEXT),
    extra=OBJECT,
)
RULES = closed(
    "results reportFormat specVersion",
    reportFormat={"const": "CTRF"},
    specVersion={"type": "string", "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+$"},
    timestamp={"type": "string", "format": "date-time"},
    generatedBy=TEXT,
    results=closed(
        "tool summary tests",
        tool=closed("name", name={"type": "string", "minLength": 1}, version=TEXT),
        summary=closed("tests start stop " + " ".join(STATUSES), tests=NUMBER, start=NUMBER, stop=NUMBER, **STATUSES),
        tests={"type": "array", "items": TEST},
        environment=closed("", appName=TEXT, extra=OBJECT),
    ),
)
"""What the published schema asks of the parts that we write, in our words."""


def document(**changes: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(ctrf.write(report(**changes)))
    return written


def valid(schema: Any, written: Any) -> None:
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    jsonschema.Draft7Validator(schema, format_checker=checker).validate(written)


@pytest.mark.parametrize("written", [document(), document(faults=(STALE,)), document(began=None, ended=None)])
def test_a_report_keeps_the_rules_of_the_format(written: dict[str, Any]) -> None:
    valid(RULES, written)


def test_a_report_fits_the_published_schema() -> None:
    if not PUBLISHED.is_file():
        pytest.skip("the schema comes with the npm package ctrf: make tests/node/installed")
    schema = json.loads(PUBLISHED.read_bytes())
    for written in (document(faults=(STALE,)), json.loads(ctrf.write(calm()))):
        valid(schema, written)
    with pytest.raises(jsonschema.ValidationError):
        valid(schema, {**document(), "results": {}})


def test_each_outcome_has_its_status() -> None:
    tests = document(faults=(STALE,))["results"]["tests"]
    assert [(each["suite"][0], each["name"], each["status"], each["rawStatus"]) for each in tests] == [
        ("aura", "http.data", "passed", "kept"),
        ("aura", "publish.once", "failed", "broken"),
        ("aura", "publish.text", "other", "broken"),
        ("aura", "publish.unescaped", "other", "waived"),
        ("aura", "hitl.timeout", "failed", "unproven"),
        ("aura", "http.far", "skipped", "unproven"),
        ("synapse", "mapping.type", "passed", "kept"),
        ("scenarios", "approve", "failed", "broken"),
        ("waivers", "http.data", "failed", "waiver"),
    ]


def test_the_summary_counts_the_tests_and_knows_when() -> None:
    results = document()["results"]
    counted = Counter(each["status"] for each in results["tests"])
    assert {status: results["summary"][status] for status in STATUSES} == {name: counted[name] for name in STATUSES}
    assert results["summary"]["tests"] == len(results["tests"])
    assert (results["summary"]["start"], results["summary"]["stop"]) == (1770820200000, 1770820203000)


def test_each_test_knows_where_it_is_written() -> None:
    tests = {each["name"]: each for each in document()["results"]["tests"]}
    assert (tests["publish.once"]["filePath"], tests["publish.once"]["line"]) == ("contracts/clauses.yaml", 20)
    assert (tests["approve"]["filePath"], tests["approve"]["line"]) == ("scenarios/approve.yaml", 5)
    assert "The story stopped at: Redis message (aura)." in tests["approve"]["message"]
    assert tests["approve"]["duration"] == 200
