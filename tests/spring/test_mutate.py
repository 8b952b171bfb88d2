"""The stream of messages depends on its seed alone, and holds of every kind enough to find what is wrong."""

from __future__ import annotations

from collections import Counter

import pytest

from spring.answers import CRASHED, MAPPED, UNREAD, UNWRITTEN, Answer, simulated
from spring.mutate import BLOCK, CHANNELS, FAMILIES, Mutant, block

BLOCKS = 20


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    return [mutant for number in range(BLOCKS) for mutant in block(1, number)]


@pytest.fixture(scope="module")
def answers(mutants: list[Mutant]) -> list[Answer]:
    return [simulated(mutant.message) for mutant in mutants]


def test_the_same_seed_gives_the_same_messages_in_whatever_order_they_are_made(mutants: list[Mutant]) -> None:
    assert [*block(1, BLOCKS - 1)] == mutants[-BLOCK:]
    assert [*block(1, 0)] == mutants[:BLOCK]


def test_another_seed_gives_other_messages(mutants: list[Mutant]) -> None:
    assert {mutant.message for mutant in block(2, 0)} != {mutant.message for mutant in mutants[:BLOCK]}


def test_a_message_seldom_comes_twice(mutants: list[Mutant]) -> None:
    assert len({mutant.message for mutant in mutants}) > 0.9 * len(mutants)


def test_every_family_of_mutations_and_every_channel_occurs(mutants: list[Mutant]) -> None:
    assert {family for mutant in mutants for family in mutant.families} == set(FAMILIES)
    assert {mutant.message.channel for mutant in mutants} >= set(CHANNELS)


def test_messages_are_mapped_and_refused_in_every_way_that_there_is(answers: list[Answer]) -> None:
    outcomes = Counter((answer.outcome, b"" if answer.outcome == MAPPED else answer.data) for answer in answers)
    refusals = (b"JsonParseException", b"JsonEOFException", b"StreamConstraintsException", b"IllegalArgumentException")
    assert set(outcomes) == {
        (MAPPED, b""),
        *((UNREAD, name) for name in refusals),
        (UNWRITTEN, b"JsonMappingException"),
    }
    assert outcomes[MAPPED, b""] > len(answers) / 2
    assert CRASHED not in {answer.outcome for answer in answers}


@pytest.mark.parametrize(
    "piece",
    [
        *(b"\xef\xbb\xbf", b"\xed\xa0\xbd", b"\xff", rb"\ud83d", b"}garbage", b" " * 33_000),
        *(b"[" * 1000, b'{"a":' * 997, b"1e400", b"NaN", b"18446744073709551616"),
        *(b'"timestamp":true', b'"approved":" true "', b'"case_id":null', b'"rag_document_id":""', b'"tenant_id":"'),
        *(b"T23:59:60", b"T24:00:00", b"0000-", b"+09:00:30", b".123456789"),
    ],
)
def test_what_is_known_to_matter_occurs(piece: bytes, mutants: list[Mutant]) -> None:
    assert any(piece in mutant.message.body for mutant in mutants)
