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


SAYS = {
    "Aura's timestamps end": '"occurredAt":"2026-02-11T14:30:00Z"',
    "another offset": '"occurredAt":"2026-02-1',
    "seconds since 1970 as a number": '"occurredAt":"1970-01-20T16:13:20Z"',
    "milliseconds since 1970": '"occurredAt":"2026-02-11T14:30:00.123Z"',
    "`case_id: null`": '"content":"케이스 null 거절"',
    "an empty `message`": '"content":"","type":""',
    "an object or array": '"content":"","type":""',
    "something behind": '"payload":{"message":"m"}}',
    "an empty message": '"content":"케이스  거절"',
    "an emoji": "\\uD83D\\uDE00",
    "texts of more than 200": "…",
    "nested 1000": "JsonMappingException",
}
"""What stands in the recorded answer of each line that is compared nowhere else."""


def test_every_line_is_compared_with_its_answers() -> None:
    elsewhere = {said for said in ROWS if ": *now*" in said or said.startswith("`approved") or ": refused" in said}
    assert len(set(ROWS) - elsewhere) == len(SAYS)


@pytest.mark.parametrize("begins", SAYS)
def test_an_answer_says_what_its_line_says(begins: str) -> None:
    (said,) = [said for said in ROWS if said.startswith(begins)]
    for name in ROWS[said]:
        assert any(SAYS[begins] in str(value) for value in (CASES[name].answer or {}).values()), (name, CASES[name])


def _mapped(name: str) -> dict[str, object]:
    answer = CASES[name].answer
    assert answer is not None
    value: dict[str, object] = json.loads(answer[MAPPED])
    return value
