"""What a real Spring Boot application answered, held against the simulation without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from spring import recorded
from spring.answers import Answer, simulated
from spring.recorded import Case, Recorded

KEPT = recorded.load()


@pytest.mark.parametrize("case", KEPT.cases, ids=lambda case: case.name)
def test_the_simulation_answers_what_spring_answered(case: Case) -> None:
    assert recorded.form(simulated(case.message)) == case.answer


def test_the_file_says_which_versions_answered() -> None:
    assert set(KEPT.versions) == {"java", "jackson", "spring-boot"}
    assert KEPT.versions["java"].startswith("17.")


def test_names_are_given_once() -> None:
    assert len({case.name for case in KEPT.cases}) == len(KEPT.cases)


def test_the_file_is_as_it_is_written(tmp_path: Path) -> None:
    recorded.save(KEPT, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == recorded.FILE.read_bytes()


def test_a_body_is_put_together_from_texts_bytes_and_repetitions() -> None:
    body = ["한", {"hex": "ff00"}, {"times": 2, "of": ["[", {"hex": "31"}]}]
    assert Case("some", "workbench:", body).message.body == "한".encode() + b"\xff\x00[1[1"


def test_a_long_answer_is_recorded_by_its_digest(tmp_path: Path) -> None:
    case = Case("long", "workbench:", "{}").answered(Answer("mapped", b"x" * 3000))
    assert case.answer is not None
    assert (case.answer["length"], len(case.answer["sha256"])) == (3000, 64)
    recorded.save(Recorded({}, [case]), tmp_path / "long.json")
    assert recorded.load(tmp_path / "long.json").cases == [case]
