"""What every report says of a run: what counts, which seats were real, and no secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from reports import RUN, STALE, VERDICTS, WAIVER, calm, report, story, verdict

from harness.report import FORMATS, conclusion, seats, tally, write

AURA, LAST = "https://aura.example", "workbench"


@pytest.mark.parametrize("kind", FORMATS)
def test_no_report_shows_the_userinfo_of_a_url(kind: str) -> None:
    text = write(kind, report())
    assert "geheim" not in text
    assert "deploy" not in text
    assert "aura.example/api" in text


@pytest.mark.parametrize("kind", FORMATS)
def test_every_report_tells_live_seats_from_simulated_ones(kind: str) -> None:
    live, simulated = write(kind, report()), write(kind, calm())
    assert "live at https" in live.replace("\\", "")
    assert "this is a self-test" not in live.replace("\\", "")
    assert "his is a self-test" in simulated.replace("\\", "")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_report_names_what_is_broken_waived_unproven_and_stale(kind: str) -> None:
    text = write(kind, report(faults=(STALE,)))
    clauses = ("publish.once", "publish.text", "publish.unescaped", "hitl.timeout")
    for said in (*clauses, "김철수", "approve", "was exercised 4 times and kept"):
        assert said in text, said


@pytest.mark.parametrize("kind", FORMATS)
def test_every_report_can_be_written_as_utf8(kind: str) -> None:
    assert "\ud800" not in write(kind, report())
    assert "조치 🙏" in write(kind, report()).encode().decode()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"aura": "simulated", "synapse": "simulated"}, "aura and synapse simulated: this is a self-test"),
        ({"aura": "simulated"}, "aura simulated: this is a self-test"),
        (
            {"aura": AURA, "synapse": "simulated", LAST: "simulated"},
            f"aura live at {AURA}; synapse and {LAST} simulated",
        ),
        ({"aura": AURA, "synapse": "http://u:p@s:1/x"}, f"aura live at {AURA}; synapse live at http://***@s:1/x"),
        ({"aura": "https://a@b:c@host/p"}, "aura live at https://***@host/p"),
    ],
)
def test_what_was_real_is_said_in_words(found: dict[str, str], said: str) -> None:
    assert seats({**RUN, "seats": found}) == said


ONLY_KEPT = tuple(each for each in VERDICTS if each.outcome == "kept")
WAIVED_OR_KEPT = tuple(each for each in VERDICTS if each.outcome == "kept" or each.clause in report().waived)

UNPLAYED = replace(story(), expectations=tuple(replace(each, outcome="unproven") for each in story().expectations))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "a clause that counts is broken (exit 1)"),
        ({"verdicts": ONLY_KEPT}, "an expectation of a scenario is broken (exit 1)"),
        ({"verdicts": ONLY_KEPT, "scenarios": (), "faults": (STALE,)}, "a waiver has to go (exit 1)"),
        (
            {"exit_code": 0, "verdicts": WAIVED_OR_KEPT},
            "every must in reach is kept, but for 1 that is waived (exit 0)",
        ),
        ({"exit_code": 0, "verdicts": ONLY_KEPT, "waived": {}}, "every must in reach is kept (exit 0)"),
        ({"exit_code": 0}, "a clause that counts is broken, which was not to fail the run (exit 0)"),
        ({"exit_code": 3, "scenarios": ()}, "a clause that counts is unproven (exit 3)"),
        (
            {"exit_code": 3, "whole": False, "scenarios": (UNPLAYED,)},
            "an expectation of a scenario is unproven (exit 3)",
        ),
        ({"exit_code": 3, "whole": False, "scenarios": ()}, "nothing that counts was proven (exit 3)"),
        ({"exit_code": 4}, "the run did not come to its end; what it recorded until then was judged (exit 4)"),
        (
            {"exit_code": 4, "why": "--aura http://me:secret@aura/aura: it was lost"},
            "the run did not come to its end (--aura http://***@aura/aura: it was lost); what it recorded until then "
            "was judged (exit 4)",
        ),
    ],
)
def test_the_conclusion_says_why_the_run_ended_as_it_did(changes: dict[str, Any], said: str) -> None:
    assert conclusion(report(**changes)).startswith(f"{said}; aura live at ")


def test_the_waived_are_counted_apart_from_the_broken() -> None:
    assert tally(report()) == "2 kept, 2 broken, 1 waived, 2 unproven"
    assert tally(report(waived={})) == "2 kept, 3 broken, 2 unproven"
    assert tally(calm()) == "2 kept, 0 broken, 0 unproven"
    assert tally(report(), "synapse") == "1 kept"


def test_what_a_run_had_no_occasion_to_prove_does_not_fail_it() -> None:
    unproven = verdict("hitl.timeout", 50, "unproven")
    assert report().fails(unproven)
    assert not report(whole=False).fails(unproven)
    assert report(whole=False, required=frozenset({"hitl.timeout"})).fails(unproven)
    assert not report(required=frozenset({WAIVER.clause})).fails(VERDICTS[3])


def test_a_scenario_knows_its_history() -> None:
    assert [event.kind for event in story().history] == ["run", "step", "step", "step", "step"]


@pytest.mark.parametrize("kind", ["json", "html"])
def test_what_of_others_was_left_alone_is_told(kind: str) -> None:
    told = write(kind, report(foreign={"messages": 12, "notifications": 3}))
    text = {
        "json": '"left_alone": {\n    "messages": 12,\n    "notifications": 3\n  }',
        "html": "12 messages and 3 notifications of others",
    }
    assert text[kind] in told
    assert text[kind] not in write(kind, report())
