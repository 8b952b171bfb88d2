"""Where a story stopped is told by its first missing hop, and nobody is blamed wrongly."""

from __future__ import annotations

import pytest
from expectations import (
    APPROVE,
    COMPLETED,
    FRAMED,
    SENT,
    SIGNAL,
    STORED,
    WHOLE,
    answered,
    judged,
    only,
    refetch,
    stopped,
    story,
)
from histories import (
    ALERT,
    ALERTS,
    CASE_ACTION,
    DETECTED,
    call,
    feedback,
    handled,
    published,
)

from harness.history import Event
from harness.hops import ANSWER, FRAME, MESSAGE, REFETCH, ROW


@pytest.mark.parametrize(
    ("events", "hop", "seat", "seen"),
    [
        ((), ANSWER, "synapse", "there was no HTTP answer"),
        ((answered(404),), ANSWER, "synapse", "the call was answered 404"),
        ((answered(), call(status=401)), ANSWER, "aura", "the call was answered 401"),
        ((answered(None),), ANSWER, "synapse", "the call was answered not at all"),
        ((answered(),), MESSAGE, "aura", "there was no Redis message"),
        ((SENT, answered()), ROW, "synapse", "there was no stored row"),
        ((SENT, STORED, answered()), FRAME, "synapse", "there was no STOMP frame"),
        ((SENT, STORED, FRAMED, answered()), REFETCH, "workbench", "there was no refetch"),
        ((*WHOLE[:4], refetch("colleague"), answered()), REFETCH, "workbench", "there was no refetch"),
        ((*WHOLE[:4], refetch(reason="opened"), answered()), REFETCH, "workbench", "there was no refetch"),
        (
            (*WHOLE[:4], refetch(status="OPEN"), answered()),
            REFETCH,
            "workbench",
            "the screen shows doc-1 as OPEN, expected APPROVED",
        ),
    ],
)
def test_a_refetch_that_does_not_come_names_the_hop(events: tuple[Event, ...], hop: str, seat: str, seen: str) -> None:
    told = story(APPROVE, "expect refetch: {viewer: reviewer, sees: APPROVED}")
    assert stopped(told, *events) == ("broken", hop, seat, seen)


def test_the_backends_own_completion_does_not_stand_for_auras_message() -> None:
    told = story(
        "request approval: {case: odd, request: question}",
        "approve: {request: question, by: signal}",
        "expect publish: {by: aura, request: question}",
    )
    completed = published(COMPLETED, seat="synapse")
    assert stopped(told, completed, SIGNAL, answered()) == ("broken", MESSAGE, "aura", "there was no Redis message")


def test_what_did_not_come_to_a_hop_does_not_come_to_a_later_one_whatever_else_came_there() -> None:
    told = story(
        "request approval: {case: odd, request: question}",
        "approve: {request: question, by: signal}",
        "expect publish: {by: aura, request: question}",
        "expect notification: {request: question, fields: {content: 조치 승인됨}}",
    )
    completed = published(COMPLETED, seat="synapse")
    _, row, frame = handled(COMPLETED, content="케이스 case-1 승인")
    message, notification = judged(told, completed, SIGNAL, row, frame, answered())
    assert (message.hop, message.seat) == (notification.hop, notification.seat) == (MESSAGE, "aura")


def test_an_answer_that_the_backend_keeps_to_itself_is_its_own_fault() -> None:
    told = story(
        "request approval: {case: odd, request: question}",
        "approve: {request: question, by: signal}",
        "expect publish: {by: aura, request: question}",
        "expect refetch: reviewer",
    )
    for found in judged(told, answered()):
        assert (found.outcome, found.hop, found.seat) == ("broken", MESSAGE, "synapse")
        assert found.seen == "the backend published no answer on hitl:channel:{session}"


def test_where_nothing_came_the_events_before_are_shown() -> None:
    later = [feedback(at=5.0) for _ in range(6)]
    found = only(story(APPROVE, "expect refetch: reviewer"), answered(at=1.1), SENT, STORED, FRAMED, *later)
    assert (found.hop, found.events) == (REFETCH, ())
    assert [event.kind for event in found.around] == ["http", "published", "stored", "broadcast", *["feedback"] * 3]


def test_a_signal_that_is_published_directly_has_no_http_answer() -> None:
    told = story("approve: {request: question, by: signal, session: ours}", "expect publish: {by: aura}")
    assert stopped(told)[1:3] == (MESSAGE, "aura")


def test_what_nobody_called_for_begins_with_the_message() -> None:
    told = story("detect: {case: other, severity: HIGH}", "expect notification: {case: other}")
    assert stopped(told, DETECTED)[1:3] == (MESSAGE, "aura")
    assert stopped(told, DETECTED, published(ALERT, channel=ALERTS))[1:3] == (ROW, "synapse")


def test_catching_up_needs_no_message() -> None:
    told = story("restore: {viewer: reviewer}", "expect refetch: {viewer: reviewer, because: catch-up}")
    assert stopped(told) == ("broken", REFETCH, "workbench", "there was no refetch")
    assert only(told, refetch(reason="catch-up")).outcome == "kept"
    assert stopped(told, refetch())[3] == "it came because of notification, expected catch-up"


def test_a_message_of_the_run_that_does_not_pass_is_nobody_elses_fault() -> None:
    told = story(
        f'publish: {{channel: "{CASE_ACTION}", about: a test, json: {{a: 1}}}}', "expect notification: {fields: {a: 1}}"
    )
    assert stopped(told)[1:3] == (MESSAGE, "harness")


def test_a_broken_expectation_shows_the_events_around_the_place() -> None:
    found = only(story(APPROVE, "expect publish: {by: aura, fields: {approved: false}}"), *WHOLE)
    assert [event.kind for event in found.around] == [
        "step",
        "step",
        "feedback",
        "published",
        "stored",
        "broadcast",
        "refetch",
    ]
