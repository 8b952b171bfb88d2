"""What contracts/README.md says of the consumer's platform is backed by recorded answers, and says what they say."""

from __future__ import annotations

import json
import re

import pytest

from harness.agreement import contracts_dir
from spring import recorded
from spring.answers import MAPPED, NOW, UNREAD

README = (contracts_dir() / "README.md").read_text(encoding="utf-8")
CASES = {case.name: case for case in recorded.load().cases}


def rows() -> dict[str, list[str]]:
    """What is said, by the words of the middle column, and the recorded cases that it rests on."""
    table = README.split("## What the agreement asks of the consumer's platform")[1].split("\n\n")[2]
    cells = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return {f"{what.strip()}: {so.strip()}": re.findall(r"`([^`]+)`", names) for what, so, names in cells}


ROWS = rows()


def test_there_are_rows() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize("said", ROWS)
def test_every_line_rests_on_recorded_answers(said: str) -> None:
    assert ROWS[said]
    assert set(ROWS[said]) <= CASES.keys()


@pytest.mark.parametrize("said", [said for said in ROWS if ": *now*" in said])
def test_what_is_said_to_become_now_did(said: str) -> None:
    for name in ROWS[said]:
        assert _mapped(name)["occurredAt"] == NOW, name


@pytest.mark.parametrize("said", [said for said in ROWS if said.startswith("`approved")])
def test_a_decision_is_read_as_it_is_said(said: str) -> None:
    expected = "거절" if "**rejected**" in said else "승인"
    for name in ROWS[said]:
        assert str(_mapped(name)["content"]).endswith(expected), name


@pytest.mark.parametrize("said", [said for said in ROWS if ": refused" in said])
def test_what_is_said_to_be_refused_was(said: str) -> None:
    for name in ROWS[said]:
        assert UNREAD in (CASES[name].answer or {}), name


def _mapped(name: str) -> dict[str, object]:
    answer = CASES[name].answer
    assert answer is not None
    value: dict[str, object] = json.loads(answer[MAPPED])
    return value
