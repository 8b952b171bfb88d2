"""GitHub's workflow commands: their kinds, their places, and that no text ends a command or begins one."""

from __future__ import annotations

import re
from urllib.parse import unquote

from reports import HOSTILE, STALE, calm, report

from harness.report import github, printable

_COMMAND = re.compile(r"::(?P<kind>\w+) (?P<properties>.*?)::(?P<text>.*)")


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """As the runner reads them."""
    found = []
    for line in text.splitlines():
        match = _COMMAND.fullmatch(line)
        assert match is not None, line
        pairs = (pair.partition("=") for pair in match["properties"].split(","))
        properties = {name: unquote(value) for name, _, value in pairs}
        found.append((match["kind"], properties, unquote(match["text"])))
    return found


def test_each_outcome_has_its_kind_and_those_that_fail_the_run_come_first() -> None:
    found = commands(github.write(report(faults=(STALE,))))
    assert [(kind, properties["title"]) for kind, properties, _ in found] == [
        ("error", "publish.once broken by aura (live at https://***@aura.example/api)"),
        ("error", "scenario approve broken"),
        ("error", "a waiver has to go"),
        ("error", "hitl.timeout unproven"),
        ("warning", "publish.text broken by aura (live at https://***@aura.example/api)"),
        ("notice", "publish.unescaped broken by aura, waived"),
        ("notice", "aura-harness"),
    ]


def test_each_points_to_its_file_and_line() -> None:
    found = commands(github.write(report(faults=(STALE,))))
    places = [(each["file"], each["line"], each["col"]) for _, each, _ in found[:-1]]
    assert places == [
        ("contracts/clauses.yaml", "20", "3"),
        ("scenarios/approve.yaml", "5", "5"),
        ("waivers.yaml", "6", "3"),
        ("contracts/clauses.yaml", "50", "3"),
        ("contracts/clauses.yaml", "30", "3"),
        ("contracts/clauses.yaml", "40", "3"),
    ]


def test_hostile_text_stays_inside_its_command() -> None:
    _, _, text = commands(github.write(report()))[0]
    assert f"expected: {printable(HOSTILE)}" in text
    assert f"seen: {printable(HOSTILE)} (2 times)" in text


def test_a_run_without_a_finding_is_one_notice() -> None:
    ((kind, properties, text),) = commands(github.write(calm()))
    assert (kind, properties) == ("notice", {"title": "aura-harness"})
    assert text == (
        "2 kept, 0 broken, 0 unproven: every must in reach is kept; aura, synapse and workbench simulated: "
        "this is a self-test"
    )


def test_a_run_that_was_cut_off_is_one_error_and_not_one_for_each_clause_that_it_left() -> None:
    found = commands(github.write(report(exit_code=4, complete=False, scenarios=())))
    assert [(kind, properties["title"].split()[0]) for kind, properties, _ in found] == [
        ("error", "publish.once"),
        ("warning", "publish.text"),
        ("notice", "publish.unescaped"),
        ("error", "aura-harness"),
    ]
    assert "the run did not come to its end" in found[-1][2]
