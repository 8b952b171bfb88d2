"""A ledger tells what was lost from what was refused, what a gap took from what a publisher lost, and adds up."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

import pytest

from harness.ledger import (
    BROADCAST,
    DELIVERY,
    EXAMPLES,
    Account,
    Gap,
    Hop,
    Ledger,
    Limits,
    Marks,
    Result,
    merged,
)

ALERT, ACTION, RAG = "workbench:alert", "workbench:case:action", "workbench:rag:status"


@dataclass(slots=True)
class Book:
    """A ledger whose clock goes on by a second with everything that happens."""

    ledger: Ledger = field(default_factory=lambda: Ledger("l1", 0))
    now: float = 0.0

    def at(self) -> float:
        self.now += 1
        return self.now

    def sent(self, channel: str = ALERT, lane: int = 1) -> int:
        return self.ledger.send(channel, lane, self.at())

    def accepted(self, channel: str = ALERT, lane: int = 1) -> int:
        seq = self.sent(channel, lane)
        self.ledger.accepted(seq, self.at())
        return seq

    def came(self, channel: str = ALERT, lane: int = 1) -> int:
        seq = self.accepted(channel, lane)
        assert self.ledger.delivered(seq)
        return seq

    def cut(self, hop: str = DELIVERY) -> None:
        self.ledger.cut(hop, "it was cut")

    def restored(self, hop: str = DELIVERY) -> None:
        self.ledger.listening(hop, self.at())


@pytest.fixture
def book() -> Book:
    """Of one that listens."""
    book = Book()
    book.restored()
    return book


@pytest.fixture
def seen() -> Book:
    """Of one that looks at a screen, too."""
    book = Book(Ledger("l1", 0, screen=True))
    book.restored()
    book.restored(BROADCAST)
    return book


def test_what_is_sent_accepted_and_delivered_is_all_that_there_is(book: Book) -> None:
    book.came(ALERT)
    book.came(ACTION)
    assert book.ledger.complete
    result = book.ledger.result()
    assert result.channels == {
        ALERT: Account(sent=1, accepted=1, mapped=1, delivery=Hop(reached=1)),
        ACTION: Account(sent=1, accepted=1, mapped=1, delivery=Hop(reached=1)),
    }
    assert (result.lost(), result.first, result.gaps, [*result.faults()]) == (0, {}, (), [])


def test_accepted_and_never_delivered_is_lost(book: Book) -> None:
    book.came()
    lost = book.accepted()
    book.came()
    assert not book.ledger.complete
    result = book.ledger.result()
    assert result.total.delivery == Hop(reached=2, lost=1)
    assert result.first == {"lost: Redis delivery": (f"l1-w0-{lost}",)}
    assert [*book.ledger.lost(DELIVERY)] == [lost]


def test_refused_is_not_lost(book: Book) -> None:
    book.ledger.refused(book.sent(), book.at())
    total = book.ledger.result().total
    assert (total.sent, total.refused, total.delivery) == (1, 1, Hop())


def test_a_publish_that_was_never_answered_is_indeterminate_and_not_lost(book: Book) -> None:
    seq = book.sent()
    total = book.ledger.result().total
    assert (total.sent, total.accepted, total.indeterminate, total.delivery) == (1, 0, 1, Hop())
    assert book.ledger.unclear() == {seq}


def test_an_indeterminate_one_that_came_has_come(book: Book) -> None:
    assert book.ledger.delivered(book.sent())
    total = book.ledger.result().total
    assert (total.indeterminate, total.delivery.reached, total.mapped) == (1, 1, 1)


def test_what_was_refused_and_came_all_the_same_is_a_fault(book: Book) -> None:
    book.came()
    seq = book.sent()
    book.ledger.refused(seq, book.at())
    book.ledger.delivered(seq)
    result = book.ledger.result()
    assert (result.total.denied, result.first["refused and delivered"]) == (1, (f"l1-w0-{seq}",))
    assert [*result.faults()] == ["1 refused and delivered all the same, none may be"]


def test_the_second_delivery_is_a_duplicate_and_no_arrival(book: Book) -> None:
    seq = book.came()
    assert not book.ledger.delivered(seq)
    assert not book.ledger.delivered(seq)
    result = book.ledger.result()
    assert result.total.delivery == Hop(reached=1, duplicated=2)
    assert result.first["duplicated: Redis delivery"] == (f"l1-w0-{seq}",) * 2


def test_who_sends_one_after_the_other_has_an_order(book: Book) -> None:
    first, second = book.accepted(lane=1), book.accepted(lane=1)
    book.ledger.delivered(second)
    book.ledger.delivered(first)
    result = book.ledger.result()
    assert result.total.delivery == Hop(reached=2, out_of_order=1)
    assert result.first == {"out of order: Redis delivery": (f"l1-w0-{first}",)}
    assert [*result.faults()] == []  # no order is promised


def test_between_two_who_send_there_is_no_order(book: Book) -> None:
    first, second = book.accepted(lane=1), book.accepted(lane=2)
    book.ledger.delivered(second)
    book.ledger.delivered(first)
    assert book.ledger.result().total.delivery.out_of_order == 0


def test_a_gap_takes_what_was_published_in_it_and_nothing_else(book: Book) -> None:
    lost = book.accepted()
    book.came()
    book.cut()
    taken = [book.accepted(), book.accepted(ACTION)]
    book.restored()
    book.came()
    also_lost = book.accepted()
    book.came()
    result = book.ledger.result()
    assert result.total.delivery == Hop(reached=3, lost=2, in_gap=2)
    assert [*book.ledger.lost(DELIVERY)] == [lost, also_lost]
    assert [(gap.hop, gap.lost) for gap in result.gaps] == [(DELIVERY, 2)]
    assert result.first["in a gap: Redis delivery"] == tuple(f"l1-w0-{seq}" for seq in taken)
    assert book.ledger.unclear() == set(taken)


def test_a_gap_begins_when_the_last_message_that_came_was_sent(book: Book) -> None:
    """That a connection is gone is noticed late: what was published just before is not the publisher's loss."""
    book.came()
    book.accepted()
    book.accepted()
    book.cut()
    book.restored()
    book.came()
    assert book.ledger.result().total.delivery == Hop(reached=2, in_gap=2)


def test_what_is_under_way_when_a_gap_ends_may_have_fallen_into_it(book: Book) -> None:
    book.came()
    book.cut()
    seq = book.sent()
    book.restored()
    book.ledger.accepted(seq, book.at())
    assert book.ledger.result().total.delivery == Hop(reached=1, in_gap=1)


def test_what_was_answered_before_the_last_arrival_was_sent_is_no_gaps(book: Book) -> None:
    book.accepted()
    book.came()
    book.cut()
    book.restored()
    assert book.ledger.result().total.delivery == Hop(reached=1, lost=1)


def test_a_gap_without_an_end_lasts_to_the_end(book: Book) -> None:
    book.came()
    book.cut()
    book.accepted()
    result = book.ledger.result()
    assert result.total.delivery == Hop(reached=1, in_gap=1)
    (gap,) = result.gaps
    assert (gap.ended, gap.lost) == (None, 1)


def test_each_gap_has_its_own_number(book: Book) -> None:
    book.came()
    for count in (1, 3):
        book.cut()
        for _ in range(count):
            book.accepted()
        book.restored()
        book.came()
    assert [gap.lost for gap in book.ledger.result().gaps] == [1, 3]


def test_what_is_cut_twice_is_one_gap(book: Book) -> None:
    book.came()
    book.cut()
    book.cut()
    book.restored()
    assert len(book.ledger.result().gaps) == 1


def test_refused_in_a_gap_stays_refused(book: Book) -> None:
    book.came()
    book.cut()
    book.ledger.refused(book.sent(), book.at())
    book.restored()
    total = book.ledger.result().total
    assert (total.refused, total.delivery) == (1, Hop(reached=1))


def test_what_came_off_redis_is_due_on_the_screen(seen: Book) -> None:
    shown, lost = seen.came(), seen.came()
    assert seen.ledger.broadcast(shown)
    result = seen.ledger.result()
    assert result.total.broadcast == Hop(reached=1, lost=1)
    assert result.lost() == 1
    assert [*seen.ledger.lost(BROADCAST)] == [lost]


def test_what_did_not_come_off_redis_is_not_due_on_the_screen(seen: Book) -> None:
    seen.accepted()
    total = seen.ledger.result().total
    assert (total.delivery, total.broadcast) == (Hop(lost=1), Hop())


def test_what_synapse_cannot_read_is_not_due_on_the_screen(seen: Book) -> None:
    seq = seen.came()
    seen.ledger.malformed(seq)
    seen.ledger.malformed(seq)
    assert seen.ledger.complete
    result = seen.ledger.result()
    assert (result.total.malformed, result.total.mapped, result.total.broadcast) == (1, 0, Hop())
    assert [*result.faults()] == ["1 malformed, none may be"]


def test_the_gap_of_a_screen_is_its_own(seen: Book) -> None:
    seen.ledger.broadcast(seen.came())
    seen.cut(BROADCAST)
    seen.came()
    seen.restored(BROADCAST)
    seen.ledger.broadcast(seen.came())
    total = seen.ledger.result().total
    assert (total.delivery, total.broadcast) == (Hop(reached=3), Hop(reached=2, in_gap=1))


def test_what_comes_to_us_and_not_to_a_screen_while_our_subscription_is_gone_is_that_gaps(seen: Book) -> None:
    """Redis may have been gone for Synapse, too."""
    seen.ledger.broadcast(seen.came())
    last = seen.came()
    seen.cut()
    seen.restored()
    lost = seen.came()
    result = seen.ledger.result()
    assert result.total.broadcast == Hop(reached=1, lost=1, in_gap=1)
    assert [*seen.ledger.lost(BROADCAST)] == [lost]
    assert result.first["in a gap: broadcast"] == (f"l1-w0-{last}",)
    assert [(gap.hop, gap.lost) for gap in result.gaps] == [(DELIVERY, 1)]


def test_without_a_screen_nothing_is_said_of_one(book: Book) -> None:
    seq = book.came()
    assert not book.ledger.broadcast(seq)
    assert book.ledger.result().total.broadcast is None


def test_what_is_not_of_the_run_is_foreign(book: Book) -> None:
    book.ledger.foreign(RAG, "of others")
    result = book.ledger.result()
    assert (result.channels[RAG].foreign, result.first["foreign"]) == (1, ("of others",))


def test_an_id_that_was_never_sent_is_foreign(book: Book) -> None:
    assert not book.ledger.delivered(7)
    assert book.ledger.result().first["foreign"] == ("l1-w0-7",)


def test_what_is_ours_and_has_no_id_that_can_be_read_is_malformed(book: Book) -> None:
    book.accepted(ALERT)
    book.ledger.garbled(ALERT, '{"case_id": "l1-w0-')
    total = book.ledger.result().total
    assert (total.malformed, total.delivery.lost) == (1, 1)


def test_only_the_first_ids_are_kept(book: Book) -> None:
    for _ in range(2 * EXAMPLES):
        book.accepted()
    assert book.ledger.result().first["lost: Redis delivery"] == tuple(f"l1-w0-{seq}" for seq in range(EXAMPLES))


def test_nothing_sent_is_a_fault(book: Book) -> None:
    assert [*book.ledger.result().faults()] == ["nothing was sent"]


def test_nothing_accepted_is_a_fault(book: Book) -> None:
    book.ledger.refused(book.sent(), book.at())
    assert [*book.ledger.result().faults()] == ["none of 1 was accepted; see what was answered"]


def test_so_many_may_be_lost(book: Book) -> None:
    book.accepted()
    book.accepted()
    result = book.ledger.result()
    assert [*result.faults(Limits(lost=1, quiet=5))] == ["2 lost, or later than 5 s; at most 1 may be"]
    assert [*result.faults(Limits(lost=2))] == []


def test_so_many_copies_may_come_by_each_hop(seen: Book) -> None:
    seq = seen.came()
    for _ in range(2):
        seen.ledger.broadcast(seq)
    seen.ledger.delivered(seq)
    result = seen.ledger.result()
    assert [*result.faults()] == [
        "Redis delivery: 1 duplicated, at most 0 may be",
        "broadcast: 1 duplicated, at most 0 may be",
    ]
    assert [*result.faults(Limits(duplicated=1))] == []


def test_what_a_screens_gap_took_is_lost_unless_so_many_may_be_in_gaps(seen: Book) -> None:
    seen.ledger.broadcast(seen.came())
    seen.cut(BROADCAST)
    seen.came()
    seen.restored(BROADCAST)
    seen.ledger.broadcast(seen.came())
    result = seen.ledger.result()
    assert [*result.faults()] == ["1 lost, or later than 3 s; at most 0 may be"]
    assert [*result.faults(Limits(in_gaps={BROADCAST: 1}))] == []
    assert [*result.faults(Limits(in_gaps={BROADCAST: 0}))] == ["broadcast: 1 lost in gaps, at most 0 may be"]


def test_a_screens_gap_is_excused_where_our_subscription_was_gone_as_well(seen: Book) -> None:
    seen.ledger.broadcast(seen.came())
    seen.cut(BROADCAST)
    seen.came()
    seen.cut(DELIVERY)
    seen.restored(DELIVERY)
    seen.restored(BROADCAST)
    seen.ledger.broadcast(seen.came())
    result = seen.ledger.result()
    assert [(gap.hop, gap.lost, gap.excused) for gap in result.gaps] == [(DELIVERY, 0, True), (BROADCAST, 1, True)]
    assert [*result.faults()] == []


def test_what_our_own_subscription_missed_is_no_fault_unless_so_many_may_be_in_gaps(book: Book) -> None:
    book.came()
    book.cut()
    book.accepted()
    book.restored()
    result = book.ledger.result()
    assert [*result.faults()] == []
    assert [*result.faults(Limits(in_gaps={DELIVERY: 0}))] == ["Redis delivery: 1 lost in gaps, at most 0 may be"]


@pytest.mark.parametrize("hop", [DELIVERY, BROADCAST])
def test_a_connection_that_never_came_back_and_missed_something_is_a_fault(seen: Book, hop: str) -> None:
    seen.ledger.broadcast(seen.came())
    seen.cut(hop)
    assert [*seen.ledger.result().faults()] == []
    (seen.accepted if hop == DELIVERY else seen.came)()
    allowed = Limits(in_gaps={hop: 9})
    assert [*seen.ledger.result().faults(allowed)] == [f"{hop}: gone to the end (it was cut), 1 lost"]


def test_a_drain_that_was_given_up_is_a_fault(book: Book) -> None:
    book.came()
    assert [*book.ledger.result(drained=False).faults()] == [
        "messages still came when the drain was given up: what is told to be lost may only be late"
    ]


def test_the_rate_counts_what_was_accepted(book: Book) -> None:
    book.came()  # sent at 2
    book.ledger.refused(book.sent(), book.at())
    book.came()  # sent at 6
    result = book.ledger.result()
    assert (result.seconds, result.rate) == (4.0, 0.5)


def worker(number: int, run: str = "l1") -> Book:
    book = Book(Ledger(run, number))
    book.restored()
    return book


def test_workers_add_up_but_for_what_all_of_them_see() -> None:
    one, other = worker(0), worker(1)
    one.came(ALERT)
    one.accepted(ALERT)
    other.came(ALERT)
    other.came(ACTION)
    for book in (one, other, other):
        book.ledger.foreign(ALERT, "of others")
    result = merged([other.ledger.result(), one.ledger.result()])
    assert result.workers == (0, 1)
    assert result.channels[ALERT] == Account(sent=3, accepted=3, mapped=2, foreign=2, delivery=Hop(reached=2, lost=1))
    assert result.channels[ACTION].sent == 1
    assert result.first == {"foreign": ("of others",), "lost: Redis delivery": ("l1-w0-1",)}


def test_the_gaps_of_all_workers_are_told() -> None:
    books = [worker(0), worker(1)]
    for book in books:
        book.came()
        book.cut()
        book.accepted()
    result = merged(book.ledger.result() for book in books)
    assert [(gap.worker, gap.lost) for gap in result.gaps] == [(0, 1), (1, 1)]
    assert result.total.delivery == Hop(reached=2, in_gap=2)


def test_one_worker_that_was_not_drained_is_enough() -> None:
    results = [worker(0).ledger.result(), worker(1).ledger.result(drained=False)]
    assert not merged(results).drained


@pytest.mark.parametrize("other", [worker(0), worker(1, "l2")])
def test_what_does_not_belong_together_is_not_merged(other: Book) -> None:
    with pytest.raises(ValueError, match="another worker of l1 was expected"):
        merged([worker(0).ledger.result(), other.ledger.result()])


def test_a_result_is_the_same_when_it_was_json(seen: Book) -> None:
    seen.ledger.broadcast(seen.came())
    seen.cut()
    seen.accepted(ACTION)
    seen.restored()
    seen.ledger.foreign(RAG, "of others")
    result = seen.ledger.result()
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_every_message_is_counted_exactly_once(seed: int) -> None:
    """Against a plain list of what became of each."""
    chance = random.Random(seed)
    book = Book(Ledger("l1", 0, screen=True))
    book.restored()
    book.restored(BROADCAST)
    fates: list[tuple[str, bool, bool, bool]] = []
    for _ in range(200):
        seq = book.sent(chance.choice([ALERT, ACTION, RAG]), chance.randrange(4))
        answer = chance.choice(["accepted", "accepted", "accepted", "refused", "indeterminate"])
        if answer == "accepted":
            book.ledger.accepted(seq, book.at())
        elif answer == "refused":
            book.ledger.refused(seq, book.at())
        came, bad = chance.random() < 0.7, chance.random() < 0.1
        shown = came and not bad and chance.random() < 0.8
        for _ in range(came * chance.randrange(1, 3)):
            book.ledger.delivered(seq)
        if came and bad:
            book.ledger.malformed(seq)
        if shown:
            book.ledger.broadcast(seq)
        if chance.random() < 0.05:
            hop = chance.choice([DELIVERY, BROADCAST])
            book.cut(hop)
            book.restored(hop)
        fates.append((answer, came, bad, shown))
    total = book.ledger.result().total
    assert total.sent == 200 == total.accepted + total.refused + total.indeterminate
    assert total.delivery.reached == sum(came for _, came, _, _ in fates) == total.mapped + total.malformed
    missing = sum(answer == "accepted" and not came for answer, came, _, _ in fates)
    assert total.delivery.lost + total.delivery.in_gap == missing
    assert total.denied == sum(answer == "refused" and came for answer, came, _, _ in fates)
    assert total.broadcast is not None
    assert total.broadcast.reached == sum(shown for *_, shown in fates)
    dark = sum(came and not bad and not shown for _, came, bad, shown in fates)
    assert total.broadcast.lost + total.broadcast.in_gap == dark


def test_a_gap_meets_what_was_under_way_at_some_time_of_it() -> None:
    gap = Gap(DELIVERY, "cut", began=2, ended=4)
    times = {(0, 1): False, (0, 2): True, (3, 3): True, (4, 9): True, (5, 9): False, (0, 9): True}
    assert {each: gap.takes(*each) for each in times} == times


@pytest.mark.parametrize(
    ("wire", "found", "whose"),
    [
        (b'{"case_id": "l1-w3-17"}', (3, 17), 3),
        (b'{"case_id": "l1-w3-17-case", "request_id": "l1-w3-17"}', (3, 17), 3),
        (b'{"case_id": "l1-w3-17-case"}', None, 3),
        (b'{"case_id": "l1-w3-1', None, 3),
        (b'{"case_id": "l2-w3-17"}', None, None),
        (b'{"payload": "{\\"case_id\\": \\"l1-w3-17\\"}"}', (3, 17), 3),
        (b"\xff\xfe", None, None),
        (b'{"case_id": "l1-w0-' + b"9" * 5000 + b'"}', None, 0),
        (b'{"case_id": "l1-w' + b"9" * 5000 + b'-1"}', None, None),
    ],
)
def test_an_id_is_found_in_whatever_comes(wire: bytes, found: object, whose: object) -> None:
    marks = Marks("l1")
    assert (marks.of(wire), marks.worker(wire)) == (found, whose)
