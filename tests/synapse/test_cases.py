"""A decision writes its history and the status of its documents, both or neither, and then it stands."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.synapse.cases import Action, AlreadyDecided, Cases, Decision, Unknown
from harness.synapse.instant import Instant

NOW = Instant(1_770_820_200, 123_456_000)
LATER = Instant(1_770_820_260)
DECISION = Decision(7, "DEMO00001", "req-1", "user-123", approved=True, comment="검토 후 승인 👍")
REJECTION = replace(DECISION, approved=False)


def opened(path: Path | None = None, approved_status: str = "APPROVED") -> Cases:
    """One case with two documents."""
    cases = Cases(path, approved_status)
    cases.create(7, "DEMO00001", ["D1", "D2"])
    return cases


def statuses(cases: Cases) -> tuple[str, ...]:
    """Of the case and of its documents."""
    case = cases.case(7, "DEMO00001")
    return (case.status, *(document.status for document in case.documents))


def test_a_case_begins_open_with_open_documents_and_no_history() -> None:
    cases = opened()
    assert statuses(cases) == ("OPEN", "OPEN", "OPEN")
    assert cases.case(7, "DEMO00001").history == ()
    assert cases.document(7, "D1").case_id == "DEMO00001"


@pytest.mark.parametrize(("decision", "status"), [(DECISION, "APPROVED"), (REJECTION, "REJECTED")])
def test_a_decision_about_a_case_is_one_about_all_its_documents(decision: Decision, status: str) -> None:
    cases = opened()
    action = cases.decide(decision, NOW)
    assert action == Action(1, decision, 2, NOW)
    assert statuses(cases) == (status, status, status)
    assert cases.case(7, "DEMO00001").history == (action,)


def test_only_the_named_document_changes() -> None:
    cases = opened()
    assert cases.decide(replace(DECISION, doc_key="D2"), NOW).fi_doc_updated == 1
    assert statuses(cases) == ("OPEN", "OPEN", "APPROVED")


def test_with_the_last_open_document_the_case_is_decided_and_what_was_decided_before_stands() -> None:
    cases = opened()
    cases.decide(replace(DECISION, doc_key="D2"), NOW)
    assert cases.decide(REJECTION, LATER).fi_doc_updated == 1
    assert statuses(cases) == ("REJECTED", "REJECTED", "APPROVED")


def test_a_case_without_documents_can_be_decided() -> None:
    cases = Cases()
    cases.create(7, "DEMO00001")
    assert cases.decide(DECISION, NOW).fi_doc_updated == 0
    assert statuses(cases) == ("APPROVED",)


def test_as_deployed_the_rows_of_an_approval_say_finalized() -> None:
    cases = opened(approved_status="FINALIZED")
    action = cases.decide(DECISION, NOW)
    assert statuses(cases) == ("FINALIZED", "FINALIZED", "FINALIZED")
    assert action.decision.status_code == "APPROVED"


@pytest.mark.parametrize("again", [DECISION, REJECTION, replace(REJECTION, doc_key="D1")])
def test_a_second_decision_is_refused_and_changes_nothing(again: Decision) -> None:
    cases = opened()
    action = cases.decide(DECISION, NOW)
    with pytest.raises(AlreadyDecided):
        cases.decide(again, LATER)
    assert statuses(cases) == ("APPROVED", "APPROVED", "APPROVED")
    assert cases.recent(7) == (action,)


@pytest.mark.parametrize(
    "decision",
    [
        replace(DECISION, case_id="DEMO00002"),
        replace(DECISION, tenant_id=8),
        replace(DECISION, doc_key="D9"),
        replace(DECISION, doc_key="OTHER"),
    ],
)
def test_what_is_not_there_cannot_be_decided(decision: Decision) -> None:
    cases = opened()
    cases.create(7, "DEMO00003", ["OTHER"])
    with pytest.raises(Unknown):
        cases.decide(decision, NOW)
    assert statuses(cases) == ("OPEN", "OPEN", "OPEN")
    assert cases.recent(7) == ()


@pytest.mark.parametrize(
    "write", ["INSERT ON case_action_history", "UPDATE ON fi_doc_header", "UPDATE ON cases"], ids=lambda write: write
)
def test_a_write_that_fails_takes_the_others_back(write: str, tmp_path: Path) -> None:
    path = tmp_path / "synapse.db"
    cases = opened(path)
    other = sqlite3.connect(path)
    other.execute(f"CREATE TRIGGER broken AFTER {write} BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="the disk is full"):
        cases.decide(DECISION, NOW)
    assert other.execute("SELECT count(*) FROM case_action_history").fetchone() == (0,)
    assert other.execute("SELECT DISTINCT status_code FROM fi_doc_header").fetchall() == [("OPEN",)]
    assert other.execute("SELECT status FROM cases").fetchone() == ("OPEN",)
    other.execute("DROP TRIGGER broken")
    assert cases.decide(DECISION, NOW).history_id == 1
    other.close()
    cases.close()


def test_nobody_else_sees_half_of_a_decision(tmp_path: Path) -> None:
    path = tmp_path / "synapse.db"
    cases = opened(path)
    seen: list[tuple[int, str]] = []
    other = sqlite3.connect(path)

    def look() -> int:
        history = other.execute("SELECT count(*) FROM case_action_history").fetchone()[0]
        seen.append((history, other.execute("SELECT max(status_code) FROM fi_doc_header").fetchone()[0]))
        return 0

    cases.database.create_function("look", 0, look)
    cases.database.execute("CREATE TEMP TRIGGER a AFTER INSERT ON main.case_action_history BEGIN SELECT look(); END")
    cases.database.execute("CREATE TEMP TRIGGER b AFTER UPDATE ON main.fi_doc_header BEGIN SELECT look(); END")
    cases.decide(DECISION, NOW)
    look()
    assert seen == [(0, "OPEN")] * 3 + [(1, "APPROVED")]
    other.close()
    cases.close()


def test_two_tenants_may_have_the_same_case() -> None:
    cases = opened()
    cases.create(8, "DEMO00001", ["D1"])
    cases.decide(replace(DECISION, tenant_id=8), NOW)
    assert statuses(cases) == ("OPEN", "OPEN", "OPEN")
    assert cases.document(8, "D1").status == "APPROVED"
    assert (cases.recent(7), len(cases.recent(8))) == ((), 1)
    assert (cases.knows(7, "DEMO00001"), cases.knows(9, "DEMO00001")) == (True, False)


def test_a_case_or_document_that_exists_is_not_made_again() -> None:
    cases = opened()
    with pytest.raises(ValueError, match="DEMO00001"):
        cases.create(7, "DEMO00001")
    with pytest.raises(ValueError, match="DEMO00002"):
        cases.create(7, "DEMO00002", ["D2"])
    assert not cases.knows(7, "DEMO00002")


def test_recent_actions_come_from_a_moment_on_oldest_first() -> None:
    cases = opened()
    first = cases.decide(replace(DECISION, doc_key="D2"), NOW)
    second = cases.decide(DECISION, LATER)
    assert cases.recent(7) == (first, second)
    assert cases.recent(7, NOW) == (first, second)
    assert cases.recent(7, Instant(NOW.seconds, NOW.nanos + 1000)) == (second,)
    assert cases.recent(7, Instant(LATER.seconds + 1)) == ()


@pytest.mark.parametrize(("since", "found"), [("-1000000000-01-01T00:00:00Z", 1), ("+1000000000-12-31T00:00:00Z", 0)])
def test_recent_actions_can_be_asked_for_from_any_instant(since: str, found: int) -> None:
    cases = opened()
    cases.decide(DECISION, NOW)
    assert len(cases.recent(7, Instant.parse(since))) == found


def test_a_file_keeps_cases_beside_the_notifications(tmp_path: Path) -> None:
    path = tmp_path / "synapse.db"
    first = opened(path)
    action = first.decide(DECISION, NOW)
    first.close()
    second = Cases(path)
    assert second.case(7, "DEMO00001").history == (action,)
    second.close()
    with pytest.raises(HarnessError, match="NOTIFICATION_DATABASE_PATH"):
        Cases(tmp_path / "absent" / "synapse.db")
