"""The messages that test a consumer: repeatable, of every kind, and what they say they are."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest

from harness import agreement
from harness.checks.conforming import read
from harness.clock import Ids
from harness.hostile import SPOILT
from harness.messages import CHANNELS, Outgoing, consumer_messages, hostilities, incomplete, ordinary, twice
from harness.schema import compile_schemas

AGREEMENT = agreement.load()
SEEDS = (1, 2, 3)
COUNT = 20
SCHEMAS = dict(zip(CHANNELS, ("alert", "rag-status", "case-action"), strict=True))


def all_of(seed: int) -> list[Outgoing]:
    return list(consumer_messages(seed, Ids(f"h{seed}"), COUNT))


@pytest.fixture(scope="module")
def streams() -> dict[int, list[Outgoing]]:
    return {seed: all_of(seed) for seed in SEEDS}


def test_the_same_seed_gives_the_same_stream(streams: dict[int, list[Outgoing]]) -> None:
    assert all_of(1) == streams[1]


def test_another_seed_gives_another_stream(streams: dict[int, list[Outgoing]]) -> None:
    assert {message.wire for message in streams[1] if message.readable}.isdisjoint(
        message.wire for message in streams[2] if message.readable
    )


def test_no_two_messages_are_equal_but_those_that_come_twice(streams: dict[int, list[Outgoing]]) -> None:
    for seed, stream in streams.items():
        seen = Counter((message.channel, message.wire) for message in stream)
        deliberate = {(message.channel, message.wire) for message in twice(seed, Ids("h"))}
        again = [key for key, count in seen.items() if count > 1]
        assert len(again) == len(deliberate) / 2 == 5
        assert {seen[key] for key in again} == {2}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_called_readable_conforms_and_nothing_else_does(seed: int, streams: dict[int, list[Outgoing]]) -> None:
    wrong = [
        message.about
        for message in streams[seed]
        if read(AGREEMENT, message.channel, message.wire).conforming != message.readable
    ]
    assert wrong == []


def test_ordinary_messages_have_the_schema_of_their_channel() -> None:
    schemas = compile_schemas(AGREEMENT)
    older = 0
    for message in ordinary(1, Ids("h1"), COUNT):
        value = json.loads(message.wire)
        if value["type"] == "case_action_completed":
            older += 1
            assert schemas["case-action-completed"].violations(value) == ()
        elif message.channel in SCHEMAS:
            assert schemas[SCHEMAS[message.channel]].violations(value) == ()
    assert older == COUNT


def test_one_of_each_kind_comes_before_anything_hostile(streams: dict[int, list[Outgoing]]) -> None:
    first = next(index for index, message in enumerate(streams[1]) if not message.readable)
    channels = {message.channel for message in streams[1]}
    assert channels == {*CHANNELS, "workbench:h1:other"}
    assert {message.channel for message in streams[1][:first]} == channels


def test_there_are_a_few_hundred(streams: dict[int, list[Outgoing]]) -> None:
    assert 500 < len(streams[1]) < 1000


def test_every_subset_of_the_common_fields_is_absent_and_null_on_every_channel() -> None:
    names = ("category", "message", "timestamp", "title", "at")
    subsets = {found for size in range(1, 6) for found in itertools.combinations(names, size)}
    absent: dict[str, set[tuple[str, ...]]] = {}
    null: dict[str, set[tuple[str, ...]]] = {}
    for message in incomplete(1, Ids("h1")):
        value = json.loads(message.wire)
        absent.setdefault(message.channel, set()).add(tuple(name for name in names if name not in value))
        null.setdefault(message.channel, set()).add(tuple(name for name in names if value.get(name, 0) is None))
    assert set(absent) == set(null) == {*CHANNELS, "workbench:h1:other"}
    for channel in absent:
        assert absent[channel] >= subsets
        assert null[channel] >= subsets


def test_an_emoji_stands_on_the_border_of_the_cut(streams: dict[int, list[Outgoing]]) -> None:
    bodies = [message.wire.decode() for message in streams[1] if message.readable and '"message"' not in repr(message)]
    units = [body.encode("utf-16-le") for body in bodies]
    lengths = {len(each) // 2 for each in units}
    assert {199, 200, 201} <= lengths
    assert any(len(each) > 400 and b"\xd8" <= each[399:400] <= b"\xdb" for each in units)


def test_there_are_more_than_fifty_hostile_messages_each_with_a_good_one_behind_it() -> None:
    stream = list(hostilities(1, Ids("h1")))
    assert len(SPOILT) > 100
    assert [message.readable for message in stream] == [False, True] * len(SPOILT)
    assert len({message.about for message in stream}) == len(stream)


def test_a_good_one_behind_a_hostile_one_is_of_every_shape() -> None:
    good = [json.loads(message.wire) for message in hostilities(1, Ids("h1")) if message.readable]
    assert {value["category"] if "category" in value else value["type"] for value in good} == {
        "AI_DETECT",
        "RAG_STATUS",
        "CASE_ACTION",
        "SOMETHING_ELSE",
        "case_action_completed",
    }


def test_what_conforms_names_the_run(streams: dict[int, list[Outgoing]]) -> None:
    """So that a notification of it can be told from others' on a live Synapse."""
    assert [message.about for message in streams[1] if message.readable and b"h1-" not in message.wire] == []
