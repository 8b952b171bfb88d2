"""Approval requests: what decides each, and which clause is broken by what is recorded of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import (
    ACTION,
    ALERT,
    ALERTS,
    BODY,
    DETECTED,
    KEPT,
    LINE,
    REJECTION,
    REQUEST,
    Triple,
    answered,
    asked,
    broken,
    call,
    fault,
    feedback,
    finding,
    outcome,
    published,
    step,
    verdict,
    waiting,
    without,
)

from harness.history import Event

Events = tuple[Event, ...]

END = step("finished", at=900.0)
REFUSED_LINE = LINE | {"approved": False, "action_type": "REJECT"}
OTHER_REQUEST = REQUEST | {"requestId": "request-2", "sessionId": "session-2", "context": {"case_id": "case-2"}}


def recorded(approved: bool = True, *, comment: str = "", at: float = 1.1, **changes: Any) -> Events:
    """The feedback line and the message of an outcome; `changes` change both."""
    line = (LINE if approved else REFUSED_LINE) | {"comment": comment} | changes
    return feedback(line, at=at), message(approved, at=at + 0.01, **changes)


def message(approved: bool = True, *, at: float = 1.11, **changes: Any) -> Event:
    stamp = {"timestamp": f"2026-02-11T14:{30 + int(at) // 60}:{int(at) % 60:02}+00:00"}
    known = {name: value for name, value in changes.items() if name != "doc_key"}
    return published(ACTION | ({} if approved else REJECTION) | stamp | known, at=at)


def timed_out(at: float = 300.6, **changes: Any) -> Events:
    return recorded(False, **{"comment": "HITL timeout", **changes}, at=at)


ASKED = (asked(), waiting())
APPROVED = (*ASKED, answered(), *recorded(), END)
REJECTED = (*ASKED, answered(False, reason="증빙 부족"), *recorded(False, comment="증빙 부족"), END)
TIMED_OUT = (*ASKED, *timed_out(), END)
ELSEWHERE = answered(session="session-2", at=0.8)
ANOTHER = answered(request="request-2", at=0.8)

TRIPLES = {
    "hitl.request-stored": Triple(
        kept=APPROVED,
        broken=(waiting(), END),
        unproven=KEPT,
        expected="the request, as the agreement describes it, is stored before Aura listens for its answer",
        seen="nothing was stored",
    ),
    "hitl.approve-recorded": Triple(
        kept=APPROVED,
        broken=(*ASKED, answered(), feedback(LINE | {"comment": ""}), END),
        unproven=REJECTED,
        expected="one message on workbench:case:action",
        seen="0 for request request-1",
    ),
    "hitl.reject-recorded": Triple(
        kept=REJECTED,
        broken=(*ASKED, answered(False), *recorded(False), *recorded(False, at=1.3), END),
        unproven=APPROVED,
        expected="one message on workbench:case:action",
        seen="2 for request request-1",
    ),
    "hitl.timeout-recorded": Triple(
        kept=TIMED_OUT,
        broken=(*ASKED, *recorded(True, comment="HITL timeout", at=300.6), END),
        unproven=APPROVED,
        expected="approved as decided",
        seen="true where it was false",
        pointer="/approved",
    ),
    "hitl.deadline": Triple(
        kept=TIMED_OUT,
        broken=(*ASKED, *timed_out(250.6), END),
        unproven=APPROVED,
        expected="a timeout is recorded at its deadline, not before",
        seen="request request-1 was recorded 50.000 s before",
    ),
    "hitl.other-session": Triple(
        kept=(*ASKED, ELSEWHERE, answered(), *recorded(), END),
        broken=(*ASKED, ELSEWHERE, *recorded(at=0.85), END),
        unproven=APPROVED,
        expected="an answer to somebody else resolves nothing",
        seen="request request-1 was recorded upon the answer to session session-2",
    ),
    "hitl.other-request": Triple(
        kept=(*ASKED, ANOTHER, answered(), *recorded(), END),
        broken=(*ASKED, ANOTHER, *recorded(at=0.85), END),
        unproven=APPROVED,
        expected="an answer to somebody else resolves nothing",
        seen="request request-1 was recorded upon the answer to request request-2",
    ),
    "hitl.feedback": Triple(
        kept=APPROVED,
        broken=(*ASKED, answered(), *recorded(doc_key="another"), END),
        unproven=(asked(), END),
        expected="doc_key of the request in its feedback line",
        seen='"another" where it was "1000-1900000001-2024"',
        pointer="/doc_key",
    ),
}


@pytest.mark.parametrize("events", [APPROVED, REJECTED, TIMED_OUT])
def test_what_is_decided_and_recorded_as_it_should_be_breaks_nothing(events: Events) -> None:
    assert broken(*events) == set()


# ---- Which clauses a deviation breaks


@pytest.mark.parametrize(
    ("events", "clauses"),
    [
        ((*ASKED, answered(), END), {"hitl.approve-recorded", "hitl.feedback"}),
        ((*ASKED, answered(False), END), {"hitl.reject-recorded", "hitl.feedback"}),
        ((*ASKED, END), {"hitl.timeout-recorded", "hitl.feedback"}),
        ((*ASKED, *timed_out(), *timed_out(300.62), END), {"hitl.timeout-recorded", "hitl.feedback"}),
        ((*ASKED, *timed_out(250.6), END), {"hitl.deadline"}),
        ((*ASKED, *timed_out(300.8), END), {"hitl.deadline"}),
        ((*ASKED, *timed_out(comment=""), END), {"hitl.timeout-recorded"}),
        (
            (*ASKED, answered(), *recorded(executor_id="user-2"), END),
            {"hitl.approve-recorded", "hitl.feedback", "publish.echo"},
        ),
        ((*ASKED, answered(), *recorded(False), END), {"hitl.approve-recorded"}),
        ((*ASKED, *recorded(at=0.9), END), {"hitl.approve-recorded"}),
        ((*ASKED, answered(), message(), feedback(LINE, at=1.2), END), {"hitl.feedback", "publish.after-feedback"}),
        ((waiting(), asked(at=0.7), answered(), *recorded(), END), {"hitl.request-stored"}),
        ((asked(without(REQUEST, "userId", "tenantId")), waiting(), END), {"hitl.request-stored"}),
        ((asked(key="hitl:request:other"), waiting(), answered(), *recorded(), END), {"hitl.request-stored"}),
    ],
)
def test_a_deviation_breaks(events: Events, clauses: set[str]) -> None:
    judged = broken(*events)
    if clauses == {"hitl.request-stored"} and REQUEST["userId"] not in str(events[0].data):
        judged &= clauses  # what nobody is known to have asked for is not recorded either
    assert judged == clauses


def test_an_answer_that_came_in_time_wins_over_the_deadline() -> None:
    events = (*ASKED, answered(at=300.3), *timed_out(), END)
    assert broken(*events, time="virtual") == {"hitl.approve-recorded"}


def test_an_answer_after_the_deadline_changes_nothing() -> None:
    events = (*ASKED, *timed_out(), answered(at=300.8), END)
    assert broken(*events) == set()
    assert outcome("hitl.approve-recorded", *events) == "unproven"


@pytest.mark.parametrize("at", [300.55, 300.65])
def test_on_wall_time_answer_and_deadline_close_together_leave_both_open(at: float) -> None:
    signal = answered(at=at)
    assert broken(*ASKED, signal, *recorded(at=at + 0.01), END) == set()
    assert broken(*ASKED, signal, *timed_out(at=300.66), END) == set()
    assert broken(*ASKED, signal, END) >= {"hitl.feedback"}


def test_on_virtual_time_a_moment_before_the_deadline_is_before_it() -> None:
    events = (*ASKED, answered(at=300.599), *recorded(at=300.599), END)
    assert broken(*events, time="virtual") == set()
    assert outcome("hitl.timeout-recorded", *events, time="virtual") == "unproven"


def test_a_message_that_is_no_answer_decides_nothing() -> None:
    assert broken(*ASKED, answered(None), *timed_out(), END) == set()
    assert outcome("hitl.approve-recorded", *ASKED, answered(None), *timed_out(), END) == "unproven"


def test_the_first_answer_decides() -> None:
    events = (*ASKED, answered(), *recorded(), answered(False, at=1.2), END)
    assert broken(*events) == set()
    assert outcome("hitl.reject-recorded", *events) == "unproven"


def test_an_early_timeout_is_not_blamed_on_an_answer_elsewhere() -> None:
    refused_elsewhere = answered(False, session="session-2", at=250.6)
    assert broken(*ASKED, refused_elsewhere, *timed_out(250.61), END) == {"hitl.deadline"}


def test_an_answer_to_somebody_else_is_blamed_also_where_the_right_one_came_right_after_it() -> None:
    events = (*ASKED, ANOTHER, answered(False, at=0.81), *recorded(at=0.85), END)
    assert broken(*events) == {"hitl.other-request"}


# ---- What is not judged


@pytest.mark.parametrize(
    "events",
    [
        (asked(REQUEST | {"context": {"question": "?"}}), waiting(), answered(), END),
        (*ASKED, step("expire", at=0.7, key="hitl:request:request-1"), answered(), END),
        (*ASKED, replace(fault("emptied", at=0.7), seat="redis"), answered(), END),
        (asked(ttl=200), waiting(), END),
        (*ASKED, answered(), step("interrupted", at=1.0)),
        (*ASKED, step("interrupted", at=300.0)),
        (asked(), END),
    ],
    ids=[
        "no case",
        "expired",
        "lost by redis",
        "lived too short",
        "ended at the answer",
        "ended before the deadline",
        "never waited",
    ],
)
def test_nothing_has_to_be_recorded(events: Events) -> None:
    assert broken(*events) == set()


def test_a_timeout_before_its_deadline_is_told_also_where_the_run_ended_before() -> None:
    assert broken(*ASKED, *timed_out(200.0), step("finished", at=210.0)) == {"hitl.deadline"}


def test_what_expired_later_had_to_be_recorded() -> None:
    events = (*ASKED, answered(), step("expire", at=1.5, key="hitl:request:request-1"), END)
    assert "hitl.approve-recorded" in broken(*events)


def test_an_answer_while_aura_is_cut_off_is_lost() -> None:
    cut, restored = (replace(fault(do, at=at), seat="aura") for do, at in (("cut", 0.9), ("restored", 1.1)))
    assert broken(*ASKED, cut, answered(), restored, waiting(at=1.1), *timed_out(), END) == set()
    assert outcome("hitl.approve-recorded", *ASKED, cut, answered(), restored, *timed_out(), END) == "unproven"


def of_aura(do: str, at: float, **data: Any) -> Event:
    return replace(fault(do, at=at, **data), seat="aura")


@pytest.mark.parametrize(
    "events",
    [
        (*ASKED, of_aura("cut", 200.0), END),
        (*ASKED, of_aura("cut", 200.0), of_aura("restored", 301.0), END),
        (*ASKED, of_aura("cut", 300.65, noticed=True), of_aura("restored", 301.0), END),
        (*ASKED, answered(), of_aura("failed", 1.01), END),
        (*ASKED, answered(), of_aura("cut", 1.05, noticed=True), END),
        (*ASKED, of_aura("cut", 200.0), of_aura("failed", 210.0), of_aura("restored", 301.0), END),
    ],
    ids=["to the end", "at the deadline", "noticed later", "a command", "at the answer", "a command in a cut"],
)
def test_what_is_decided_while_aura_cannot_reach_redis_need_not_be_recorded(events: Events) -> None:
    assert broken(*events) == set()
    assert outcome("hitl.timeout-recorded", *events) == outcome("hitl.feedback", *events) == "unproven"


@pytest.mark.parametrize(
    ("events", "clause"),
    [
        ((*ASKED, of_aura("cut", 200.0), of_aura("restored", 300.5), END), "hitl.timeout-recorded"),
        ((*ASKED, of_aura("cut", 301.0), END), "hitl.timeout-recorded"),
        ((*ASKED, fault("cut", at=200.0), END), "hitl.timeout-recorded"),
        ((*ASKED, of_aura("cut", 0.7), of_aura("restored", 1.0), answered(), END), "hitl.approve-recorded"),
        ((*ASKED, of_aura("failed", 0.9), answered(), END), "hitl.approve-recorded"),
    ],
    ids=["back at the deadline", "gone after it", "of synapse", "back at the answer", "a command before it"],
)
def test_what_is_decided_before_and_after_has_to_be(events: Events, clause: str) -> None:
    assert broken(*events) == {clause, "hitl.feedback"}


def test_what_aura_recorded_all_the_same_is_judged_where_it_says_something_else() -> None:
    events = (*ASKED, of_aura("cut", 250.0), of_aura("restored", 301.0))
    assert broken(*events, *timed_out(301.1), END) == set()
    assert broken(*ASKED, *timed_out(240.0), *events[2:], END) == {"hitl.deadline"}


def test_an_answer_before_aura_listens_is_lost() -> None:
    assert broken(asked(), answered(at=0.55), waiting(), *timed_out(), END) == set()


def test_without_feedback_in_reach_the_messages_are_judged() -> None:
    reach = ("redis", "hitl-timeout", "trigger:hitl")
    messages = (*ASKED, answered(), message(), END)
    assert broken(*messages, reach=reach) == set()
    assert broken(*ASKED, answered(), END, reach=reach) == {"hitl.approve-recorded"}
    assert broken(*ASKED, message(False, at=250.0), END, reach=reach) == {"hitl.deadline"}


# ---- Which message belongs to whom


def test_two_requests_at_once_are_judged_apart() -> None:
    second = (asked(OTHER_REQUEST), waiting(request="request-2", session="session-2"))
    ids: dict[str, Any] = {"case_id": "case-2", "request_id": "request-2", "doc_key": None}
    events = (*ASKED, *second, answered(), answered(False, request="request-2", session="session-2"), *recorded())
    assert broken(*events, *recorded(False, **ids), END) == set()
    assert broken(*events, END) == {"hitl.reject-recorded", "hitl.feedback"}


def test_two_requests_of_one_session_are_each_waited_for() -> None:
    second = (asked(OTHER_REQUEST | {"sessionId": "session-1"}), waiting(request="request-2"))
    ids: dict[str, Any] = {"case_id": "case-2", "request_id": "request-2", "doc_key": None}
    answers = (answered(), answered(False, request="request-2", at=1.01))
    assert broken(*ASKED, *second, *answers, *recorded(), *recorded(False, **ids), END) == set()


@pytest.mark.parametrize("reviewer", ["user-1", "user-2"])
@pytest.mark.parametrize("first", ["call", "request"])
def test_a_call_may_record_the_same_action(first: str, reviewer: str) -> None:
    by_call = BODY | {"executor_id": reviewer}
    lines = {name: by_call[name] for name in ("comment", "executor_id")}
    of_call = (feedback(LINE | lines, at=1.12), message(at=1.13, executor_id=reviewer))
    of_request = recorded() if first == "request" else recorded(at=1.2)
    both = (*of_request, *of_call) if first == "request" else (*of_call, *of_request)
    assert broken(*ASKED, answered(), *both, call(by_call, began=1.0), END) == set()
    lost = (*ASKED, answered(), *of_call, call(by_call, began=1.0), END)
    assert broken(*lost) == {"hitl.approve-recorded", "hitl.feedback"}


def test_an_alert_about_the_same_case_is_no_outcome() -> None:
    alert = published(ALERT | {"case_id": "case-1", "timestamp": "2026-02-11T14:30:01+00:00"}, channel=ALERTS, at=1.0)
    detected = step("detect", at=0.9, case_id="case-1", severity="HIGH", score=0.85)
    assert broken(*ASKED, detected, alert, answered(at=1.01), *recorded(), END) == set()
    assert "delivery.nothing-invented" in broken(*ASKED, alert, *timed_out(), END)


def test_a_cut_of_aura_is_no_gap_of_synapse() -> None:
    assert outcome("delivery.gap", DETECTED, replace(fault("cut"), seat="aura"), published(), END) == "unproven"


# ---- What a finding says


def test_a_finding_shows_the_request_the_answer_and_what_was_recorded() -> None:
    found = finding("hitl.other-request", *TRIPLES["hitl.other-request"].broken)
    assert found.events == (1, 2, 3, 4)
    assert [line.split(" {")[0][:40] for line in found.evidence.splitlines() if not line.startswith("{")] == [
        "SET hitl:request:request-1 EX 1800",
        "SUBSCRIBE hitl:channel:session-1, for 30",
        "PUBLISH hitl:channel:session-1",
        "feedback",
    ]
    assert found.reproduce[1].startswith('redis-cli -u "$HARNESS_REDIS_URL" PUBLISH hitl:channel:session-1 ')


def test_each_request_is_an_occasion() -> None:
    assert verdict("hitl.approve-recorded", *APPROVED).exercised == 1
    assert verdict("hitl.request-stored", *APPROVED).exercised == 1


def test_an_answer_at_the_very_deadline_may_be_too_late() -> None:
    deadline = 300.6
    assert broken(*ASKED, *timed_out(deadline), answered(at=deadline), END) == set()
    assert broken(*ASKED, answered(at=deadline), *recorded(at=deadline + 0.01), END) == set()


def test_a_feedback_line_names_the_decision_and_its_request() -> None:
    for wrong in ({"approved": False}, {"approved": "true"}, {"request_id": "request-9"}):
        events = (*ASKED, answered(), feedback(LINE | wrong), message(), END)
        assert "hitl.feedback" in broken(*events)
