"""Who writes what: told from when the backend decided, and from what the screens saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import ACTION, REJECTION, Triple, call, feedback, finding, outcome, published, verdict
from screens import DOCUMENT, OLDER, OTHER_DOCUMENT, announced, decided, first_load, got, loaded, opened

from harness.history import Event

LATER = {DOCUMENT: "APPROVED", OTHER_DOCUMENT: "PENDING"}
BOTH = {DOCUMENT: "APPROVED", OTHER_DOCUMENT: "APPROVED"}
BEFORE = {DOCUMENT: "PENDING", OTHER_DOCUMENT: "PENDING"}
UNCHANGED = loaded(status="OPEN", documents=BEFORE)

TRIPLES = {
    "action.recorded-first": Triple(
        kept=(opened(), decided(), announced(), loaded()),
        broken=(opened(), announced(), decided(at=1.25), loaded(notification=2)),
        unproven=(opened(), announced(), loaded()),
        expected="the commit before the notification",
        seen="the frame was event 2, the commit 3",
    ),
    "action.only-named-document": Triple(
        kept=(first_load(), opened(), decided(), announced(), loaded(documents=LATER)),
        broken=(first_load(), opened(), decided(), announced(), loaded(documents=BOTH)),
        unproven=(opened(), decided(), announced(), loaded()),
        expected="documents that were not decided on keep their status",
        seen="APPROVED, which was PENDING",
        pointer=f"/seen/documents/{OTHER_DOCUMENT}",
    ),
    "action.aura-writes-neither": Triple(
        kept=(first_load(), opened(), call(), announced(), UNCHANGED),
        broken=(first_load(), opened(), call(), announced(), loaded(status="OPEN", documents=LATER)),
        unproven=(first_load(), opened(), announced()),
        expected="the case and its documents keep their status",
        seen="APPROVED, which was PENDING",
        pointer=f"/seen/documents/{DOCUMENT}",
    ),
}

RECORDED, NAMED, NEITHER = TRIPLES


def outcomes(*events: Event) -> dict[str, str]:
    """Of the three clauses, those that were exercised."""
    found = {clause: outcome(clause, *events) for clause in TRIPLES}
    return {clause: each for clause, each in found.items() if each != "unproven"}


def test_a_refetch_that_still_sees_the_old_status_was_called_too_early() -> None:
    found = finding(RECORDED, decided(), announced(), loaded(documents={DOCUMENT: "PENDING"}))
    assert (found.expected, found.seen) == ("the refetch sees the decided status", "PENDING instead of APPROVED")
    assert found.pointer == f"/seen/documents/{DOCUMENT}"


def test_a_refetch_that_finds_no_document_sees_no_new_status() -> None:
    found = finding(RECORDED, decided(), announced(), loaded(documents={DOCUMENT: None}))
    assert found.seen == "no status instead of APPROVED"


def test_the_status_of_an_approved_document_is_approved() -> None:
    assert outcomes(decided(), announced(), loaded(documents={DOCUMENT: "FINALIZED"})) == {RECORDED: "broken"}


def test_a_rejection_is_seen_as_one() -> None:
    rejected = (decided(approved=False), announced(**REJECTION))
    assert outcomes(*rejected, loaded(documents={DOCUMENT: "REJECTED"})) == {RECORDED: "kept"}
    assert outcomes(*rejected, loaded()) == {RECORDED: "broken"}


def test_only_the_refetch_for_the_notification_has_to_see_it() -> None:
    stale = loaded(notification=9, documents={DOCUMENT: "PENDING"})
    assert outcomes(decided(), stale, announced(), loaded()) == {RECORDED: "kept"}


def test_a_refetch_may_see_what_was_decided_afterwards() -> None:
    again = decided(approved=False, request="request-2", at=1.25)
    later = loaded(documents={DOCUMENT: "REJECTED"})
    assert outcomes(decided(), announced(), again, later) == {RECORDED: "kept"}


def test_both_shapes_and_both_notifications_of_an_action_come_after_it() -> None:
    both = (decided(), announced(1), announced(2, payload=OLDER))
    assert verdict(RECORDED, *both, loaded(), loaded(notification=2)).exercised == 4
    early = announced(2, payload=OLDER, at=0.9)
    assert outcomes(early, decided(), announced(1)) == {RECORDED: "broken"}


@pytest.mark.parametrize("ids", [{"case_id": "case-2"}, {"request_id": "request-2"}, {"approved": False}])
def test_a_notification_of_something_else_may_come_before(ids: dict[str, Any]) -> None:
    assert outcomes(announced(**ids), decided()) == {}


def test_a_decision_without_a_request_is_told_by_its_case() -> None:
    assert outcomes(announced(), decided(request=None)) == {RECORDED: "broken"}


def test_a_rejection_after_the_timeout_was_not_told_of_by_the_timeout() -> None:
    """The message of the timeout is the same as the message of a rejection."""
    ids = {"case_id": "case-1", "request_id": "request-1"}
    timeout = feedback({"event": "hitl_feedback", **ids, "approved": False, "comment": "HITL timeout"}, at=0.8)
    late = (announced(**REJECTION, at=0.9), decided(approved=False))
    assert outcome(RECORDED, timeout, *late) == "unproven"
    assert outcome(RECORDED, *late) == "broken"


def test_a_decision_about_the_whole_case_is_seen_in_one_of_its_documents() -> None:
    whole = (first_load(), decided(document=None), announced())
    assert outcomes(*whole, loaded(documents=LATER)) == {RECORDED: "kept"}
    assert outcomes(*whole, loaded(documents=BEFORE)) == {RECORDED: "broken"}
    assert outcomes(*whole, loaded(documents={})) == {RECORDED: "kept"}


def test_a_decision_about_the_whole_case_may_change_every_document() -> None:
    assert NAMED not in outcomes(first_load(), decided(document=None), announced(), loaded(documents=BOTH))


def test_documents_decided_on_one_after_the_other_both_change() -> None:
    second = decided(document=OTHER_DOCUMENT, request="request-2", at=1.1)
    assert outcome(NAMED, first_load(), decided(), second, loaded(documents=BOTH)) == "unproven"
    events = (first_load(), decided(), loaded(documents=LATER), second, loaded(documents=BOTH, at=1.4))
    assert outcome(NAMED, *events) == "kept"


def test_a_refetch_that_comes_late_with_an_old_status_accuses_nobody() -> None:
    late = loaded("viewer-2", documents=BEFORE, at=1.4)
    assert outcome(NAMED, first_load(), decided(), loaded(documents=LATER), late) == "kept"


def test_a_change_is_told_once() -> None:
    events = (first_load(), decided(), loaded(documents=BOTH), loaded(documents=BOTH, at=1.4))
    assert len(verdict(NAMED, *events).findings) == 1


def test_a_change_before_any_decision_is_a_matter_of_another_clause() -> None:
    events = (first_load(), call(), loaded(documents=BOTH), decided(at=2.0), loaded(documents=BOTH, at=2.3))
    assert outcomes(*events) == {NAMED: "kept", NEITHER: "broken"}


@pytest.mark.parametrize("sign", [call(), feedback(), published(), published(ACTION, seat=None)])
def test_whatever_aura_recorded_leaves_the_rows_as_they_were(sign: Event) -> None:
    assert outcome(NEITHER, first_load(), sign, UNCHANGED) == "kept"
    changed = loaded(status="CLOSED", documents=BEFORE)
    found = finding(NEITHER, first_load(), sign, changed)
    assert (found.seen, found.pointer) == ("CLOSED, which was OPEN", "/seen/case")
    assert found.reproduce[0].endswith('"$HARNESS_SYNAPSE_URL"/api/synapse/cases/case-1')


def test_a_refused_call_records_nothing() -> None:
    assert outcome(NEITHER, first_load(), call(status=401, token="missing"), UNCHANGED) == "unproven"


def test_what_the_backend_decided_is_not_auras() -> None:
    both = (first_load(), decided(), call(), announced(), loaded(documents=LATER))
    assert outcome(NEITHER, *both) == "unproven"


def test_what_was_never_seen_before_proves_nothing() -> None:
    assert outcome(NEITHER, call(), loaded()) == "unproven"


def test_another_case_proves_nothing() -> None:
    other = (first_load(case="case-2"), call(), loaded(case="case-2"))
    assert outcome(NEITHER, *other) == "unproven"


def test_a_message_of_the_backend_before_its_commit_is_told() -> None:
    """Even if it took the workbench a while to hear of it."""
    early = replace(published(ACTION, at=1.1, seat="synapse"), about={"request": "request-1", "case": "case-1"})
    found = finding("action.recorded-first", early, decided(at=1.15))
    assert (found.expected, found.seen) == ("the commit before anybody is told", "it was event 1, the commit 2")
    assert outcome("action.recorded-first", decided(at=1.05), early) == "unproven"


LEFT = {DOCUMENT: "APPROVED", OTHER_DOCUMENT: "PENDING"}


def test_what_changed_after_the_commit_may_have_been_changed_by_either() -> None:
    story = (first_load(), opened(), decided(left=LEFT), call(at=1.1), announced(), loaded(documents=BOTH))
    assert outcomes(*story) == {RECORDED: "kept"}
    without_aura = (first_load(), opened(), decided(left=LEFT), announced(), loaded(documents=BOTH))
    assert outcomes(*without_aura) == {RECORDED: "kept", NAMED: "broken"}


def test_what_the_commit_itself_changed_is_the_backends() -> None:
    story = (first_load(), opened(), decided(left=BOTH), call(at=1.1), announced(), loaded(documents=BOTH))
    assert outcomes(*story) == {RECORDED: "kept", NAMED: "broken"}


def test_an_old_status_that_comes_late_was_changed_by_nobody() -> None:
    late = loaded(documents=BEFORE, reason="catch-up", at=1.4)
    story = (first_load(), opened(), decided(left=LEFT), call(at=1.1), announced(), loaded(documents=LATER), late)
    assert outcomes(*story)[RECORDED] == "kept"
    assert "broken" not in outcomes(*story).values()


def test_a_status_that_was_remembered_and_not_fetched_says_nothing_of_the_backend() -> None:
    remembered = loaded(documents={DOCUMENT: "PENDING"}, paths=("/api/synapse/cases/case-1",))
    assert outcomes(opened(), decided(), announced(), remembered) == {RECORDED: "kept"}


def read(*rows: str, at: float) -> Event:
    """The backend's answer to whoever read the case, with the requests in its history."""
    history = [{"historyId": number, "requestId": request} for number, request in enumerate(rows)]
    return got("/api/synapse/cases/case-1", {"data": {"caseId": "case-1", "history": history}}, at=at)


def test_a_decision_is_in_the_history_of_the_case_that_is_fetched_for_it() -> None:
    for rows, found in ((["request-1"], "kept"), ([], "broken"), (["request-9"], "broken")):
        document = got(f"/api/synapse/documents/{DOCUMENT}", {"data": {}}, at=1.26)
        story = (opened(), decided(), announced(), read(*rows, at=1.25), document, loaded())
        assert outcomes(*story)[RECORDED] == found


def test_rows_of_history_that_nobody_decided_are_told_where_aura_recorded_the_case() -> None:
    story = (first_load(), opened(), call(), read("request-1", at=1.5))
    assert finding(NEITHER, *story).seen == "1 rows where the backend decided 0 times"
    assert outcome(NEITHER, first_load(), opened(), decided(at=1.0), call(), read("request-1", at=1.5)) == "kept"


def test_a_frame_that_says_the_wrong_thing_of_the_first_decision_is_not_one_of_the_second_that_came_early() -> None:
    first = (decided(approved=False, document=OTHER_DOCUMENT), announced(approved=True, action_type="APPROVE"))
    assert outcomes(*first, decided(at=2.0), announced(2, at=2.1)) == {RECORDED: "kept"}
