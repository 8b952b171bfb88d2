"""Generated traffic: repeatable, valid by the agreement, and as awkward as promised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from harness import agreement
from harness.clock import Ids
from harness.generate import AWKWARD, LONG, Traffic
from harness.schema import compile_schemas

SEEDS = range(1, 9)
COUNT = 200


def traffic(seed: int) -> Traffic:
    return Traffic(seed, Ids(f"h{seed}"))


@pytest.fixture(scope="module")
def streams() -> dict[int, list[dict[str, Any]]]:
    return {seed: list(traffic(seed).valid_calls(COUNT)) for seed in SEEDS}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def test_the_same_seed_gives_the_same_stream_in_the_same_order_of_keys() -> None:
    first, again = (json.dumps(list(traffic(3).valid_calls(COUNT))) for _ in range(2))
    assert first == again


def test_another_seed_gives_another_stream() -> None:
    assert list(traffic(1).valid_calls(5)) != list(traffic(2).valid_calls(5))


def test_detections_and_rag_runs_repeat_with_their_seed() -> None:
    assert list(traffic(3).detections(50)) == list(traffic(3).detections(50))
    assert list(traffic(3).rag_runs(50)) == list(traffic(3).rag_runs(50))
    assert list(traffic(3).detections(50)) != list(traffic(4).detections(50))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_call_is_valid_by_the_agreement(seed: int, streams: dict[int, list[dict[str, Any]]]) -> None:
    schema = compile_schemas(agreement.load())["record-request"]
    assert [schema.violations(body) for body in streams[seed]] == [()] * COUNT


@pytest.mark.parametrize("seed", SEEDS)
def test_no_text_holds_a_null_character_or_a_lone_surrogate(
    seed: int, streams: dict[int, list[dict[str, Any]]]
) -> None:
    for text in texts(streams[seed]):
        text.encode()
        assert "\0" not in text


@pytest.mark.parametrize("seed", SEEDS)
def test_every_awkward_text_appears_in_200_calls(seed: int, streams: dict[int, list[dict[str, Any]]]) -> None:
    comments = [body["comment"] for body in streams[seed] if "comment" in body]
    assert [text for text in AWKWARD if text not in comments] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_comment_of_64_kib_appears_in_200_calls(seed: int, streams: dict[int, list[dict[str, Any]]]) -> None:
    longest = max(len((body.get("comment") or "").encode()) for body in streams[seed])
    assert LONG - 4 < longest <= LONG


@pytest.mark.parametrize("seed", SEEDS)
def test_each_optional_field_is_absent_null_and_given(seed: int, streams: dict[int, list[dict[str, Any]]]) -> None:
    for name in ("comment", "doc_key"):
        kinds = {type(body[name]).__name__ if name in body else "absent" for body in streams[seed]}
        assert kinds == {"absent", "NoneType", "str"}


def test_both_decisions_and_unknown_fields_appear(streams: dict[int, list[dict[str, Any]]]) -> None:
    assert {body["approved"] for body in streams[1]} == {True, False}
    assert any("client_version" in body for body in streams[1])


def test_people_write_korean_and_english(streams: dict[int, list[dict[str, Any]]]) -> None:
    people = [body["executor_id"] for body in streams[1]]
    assert any("가" <= character <= "힣" for name in people for character in name)
    assert any(name.isascii() for name in people)


def test_the_order_of_the_fields_varies(streams: dict[int, list[dict[str, Any]]]) -> None:
    assert len({next(iter(body)) for body in streams[1]}) > 3


def test_every_id_names_the_run_and_is_used_once(streams: dict[int, list[dict[str, Any]]]) -> None:
    for name in ("case_id", "request_id"):
        ids = [body[name] for body in streams[1]]
        assert len({*ids}) == COUNT
        assert all(each.startswith("h1-") for each in ids)


def test_cases_of_detections_are_never_those_of_calls() -> None:
    stream = traffic(1)
    called = {body["case_id"] for body in stream.valid_calls(50)}
    assert called.isdisjoint(detection.case_id for detection in stream.detections(50))


@pytest.mark.parametrize("seed", SEEDS)
def test_some_detections_are_high_and_some_are_not(seed: int) -> None:
    found = list(traffic(seed).detections(COUNT))
    assert 0.3 < sum(detection.severity == "HIGH" for detection in found) / COUNT < 0.7
    assert all(0 <= detection.score <= 1 for detection in found)
    assert len({detection.case_id for detection in found}) == COUNT


@pytest.mark.parametrize("seed", SEEDS)
def test_some_rag_runs_succeed_and_some_fail(seed: int) -> None:
    found = list(traffic(seed).rag_runs(COUNT))
    assert 0.6 < sum(run.succeeded for run in found) / COUNT < 0.9
    assert all(run.chunks_added >= 0 for run in found)
    assert len({run.rag_document_id for run in found}) == COUNT


def test_a_stream_is_made_as_it_is_taken() -> None:
    assert len(list(islice(traffic(1).valid_calls(10**9), 3))) == 3
