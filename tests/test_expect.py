"""Expectations are judged from a literal history: kept, broken at a hop, or unproven; and nobody is blamed wrongly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from histories import (
    ACTION,
    ALERT,
    ALERTS,
    BODY,
    CASE_ACTION,
    DETECTED,
    Json,
    call,
    feedback,
    handled,
    history,
    published,
    step,
    without,
)
from histories import answered as signalled

from harness import scenario
from harness.expect import ANSWER, DOCUMENT, FEEDBACK, FRAME, MESSAGE, REFETCH, ROW, Judged, judge, satisfied
from harness.history import Event, History
from harness.scenario import Scenario

GIVEN = """title: A story.
given:
  cases:
    odd:
    other:
  documents:
    voucher: {case: odd}
  viewers:
    reviewer: {shows: odd}
    colleague: {shows: odd}
steps:
"""
IDS = {
    "cases": {"odd": ["case-1"], "other": ["case-2"]},
    "documents": {"voucher": ["doc-1"]},
    "requests": {"question": ["request-1"]},
    "rag": {"manual": ["document-1"]},
    "actions": {"odd": ["17"], "other": ["18"]},
}
GIVEN_STEP = step("given", at=0, ids=IDS)
COMPLETED: Json = {"type": "case_action_completed", "case_id": "case-1", "request_id": "request-1", "approved": True}


def story(*steps: str) -> Scenario:
    return scenario.parse(GIVEN + "".join(f"  - {each}\n" for each in steps), Path("story.yaml"))


def begins(index: int, at: float = 1.0, **data: Any) -> Event:
    return step("…", at=at, step=index, line=0, **data)


def judged(told: Scenario, *events: Event) -> tuple[Judged, ...]:
    """The run began the first step before these events, and every other step that they do not begin behind them."""
    begun = {event.data["step"] for event in events if "step" in event.data}
    first = [begins(0)] if 0 not in begun else []
    rest = [begins(index) for index in range(1, len(told.steps)) if index not in begun]
    return judge(told, history(GIVEN_STEP, *first, *events, *rest))


def only(told: Scenario, *events: Event) -> Judged:
    (found,) = judged(told, *events)
    return found


def stopped(told: Scenario, *events: Event) -> tuple[str, str, str, str]:
    found = only(told, *events)
    return found.outcome, found.hop, found.seat, found.seen


def refetch(viewer: str = "reviewer", reason: str = "notification", status: str = "APPROVED", at: float = 1.3) -> Event:
    data = {"viewer": viewer, "case": "case-1", "reason": reason, "seen": {"documents": {"doc-1": status}}}
    return dataclasses.replace(step("", at=at), kind="refetch", seat="workbench", data=data)


def answered(status: int | None = 200, path: str = "/api/synapse/actions/17/approve", **changes: Any) -> Event:
    return dataclasses.replace(call(b"{}", status=status, path=path, **changes), seat="synapse")


def read(status: str, at: float = 1.5) -> Event:
    answer = {"success": True, "data": {"docKey": "doc-1", "status": status}}
    return answered(path="/api/synapse/documents/doc-1", method="GET", answer=answer, at=at)


SIGNAL = dataclasses.replace(signalled(), seat="synapse")
APPROVE = "approve: {case: odd, by: api}"
RECORD = "record: {case: odd, approved: true}"
SENT, STORED, FRAMED = handled()
SENT = dataclasses.replace(SENT, seat="aura")
WHOLE = (feedback(), SENT, STORED, FRAMED, refetch(), call(), answered())


# ---- Kept


@pytest.mark.parametrize(
    "expectation",
    [
        "expect answer: {by: synapse, status: 200, case: odd}",
        "expect answer: {by: aura, status: 200, fields: {data: {ok: true}}}",
        "expect feedback: {case: odd, fields: {approved: true, comment: 검토 후 승인}}",
        "expect publish: {by: aura, case: odd, fields: {status_code: APPROVED}}",
        'expect publish: {by: aura, channel: "workbench:case:action"}',
        "expect notification: {case: odd, fields: {content: 조치 승인됨, tenantId: 0}}",
        "expect refetch: {viewer: reviewer, because: notification, sees: APPROVED}",
        "expect no publish: {by: synapse}",
        "expect no notification: {case: other}",
        "expect no refetch: colleague",
        "expect no feedback: {fields: {approved: false}}",
    ],
)
def test_what_happened_keeps_the_expectation(expectation: str) -> None:
    found = only(story(APPROVE, expectation), *WHOLE)
    assert (found.outcome, found.seen) == ("kept", "")


def test_an_expectation_is_told_as_the_file_has_it() -> None:
    told = story(APPROVE, "expect publish: {by: aura, case: odd, fields: {approved: true, message: 조치}, times: 2}")
    assert only(told).expected == "expect publish: by aura, case odd, fields {approved: true, message: 조치}, times 2"


def test_ids_are_taken_from_the_run_and_not_from_the_file() -> None:
    told = story(
        "record: {case: odd, request: question, approved: true}", "expect publish: {by: aura, request: question}"
    )
    assert only(told, *WHOLE).outcome == "kept"
    assert only(told, published({**ACTION, "request_id": "question"}), call()).outcome == "broken"


def test_the_document_has_the_status_that_was_read_last_since_the_step_began() -> None:
    told = story(APPROVE, "expect document: {document: voucher, status: APPROVED}")
    assert only(told, read("OPEN", 0.5), begins(1), read("OPEN"), read("APPROVED")).outcome == "kept"
    assert stopped(told, begins(1), read("APPROVED"), read("OPEN")) == (
        "broken", DOCUMENT, "synapse", 'its status is "OPEN"'
    )  # fmt: skip
    assert stopped(told, read("APPROVED"), begins(1)) == ("broken", DOCUMENT, "synapse", "nobody read it")


def test_a_message_of_a_live_seat_is_told_by_its_shape() -> None:
    told = story(APPROVE, "expect publish: {by: aura, case: odd}")
    assert only(told, published(seat=None)).outcome == "kept"
    assert only(told, answered(), published(COMPLETED, seat=None)).outcome == "broken"


# ---- Each event accounts for one expectation


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


# ---- Where the story stopped


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


@pytest.mark.parametrize(
    ("expectation", "event", "hop", "seat"),
    [
        ("expect no publish: {}", published(COMPLETED, seat="synapse"), MESSAGE, "synapse"),
        ("expect no notification: {case: odd}", FRAMED, FRAME, "synapse"),
        ("expect no refetch: reviewer", refetch(), REFETCH, "workbench"),
        ("expect no feedback: {}", feedback(), FEEDBACK, "aura"),
    ],
)
def test_what_must_not_happen_is_named_when_it_does(expectation: str, event: Event, hop: str, seat: str) -> None:
    assert stopped(story(APPROVE, expectation), event) == ("broken", hop, seat, "it came")
    assert only(story(APPROVE, expectation), event).events == (3,)
    assert stopped(story(APPROVE, expectation), event, event)[3] == "it came 2 times"


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


# ---- Unproven


def test_what_the_run_did_not_come_to_is_unproven() -> None:
    told = story(APPROVE, "expect publish: {by: aura}", RECORD, "expect publish: {by: aura}")
    found = judge(told, history(GIVEN_STEP, begins(0), published(), begins(1), begins(2)))
    assert [each.outcome for each in found] == ["kept", "unproven"]
    assert found[1].seen == "the run did not come as far as this step"
    assert {each.outcome for each in judge(told, History([]))} == {"unproven"}


def test_what_this_run_cannot_play_is_unproven_from_there_on_and_says_why() -> None:
    told = story(APPROVE, "expect publish: {by: aura}", "stop redis:", "expect no publish: {}")
    reason = "the Redis at --redis is not ours to stop"
    found = judge(told, history(GIVEN_STEP, begins(0), published(), begins(1), begins(2, unproven=reason)))
    assert [(each.outcome, each.seen) for each in found] == [("kept", ""), ("unproven", reason)]


def test_the_runner_can_ask_whether_a_step_has_what_it_waits_for() -> None:
    told = story(APPROVE, "unordered:\n      - expect publish: {by: aura}\n      - expect feedback: {}")
    until = [GIVEN_STEP, begins(0), begins(1), published()]
    assert not satisfied(told, history(*until), told.steps[1])
    assert satisfied(told, history(*until, feedback()), told.steps[1])


def test_a_history_of_anything_is_judged_without_an_accident() -> None:
    odd: list[Event] = [
        dataclasses.replace(FRAMED, data={"body": {"base64": "/w=="}}),
        dataclasses.replace(FRAMED, data={}),
        dataclasses.replace(SENT, data={"channel": "workbench:alert", "wire": "[1"}),
        dataclasses.replace(STORED, data={"id": 1, "notification": None}),
        dataclasses.replace(refetch(), data={"viewer": "reviewer", "seen": None}),
        feedback("no JSON"),
        answered(None),
    ]
    for told in scenario.load_all():
        begun = [begins(index) for index in range(len(told.steps))]
        assert judge(told, history(GIVEN_STEP, *[part for each in begun for part in (each, *odd)]))
