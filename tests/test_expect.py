"""Expectations are judged from a literal history: kept, broken, or unproven with the reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from expectations import (
    APPROVE,
    COMPLETED,
    FRAMED,
    GIVEN,
    GIVEN_STEP,
    IDS,
    RECORD,
    SENT,
    STORED,
    WHOLE,
    answered,
    begins,
    judged,
    only,
    read,
    refetch,
    stopped,
    story,
)
from histories import (
    REACH,
    feedback,
    history,
    published,
    step,
)

from harness import scenario
from harness.expect import judge, rejudge
from harness.history import Event, History
from harness.hops import DOCUMENT, FEEDBACK, FRAME, MESSAGE, REFETCH


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


def test_the_document_has_the_status_that_was_read_last_since_the_step_began() -> None:
    told = story(APPROVE, "expect document: {document: voucher, status: APPROVED}")
    assert only(told, read("OPEN", 0.5), begins(1), read("OPEN"), read("APPROVED")).outcome == "kept"
    assert stopped(told, begins(1), read("APPROVED"), read("OPEN")) == (
        "broken", DOCUMENT, "synapse", 'its status is "OPEN"'
    )  # fmt: skip
    assert stopped(told, read("APPROVED"), begins(1)) == ("broken", DOCUMENT, "synapse", "nobody read it")


def test_a_document_is_read_for_a_group_and_for_each_step_of_a_line() -> None:
    wanted = "expect document: {document: voucher, status: APPROVED}"
    group = story(APPROVE, f"unordered:\n      - {wanted}\n      - expect publish: {{by: aura}}")
    assert {each.outcome for each in judged(group, begins(1), read("APPROVED"), SENT)} == {"kept"}
    given = GIVEN.removesuffix("\n")
    line = scenario.parse(f"{given} [{{{APPROVE}}}, {{{wanted}}}, {{{wanted}}}]\n", Path("line.yaml"))
    events = (begins(1), read("APPROVED"), begins(2), read("OPEN"))
    assert [each.outcome for each in judged(line, *events)] == ["broken", "broken"]
    assert [each.outcome for each in judged(line, *events[:3])] == ["kept", "broken"]


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


INTERRUPTED = f"""{GIVEN}\
  - {APPROVE}
  - expect no publish: {{by: synapse}}
  - {RECORD}
  - unordered:
      - expect no feedback: {{case: other}}
      - expect publish: {{by: aura}}
  - wait: 1s
"""


def after(events: int) -> list[str]:
    """What is said of the expectations of INTERRUPTED when the run was cut off after so many of its events."""
    verbs = ("approve", "expect no publish", "record", "unordered", "wait")
    begun = [step(verb, at=1, step=index, line=0) for index, verb in enumerate(verbs)]
    given = step("given", at=0, scenario="story", file="story.yaml", text=INTERRUPTED, ids=IDS)
    found = rejudge(History(history(given, *begun[:3], SENT, *begun[3:])[: 2 + events]))
    assert found is not None
    return [each.outcome for each in found.expectations]


def test_what_must_not_come_may_still_come_after_a_run_was_cut_off() -> None:
    """It is kept once a later step has begun to do something: from there on it is not looked for any more."""
    assert after(1) == ["unproven", "unproven", "unproven"]
    assert after(2) == ["unproven", "unproven", "unproven"]
    assert after(3) == ["kept", "unproven", "unproven"]
    assert after(5) == ["kept", "unproven", "kept"]
    assert after(6) == ["kept", "kept", "kept"]


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


@pytest.mark.parametrize(
    ("expectation", "need"),
    [
        ("expect feedback: {case: odd}", "feedback"),
        ("expect no feedback: {case: other}", "feedback"),
        ("expect notification: {case: odd}", "stomp"),
        ("expect no refetch: colleague", "rest"),
    ],
)
def test_what_a_run_cannot_see_is_out_of_its_reach(expectation: str, need: str) -> None:
    told = story(APPROVE, expectation)
    (found,) = judge(told, history(GIVEN_STEP, begins(0), *WHOLE, begins(1), reach=set(REACH) - {need}))
    assert (found.outcome, found.seen, found.hop) == ("unproven", f"out of reach: needs {need}", "")
