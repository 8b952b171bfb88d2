"""An event accounts for the expectation that means it, for one only, and in the order of the file."""

from __future__ import annotations

import pytest
from expectations import (
    APPROVE,
    COMPLETED,
    FRAMED,
    RECORD,
    SENT,
    STORED,
    WHOLE,
    answered,
    begins,
    judged,
    only,
    refetch,
    story,
)
from histories import (
    ACTION,
    BODY,
    call,
    published,
    without,
)

from harness.history import Event
from harness.hops import ANSWER, FEEDBACK, FRAME, MESSAGE, ROW


def test_ids_are_taken_from_the_run_and_not_from_the_file() -> None:
    told = story(
        "record: {case: odd, request: question, approved: true}", "expect publish: {by: aura, request: question}"
    )
    assert only(told, *WHOLE).outcome == "kept"
    assert only(told, published({**ACTION, "request_id": "question"}), call()).outcome == "broken"


def test_a_message_of_a_live_seat_is_told_by_its_shape() -> None:
    told = story(APPROVE, "expect publish: {by: aura, case: odd}")
    assert only(told, published(seat=None)).outcome == "kept"
    assert only(told, answered(), published(COMPLETED, seat=None)).outcome == "broken"


def test_an_event_accounts_for_one_expectation_only() -> None:
    told = story(APPROVE, "expect publish: {by: aura}", "expect publish: {by: aura}", "expect no publish: {by: aura}")
    assert [each.outcome for each in judged(told, published(), answered())] == ["kept", "broken", "kept"]
    assert [each.outcome for each in judged(told, published(), published())] == ["kept", "kept", "kept"]
    assert [each.outcome for each in judged(told, published(), published(), published())] == ["kept", "kept", "broken"]


def test_several_are_counted() -> None:
    told = story(APPROVE, "expect publish: {by: aura, times: 3}")
    assert only(told, published(), published(), published()).events == (3, 4, 5)
    found = only(told, published(), published(), answered())
    assert (found.outcome, found.seen, found.events) == ("broken", "2 of 3; there was no Redis message", (3, 4))


def test_of_several_the_hop_is_the_first_where_some_are_missing() -> None:
    told = story(APPROVE, "expect notification: {case: odd, times: 2}")
    found = only(told, SENT, STORED, FRAMED, SENT, answered())
    assert (found.hop, found.seat) == (ROW, "synapse")
    assert found.seen == "1 of 2; of what it takes, a stored row, there were 1"


def test_order_counts_within_a_kind_unless_it_is_unordered() -> None:
    one, two = "expect publish: {by: aura, case: odd}", "expect publish: {by: aura, case: other}"
    events = (published({**ACTION, "case_id": "case-2"}), published())
    first, second = judged(story(APPROVE, one, two), *events)
    assert (first.outcome, second.outcome) == ("kept", "broken")
    assert second.seen.startswith("it came, but out of order")
    group = f"unordered:\n      - {one}\n      - {two}"
    assert {each.outcome for each in judged(story(APPROVE, group), *events)} == {"kept"}


def test_what_two_transports_show_has_no_order() -> None:
    told = story(APPROVE, "expect refetch: reviewer", "expect refetch: colleague", "expect publish: {by: aura}")
    events = (published(), refetch("colleague"), refetch("reviewer"))
    assert {each.outcome for each in judged(told, *events)} == {"kept"}


def test_in_a_group_the_one_that_asks_for_most_chooses_first() -> None:
    one, two = "expect publish: {by: aura}", "expect publish: {by: aura, case: odd, fields: {approved: true}}"
    told = story(APPROVE, f"unordered:\n      - {one}\n      - {two}")
    events = (published(), published({**ACTION, "case_id": "case-2"}))
    assert {each.outcome for each in judged(told, *events)} == {"kept"}


def test_an_expectation_looks_at_what_the_steps_before_it_caused() -> None:
    told = story(APPROVE, "expect no publish: {by: aura}", RECORD, "expect publish: {by: aura}")
    assert [each.outcome for each in judged(told, begins(1), begins(2), published())] == ["kept", "kept"]
    assert [each.outcome for each in judged(told, published(), begins(1), begins(2), call())] == ["broken", "broken"]


@pytest.mark.parametrize(
    ("expectation", "events", "hop", "seat", "seen"),
    [
        (
            "expect publish: {by: aura, fields: {status_code: REJECTED, executor_id: user-1}}",
            (published(),),
            MESSAGE,
            "aura",
            'status_code is "APPROVED", expected "REJECTED"',
        ),
        (
            "expect publish: {by: aura, fields: {message: 조치 승인됨}}",
            (published(without(ACTION, "message")),),
            MESSAGE,
            "aura",
            'message is absent, expected "조치 승인됨"',
        ),
        (
            "expect publish: {by: aura, fields: {approved: true}}",
            (published({**ACTION, "approved": 1}),),
            MESSAGE,
            "aura",
            "approved is 1, expected true",
        ),
        ("expect publish: {by: aura, fields: {a: 1}}", (published(b"\xff"),), MESSAGE, "aura", "it is no JSON object"),
        ("expect notification: {fields: {content: x}}", (STORED, FRAMED), ROW, "synapse", "content is"),
        ("expect notification: {fields: {content: x}}", (FRAMED,), FRAME, "synapse", "content is"),
        ("expect feedback: {case: odd}", (published(), call()), FEEDBACK, "aura", "there was no feedback line"),
        ("expect answer: {by: aura, status: 200}", (call(status=422),), ANSWER, "aura", "status is 422, expected 200"),
    ],
)
def test_what_came_otherwise_is_compared(
    expectation: str, events: tuple[Event, ...], hop: str, seat: str, seen: str
) -> None:
    found = only(story(RECORD, expectation), *events, call(BODY) if hop != ANSWER else begins(1))
    assert (found.outcome, found.hop, found.seat) == ("broken", hop, seat)
    assert seen in found.seen
