"""What is lost on the way, in a gap, or because it came twice."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from consumer import Consumer
from histories import (
    ACTION,
    ALERTED,
    KEPT,
    Triple,
    broken_by_synapse,
    call,
    fault,
    feedback,
    finding,
    handled,
    outcome,
    published,
    verdict,
)

from checks.test_subscriber import lost, other

CUT, RESTORED = fault("cut", at=1.5), fault("restored", at=2.5)
MISSED = other(2)[0]
SENT, ROW, FRAME = handled()

TRIPLES = {
    "delivery.nothing-invented": Triple(
        kept=KEPT,
        broken=(ALERTED,),
        unproven=(feedback(), call()),
        expected="a message for something that took place",
        seen="no such event",
    ),
    "delivery.nothing-lost": Triple(
        kept=handled(),
        broken=(*handled(), MISSED, *other(3)),
        unproven=(lost(b"{"),),
        expected="every message that conforms is handled while the consumer is connected",
        seen="neither stored nor broadcast",
    ),
    "delivery.gap": Triple(
        kept=(*handled(), CUT, MISSED, RESTORED, *other(3)),
        broken=(*handled(), CUT, MISSED, RESTORED, other(3)[0]),
        unproven=handled(),
        expected="the first message after a gap is handled",
        seen="neither stored nor broadcast; 1 published while it was cut off",
    ),
    "delivery.duplicates": Triple(
        kept=(*handled(), *handled(row=2)),
        broken=(*handled(), SENT),
        unproven=(*handled(), *other(2)),
        expected="a message that came before is handled once more",
        seen="neither stored nor broadcast",
    ),
}


def once(generated: list[tuple[str, bytes]]) -> Any:
    first = {message: index for index, message in reversed(list(enumerate(generated)))}
    return lambda index, channel, wire: first[channel, wire] == index


def test_a_consumer_that_drops_what_it_has_seen_breaks_only_the_clause_of_duplicates(
    generated: list[tuple[str, bytes]],
) -> None:
    assert broken_by_synapse(*Consumer(takes=once(generated)).events(generated)) == {"delivery.duplicates"}


@pytest.mark.parametrize("nth", [2, 10, 97])
def test_every_nth_message_lost_is_a_loss_and_nothing_else(nth: int, generated: list[tuple[str, bytes]]) -> None:
    losing = Consumer(takes=lambda index, channel, wire: index % nth != 0)
    assert broken_by_synapse(*losing.events(generated)) == {"delivery.nothing-lost"}


def test_a_consumer_that_ends_for_no_reason_has_lost_the_rest(generated: list[tuple[str, bytes]]) -> None:
    ending = Consumer(takes=lambda index, channel, wire: index < 100)
    assert broken_by_synapse(*ending.events(generated)) == {"delivery.nothing-lost"}


def test_a_gap_costs_what_was_published_in_it_and_breaks_nothing(generated: list[tuple[str, bytes]]) -> None:
    before, within, after = generated[:100], generated[100:150], generated[150:]
    missing = Consumer(takes=lambda *_: False).events(within)
    events = [*Consumer().events(before), CUT, *missing, RESTORED, *Consumer().events(after)]
    assert broken_by_synapse(*events) == set()
    assert verdict("delivery.gap", *events).exercised == 51


def test_a_consumer_that_does_not_come_back_breaks_only_the_clause_of_the_gap() -> None:
    later = [other(number)[0] for number in (3, 4, 5)]
    assert broken_by_synapse(*handled(), CUT, MISSED, RESTORED, *later) == {"delivery.gap"}
    assert broken_by_synapse(*handled(), CUT, RESTORED, later[0], *other(4), *other(5)) == {"delivery.gap"}


def test_what_is_replayed_after_a_gap_is_told() -> None:
    _, row, frame = other(2)
    found = finding("delivery.gap", *handled(), CUT, MISSED, RESTORED, row, frame, *other(3))
    assert (found.expected, found.seen) == (
        "what is published while the consumer is cut off is not replayed",
        "it was handled",
    )
    assert found.events == (5, 7, 8)


def test_a_gap_that_never_ends_promises_nothing_for_what_follows() -> None:
    assert broken_by_synapse(*handled(), CUT, MISSED, other(3)[0]) == set()


def test_a_cut_that_is_noticed_late_excuses_what_was_published_just_before() -> None:
    message = ACTION | {"case_id": "case-9", "request_id": "request-9"}
    late, early = (published(message, at=at, seat="harness") for at in (1.15, 0.9))
    noticed = fault("cut", at=1.2, noticed=True)
    assert broken_by_synapse(*handled(), late, noticed, RESTORED, *other(3)) == set()
    assert broken_by_synapse(*handled(), early, noticed, RESTORED, *other(3)) == {"delivery.nothing-lost"}


def test_a_cut_that_the_run_makes_excuses_nothing_that_was_published_before_it() -> None:
    before = published(ACTION | {"case_id": "case-9", "request_id": "request-9"}, at=1.15, seat="harness")
    assert broken_by_synapse(*handled(), before, fault("cut", at=1.2), RESTORED, *other(3)) == {"delivery.nothing-lost"}


def test_a_message_that_is_under_way_while_the_consumer_comes_back_promises_nothing() -> None:
    """Redis had given it to others before the subscription was there again, and we heard of it afterwards."""
    message = ACTION | {"case_id": "case-9", "request_id": "request-9"}
    late = published(message, at=1.31, seat="harness")
    under_way = dataclasses.replace(late, data={**late.data, "began": 1.29})
    back = fault("restored", at=1.3)
    assert broken_by_synapse(*handled(), CUT, back, under_way, *other(3)) == set()
    assert broken_by_synapse(*handled(), CUT, back, late, *other(3)) == {"delivery.gap"}


def test_each_gap_has_its_own_first_message() -> None:
    gaps = (*handled(), CUT, MISSED, RESTORED, *other(3), CUT, other(4)[0], RESTORED)
    assert verdict("delivery.gap", *gaps, *other(5)).exercised == 4
    assert broken_by_synapse(*gaps, other(5)[0], *other(6)) == {"delivery.gap"}


def test_a_copy_in_a_gap_is_no_duplicate_and_costs_the_other_nothing() -> None:
    assert broken_by_synapse(CUT, SENT, RESTORED, *handled()) == set()
    assert outcome("delivery.duplicates", CUT, SENT, RESTORED, *handled()) == "unproven"


def test_a_copy_that_is_broadcast_and_not_stored_is_a_matter_of_duplicates() -> None:
    assert broken_by_synapse(*handled(), SENT, FRAME) == {"delivery.duplicates"}
    assert finding("delivery.duplicates", *handled(), SENT, FRAME).seen == "broadcast, not stored"
    assert finding("delivery.duplicates", *handled(), SENT, ROW).seen == "stored, not broadcast"


def test_a_consumer_that_a_copy_stops_is_told_of_with_the_message_behind_it() -> None:
    events = (*handled(), *handled(row=2), other(3)[0], other(4)[0])
    assert broken_by_synapse(*events) == {"delivery.duplicates"}
    assert finding("delivery.duplicates", *events).expected == "the message after a copy is handled"


def test_a_copy_handled_once_too_often_was_stored_too_often() -> None:
    assert broken_by_synapse(*handled(), *handled(row=2), ROW) == {"subscriber.stored"}


def test_the_same_ids_in_different_bytes_are_two_messages() -> None:
    again = ACTION | {"timestamp": "2026-02-11T14:30:01.160000+00:00"}
    second = handled(again, row=2, occurredAt="2026-02-11T14:30:01.160Z")
    assert broken_by_synapse(*handled(), *second) == set()
    assert broken_by_synapse(*handled(), second[0], *other(3)) == {"delivery.nothing-lost"}


def test_a_run_that_sees_no_rows_judges_by_the_frames() -> None:
    reach = ("redis", "stomp")
    events = (SENT, FRAME, SENT, FRAME)
    assert outcome("delivery.nothing-lost", *events, reach=reach) == "kept"
    assert outcome("delivery.duplicates", *events, reach=reach) == "kept"
    assert outcome("subscriber.broadcast", *events, reach=reach) == "kept"
