"""The subscription: which loss or excess is blamed on which clause."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from consumer import Consumer
from histories import (
    ACTION,
    ALERT,
    ALERTS,
    CASE_ACTION,
    DTO,
    Triple,
    broadcast,
    broken_by_synapse,
    fault,
    finding,
    handled,
    outcome,
    published,
    stored,
    verdict,
)

from harness.clock import Ids
from harness.history import Event, encode
from harness.messages import hostilities
from harness.synapse.instant import Instant
from harness.synapse.notification import NotificationDto, read
from harness.synapse.reader import Unreadable

OLDER: dict[str, Any] = {
    "type": "case_action_completed",
    **{name: ACTION[name] for name in ("case_id", "request_id", "executor_id", "action_type", "approved")},
    "status_code": "APPROVED",
    "at": "2026-02-11T14:30:01.150Z",
}
OLDER_HANDLED = handled(OLDER, content="케이스 case-1 승인")


def other(number: int, **changes: Any) -> tuple[Event, ...]:
    """One more case action, a second later each."""
    ids = {"case_id": f"case-{number}", "request_id": f"request-{number}"}
    return handled(ACTION | ids, row=number, at=1.0 + number, **changes)


def lost(message: dict[str, Any] | bytes = ACTION, channel: str = CASE_ACTION, *, at: float = 1.2) -> Event:
    return published(message, channel=channel, at=at, seat="harness")


SENT, ROW, FRAME = handled()
BAD = lost(b"{", at=1.5)

TRIPLES = {
    "subscriber.channels": Triple(
        kept=handled(),
        broken=(lost(ALERT, ALERTS), *other(2)),
        unproven=(BAD,),
        expected="the messages of every channel of workbench:*",
        seen="none of 1 on workbench:alert",
    ),
    "subscriber.stored": Triple(
        kept=handled(),
        broken=(SENT, FRAME),
        unproven=(SENT,),
        expected="one row",
        seen="0 rows",
    ),
    "subscriber.broadcast": Triple(
        kept=handled(),
        broken=(SENT, ROW, FRAME, FRAME),
        unproven=(SENT,),
        expected="one frame on /topic/notifications for each subscription",
        seen="2 for sub-0",
    ),
    "subscriber.stored-first": Triple(
        kept=handled(),
        broken=(SENT, FRAME, ROW),
        unproven=(SENT, FRAME),
        expected="the row before the frame",
        seen="the frame was event 2, its row 3",
    ),
    "subscriber.survives": Triple(
        kept=(*handled(), BAD, *other(2)),
        broken=(*handled(), BAD, other(2)[0]),
        unproven=handled(),
        expected="the message after a bad one is handled",
        seen="neither stored nor broadcast",
    ),
    "subscriber.older-shape": Triple(
        kept=OLDER_HANDLED,
        broken=(lost(OLDER), *other(2)),
        unproven=handled(),
        expected="a notification of a case_action_completed message",
        seen="neither stored nor broadcast",
    ),
}


@pytest.fixture(scope="module")
def bad() -> set[bytes]:
    return {message.wire for message in hostilities(1, Ids("h1")) if not message.readable}


def only_notifications(channel: str, wire: bytes, now: Instant) -> NotificationDto:
    dto = read(channel, wire, now)
    if dto.payload is not None and dto.payload.get("type") == "case_action_completed":
        raise Unreadable("IllegalArgumentException", "no constant NOTIFICATION")
    return dto


THREE = ("workbench:alert", "workbench:rag:status", "workbench:case:action")
FAULTS: dict[str, tuple[Consumer, set[str]]] = {
    "broadcast before it is stored": (Consumer(order=lambda events: events[::-1]), {"subscriber.stored-first"}),
    "never stored": (Consumer(order=lambda events: events[1:]), {"subscriber.stored"}),
    "stored twice": (Consumer(order=lambda events: [events[0], *events]), {"subscriber.stored"}),
    "never broadcast": (Consumer(order=lambda events: events[:1]), {"subscriber.broadcast"}),
    "broadcast twice": (Consumer(order=lambda events: [*events, events[1]]), {"subscriber.broadcast"}),
    "broadcast elsewhere": (
        Consumer(order=lambda events: [events[0], elsewhere(events[1])]),
        {"subscriber.broadcast"},
    ),
    "three exact channels": (Consumer(takes=lambda _, channel, wire: channel in THREE), {"subscriber.channels"}),
    "no alerts": (Consumer(takes=lambda _, channel, wire: channel != ALERTS), {"subscriber.channels"}),
    "nothing at all": (Consumer(takes=lambda _, channel, wire: False), {"subscriber.channels"}),
    "the newer shape only": (Consumer(read=only_notifications), {"subscriber.older-shape"}),
}


def elsewhere(frame: Event) -> Event:
    return replace(frame, data={**frame.data, "destination": "/topic/others"})


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_subscriber_breaks_exactly_its_clauses(name: str, generated: list[tuple[str, bytes]]) -> None:
    consumer, clauses = FAULTS[name]
    assert broken_by_synapse(*consumer.events(generated)) == clauses


def test_a_consumer_that_a_bad_message_stops_has_not_survived_it(
    generated: list[tuple[str, bytes]], bad: set[bytes]
) -> None:
    first = next(index for index, (_, wire) in enumerate(generated) if wire in bad)
    for last in (first, first - 1):
        stopping = Consumer(takes=lambda index, channel, wire, last=last: index <= last)  # type: ignore[misc]
        assert broken_by_synapse(*stopping.events(generated)) == {"subscriber.survives"}


def test_a_consumer_that_loses_what_follows_each_bad_message_has_not_survived_it(
    generated: list[tuple[str, bytes]], bad: set[bytes]
) -> None:
    def takes(index: int, channel: str, wire: bytes) -> bool:
        return index == 0 or generated[index - 1][1] not in bad

    assert broken_by_synapse(*Consumer(takes=takes).events(generated)) == {"subscriber.survives"}


@pytest.mark.parametrize("seed", range(5))
def test_whatever_a_consumer_does_not_handle_some_clause_tells(seed: int, generated: list[tuple[str, bytes]]) -> None:
    chance = random.Random(seed)
    taken = {index for index in range(len(generated)) if chance.random() < 0.5}
    assert broken_by_synapse(*Consumer(takes=lambda index, *_: index in taken).events(generated)) == {
        "delivery.nothing-lost"
    }


def test_order_is_nobody_s_promise(generated: list[tuple[str, bytes]]) -> None:
    events = Consumer().events(generated)
    sent = [event for event in events if event.kind == "published"]
    rows = [event for event in events if event.kind == "stored"]
    frames = [event for event in events if event.kind in ("broadcast", "fault")]
    random.Random(1).shuffle(rows)
    random.Random(2).shuffle(frames)
    assert broken_by_synapse(*sent, *rows, *frames) == set()


def test_each_subscription_gets_its_frame() -> None:
    second = replace(FRAME, data={**FRAME.data, "subscription": "sub-1"})
    assert outcome("subscriber.broadcast", SENT, ROW, FRAME, second) == "kept"
    found = finding("subscriber.broadcast", *handled(), second, *other(2))
    assert (found.seen, found.events) == ("0 for sub-1", (5, 6))


def test_a_frame_belongs_to_the_row_that_it_names_where_messages_are_equal() -> None:
    first, second = DTO, DTO | {"id": 2}
    rows = (stored(first, row=1), stored(second, row=2))
    frames = (broadcast(second), broadcast(first))
    assert outcome("subscriber.stored-first", SENT, SENT, *rows, *frames) == "kept"
    assert outcome("subscriber.stored-first", SENT, SENT, rows[0], *frames, rows[1]) == "broken"


@pytest.mark.parametrize("change", [lambda dto: {}, lambda dto: {"payload": None}, lambda dto: {"channel": "x"}])
def test_a_notification_finds_its_message_although_much_of_it_is_lost(change: Callable[[Any], Any]) -> None:
    messages = [other(number) for number in (2, 3, 4)]
    events = [
        event if event.kind == "published" else damaged(event, change) for message in messages for event in message
    ]
    events = [*events[3:], *events[:3]]
    assert not {clause for clause in broken_by_synapse(*events) if not clause.startswith("mapping.")}


def damaged(event: Event, change: Callable[[Any], Any]) -> Event:
    if event.kind == "stored":
        return replace(event, data={**event.data, "notification": {**event.data["notification"], **change(None)}})
    return event


def test_a_message_that_conforms_and_fails_is_lost_and_the_reason_is_shown() -> None:
    message = ACTION | {"case_id": "case-9"}
    failed = fault(
        "listener-failed", channel=CASE_ACTION, wire=encode(lost(message).data["wire"].encode()), error="NPE"
    )
    found = finding("delivery.nothing-lost", *handled(), lost(message), failed, *other(2))
    assert found.evidence.endswith("\nthe listener failed: NPE")


@pytest.mark.parametrize("wire", [b"", b"{", b"[]", b"\xff", b'{"message": 7}', b'{"a": 1, "a": 2}'])
def test_a_message_that_does_not_conform_may_be_handled_or_not(wire: bytes) -> None:
    assert broken_by_synapse(*handled(), lost(wire), *other(2)) == set()


def test_a_bad_message_is_shown_with_the_one_behind_it() -> None:
    found = finding("subscriber.survives", *TRIPLES["subscriber.survives"].broken)
    assert found.events == (4, 5)
    assert found.evidence.startswith("PUBLISH workbench:case:action\n{\nPUBLISH workbench:case:action\n")
    assert len(found.reproduce) == 2


def test_several_bad_messages_with_one_good_behind_them_are_as_many_occasions() -> None:
    assert verdict("subscriber.survives", *handled(), BAD, BAD, *other(2)).exercised == 2


def test_messages_of_aura_count_like_those_of_the_run_and_those_of_strangers() -> None:
    for seat in ("aura", "synapse", "harness", None):
        sent = published(seat=seat)
        assert outcome("subscriber.stored", sent, ROW, FRAME) == "kept"
        assert outcome("subscriber.stored", sent, FRAME) == "broken"


def test_what_the_run_itself_publishes_is_not_judged_as_aura_s() -> None:
    assert outcome("publish.common-fields", lost({"category": "X"})) == "unproven"
    assert outcome("delivery.nothing-invented", lost()) == "unproven"


def test_messages_on_other_channels_are_nobody_s_business() -> None:
    elsewhere = published(b"{}", channel="hitl:channel:session-1", seat=None)
    assert broken_by_synapse(elsewhere, *handled()) == set()
