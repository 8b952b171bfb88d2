"""The screens: who owes a refetch, who owes none, and who is excused."""

from __future__ import annotations

import pytest
from histories import (
    ACTION,
    CASE_ACTION,
    DTO,
    Triple,
    broadcast,
    finding,
    handled,
    outcome,
    published,
    step,
    verdict,
    without,
)
from screens import (
    DOCUMENT,
    OLDER,
    OTHER_DOCUMENT,
    announced,
    closed,
    cut,
    decided,
    first_load,
    got,
    loaded,
    opened,
    restored,
)

from harness.history import Event

CASE = "/api/synapse/cases/case-1"
STORY = (first_load(), opened(), decided(), announced(), loaded())
CAUGHT_UP = loaded(reason="catch-up", at=6.0)

TRIPLES = {
    "refetch.showing": Triple(
        kept=STORY,
        broken=(first_load(), opened(), decided(), announced()),
        unproven=(first_load(case="case-2"), opened(case="case-2"), announced()),
        expected="case detail and documents are fetched again",
        seen="viewer-1 fetched nothing",
    ),
    "refetch.others": Triple(
        kept=(opened(case="case-2"), announced()),
        broken=(opened(case="case-2"), announced(), loaded(case="case-2")),
        unproven=STORY,
        expected="only viewers that show this case, for this tenant, refetch",
        seen="viewer-1 refetched case case-2",
    ),
    "refetch.catch-up": Triple(
        kept=(first_load(), opened(), cut(), decided(), announced(), restored(), CAUGHT_UP),
        broken=(first_load(), opened(), cut(), decided(), announced(), restored(), step("finished", at=9.0)),
        unproven=(first_load(), opened(), cut(), restored()),
        expected="after a reconnect the case is fetched again if it is among the recent actions",
        seen="viewer-1 fetched nothing",
    ),
}

SHOWING, OTHERS, CATCH_UP = TRIPLES


def outcomes(*events: Event) -> dict[str, str]:
    """Of the three clauses, those that were exercised."""
    found = {clause: outcome(clause, *events) for clause in TRIPLES}
    return {clause: each for clause, each in found.items() if each != "unproven"}


def test_of_two_viewers_the_one_that_shows_the_case_refetches() -> None:
    both = (opened(), opened("viewer-2", case="case-2"), decided(), announced())
    assert outcomes(*both, loaded()) == {SHOWING: "kept", OTHERS: "kept"}
    assert outcomes(*both, loaded("viewer-2", case="case-2")) == {SHOWING: "broken", OTHERS: "broken"}


def test_two_viewers_of_one_case_both_refetch() -> None:
    both = (opened(), opened("viewer-2"), announced())
    assert verdict(SHOWING, *both, loaded(), loaded("viewer-2")).exercised == 2
    assert finding(SHOWING, *both, loaded()).seen == "viewer-2 fetched nothing"


def test_a_viewer_of_another_tenant_does_not_refetch() -> None:
    both = (opened(), opened("viewer-2", tenant=8), announced(tenant=7))
    assert outcomes(*both, loaded()) == {SHOWING: "kept", OTHERS: "kept"}
    assert outcomes(*both, loaded(), loaded("viewer-2", tenant=8)) == {SHOWING: "kept", OTHERS: "broken"}


def test_tenant_0_may_be_any_tenant_and_everybody_who_shows_the_case_refetches() -> None:
    both = (opened(), opened("viewer-2", tenant=8), announced(tenant=0))
    assert outcomes(*both, loaded(), loaded("viewer-2", tenant=8)) == {SHOWING: "kept"}
    assert outcomes(*both, loaded()) == {SHOWING: "broken"}


def test_both_shapes_of_a_case_action_are_one() -> None:
    older = announced(payload=OLDER)
    assert outcomes(opened(), older, loaded()) == {SHOWING: "kept"}
    assert outcomes(opened(), older) == {SHOWING: "broken"}


def test_the_older_shape_is_known_by_its_payload_whatever_type_the_notification_has() -> None:
    _, _, frame = handled(OLDER, type="GENERIC")
    assert outcomes(opened(), frame) == {SHOWING: "broken"}


def test_an_alert_about_the_case_asks_nobody_to_refetch() -> None:
    _, _, alert = handled({"case_id": "case-1"}, "workbench:alert", type="AI_DETECT")
    assert outcomes(opened(), alert) == {}


def test_each_of_two_notifications_of_one_action_is_answered_and_twice_does_no_harm() -> None:
    twice = (opened(), announced(1), announced(2, at=1.25))
    assert verdict(SHOWING, *twice, loaded(), loaded(notification=2, at=1.4)).exercised == 2
    assert outcomes(*twice, loaded(), loaded(), loaded(notification=2)) == {SHOWING: "kept"}


def test_one_refetch_for_the_later_of_two_notifications_shows_both() -> None:
    twice = (opened(), announced(1), announced(2, at=1.25))
    assert outcomes(*twice, loaded(notification=2)) == {SHOWING: "kept"}
    assert outcomes(*twice, loaded(notification=1, at=1.4)) == {SHOWING: "broken"}


def test_a_frame_that_comes_on_several_subscriptions_is_one_notification() -> None:
    events = (opened(), announced(), announced(), loaded())
    assert verdict(SHOWING, *events).exercised == 1


def test_a_refetch_may_be_done_before_the_tap_has_the_frame() -> None:
    assert outcomes(opened(), loaded(), announced()) == {SHOWING: "kept"}


def test_the_first_load_is_no_refetch() -> None:
    assert outcomes(opened(), announced(), first_load(at=1.4)) == {SHOWING: "broken"}


def test_a_viewer_that_was_opened_after_the_action_owes_nothing() -> None:
    assert outcomes(announced(), opened(at=1.4)) == {}


def test_a_viewer_that_was_closed_before_the_action_owes_nothing_and_refetches_no_more() -> None:
    gone = (opened(), closed(at=1.0), announced())
    assert outcomes(*gone) == {}
    assert outcomes(*gone, loaded()) == {OTHERS: "broken"}


def test_a_viewer_that_goes_on_to_another_case_shows_only_that_one() -> None:
    moved = (opened(), closed(at=0.7), opened(case="case-2", at=0.8), announced())
    assert outcomes(*moved) == {OTHERS: "kept"}
    assert outcomes(*moved, announced(2, case_id="case-2"), loaded(case="case-2", notification=2)) == {
        SHOWING: "kept",
        OTHERS: "kept",
    }


@pytest.mark.parametrize("end", [cut(at=1.25), closed(at=1.25)])
def test_a_viewer_that_is_gone_the_next_moment_is_excused(end: Event) -> None:
    assert outcomes(opened(), announced(), end) == {}


@pytest.mark.parametrize("end", [cut(at=3.0), closed(at=3.0)])
def test_a_viewer_that_stays_is_not_excused_by_its_end(end: Event) -> None:
    assert outcomes(opened(), announced(), end) == {SHOWING: "broken"}


@pytest.mark.parametrize(
    ("paths", "lacking"),
    [
        ((f"/api/synapse/documents/{DOCUMENT}",), CASE),
        ((CASE,), f"/api/synapse/documents/{DOCUMENT}"),
        ((), f"{CASE}, /api/synapse/documents/{DOCUMENT}"),
    ],
)
def test_a_refetch_is_of_case_detail_and_document(paths: tuple[str, ...], lacking: str) -> None:
    found = finding(SHOWING, opened(), decided(), announced(), loaded(paths=paths))
    assert found.seen == f"viewer-1 did not fetch {lacking}"


def test_where_nobody_says_which_document_was_decided_on_all_that_are_known_are_fetched() -> None:
    assert outcomes(first_load(), opened(), announced(), loaded()) == {SHOWING: "broken"}
    both = {DOCUMENT: "APPROVED", OTHER_DOCUMENT: "APPROVED"}
    assert outcomes(first_load(), opened(), announced(), loaded(documents=both)) == {SHOWING: "kept"}


def test_a_case_without_documents_needs_none() -> None:
    assert outcomes(opened(), announced(), loaded(documents={})) == {SHOWING: "kept"}


def test_ids_with_signs_that_a_path_has_no_place_for_are_the_same_in_it() -> None:
    odd, path = "case/1 한", "/api/synapse/cases/case%2F1%20%ED%95%9C"
    events = (opened(case=odd), announced(case_id=odd), loaded(case=odd, documents={}, paths=(path,)))
    assert outcomes(*events) == {SHOWING: "kept"}


def test_a_viewer_that_polls_has_ten_seconds_to_find_what_the_backend_decided() -> None:
    polling = (opened(source="polling"), decided(), announced())
    found = loaded(reason="catch-up", at=5.5)
    assert outcomes(*polling, found) == {SHOWING: "kept", OTHERS: "kept"}
    assert outcomes(*polling, step("finished", at=9.0)) == {}
    assert outcomes(*polling, step("finished", at=12.0)) == {SHOWING: "broken"}


def test_a_viewer_that_polls_cannot_find_what_the_backend_did_not_decide() -> None:
    assert outcomes(opened(source="polling"), announced(), step("finished", at=20.0)) == {}


def test_a_viewer_that_was_cut_off_is_excused_and_catches_up() -> None:
    missed = (opened(), cut(), decided(), announced(), restored())
    assert outcomes(*missed, CAUGHT_UP) == {CATCH_UP: "kept", OTHERS: "kept"}
    assert outcomes(*missed, step("finished", at=9.0)) == {CATCH_UP: "broken"}


def test_a_viewer_that_never_comes_back_owes_nothing() -> None:
    assert outcomes(opened(), cut(), decided(), announced(), step("finished", at=9.0)) == {}


def test_what_never_reached_the_topic_is_found_by_catching_up_as_well() -> None:
    """The subscriber was cut off, and the viewer only afterwards."""
    missed = (opened(), decided(), cut(at=2.0), restored())
    assert outcomes(*missed, CAUGHT_UP) == {CATCH_UP: "kept", OTHERS: "kept"}
    assert outcomes(*missed, step("finished", at=9.0)) == {CATCH_UP: "broken"}


def test_what_was_seen_already_need_not_be_caught_up_on() -> None:
    assert outcomes(opened(), decided(), announced(), loaded(), cut(at=2.0), restored()) == {SHOWING: "kept"}


def test_what_was_decided_on_another_case_or_for_another_tenant_is_nothing_to_catch_up_on() -> None:
    elsewhere = (decided(case="case-2"), decided(tenant=8))
    assert outcomes(opened(), cut(), *elsewhere, restored(), step("finished", at=9.0)) == {}
    assert outcomes(opened(), cut(), decided(case="case-2"), restored(), CAUGHT_UP) == {OTHERS: "broken"}


def test_each_gap_is_caught_up_on() -> None:
    first = (opened(), cut(), decided(), restored(), CAUGHT_UP)
    second = (cut(at=7.0), decided(approved=False, at=8.0), restored(at=12.0))
    assert outcomes(*first, *second, step("finished", at=15.0)) == {CATCH_UP: "broken", OTHERS: "kept"}
    again = loaded(reason="catch-up", status="REJECTED", at=12.1)
    assert verdict(CATCH_UP, *first, *second, again).exercised == 2


def test_a_connection_that_is_lost_again_at_once_excuses() -> None:
    assert outcomes(opened(), cut(), decided(), restored(), cut(at=5.95)) == {}


def test_a_finding_shows_the_frame_and_what_was_fetched_and_how_to_send_it_again() -> None:
    found = finding(SHOWING, opened(), announced(payload=OLDER), loaded(paths=()))
    assert found.events == (1, 2, 3)
    assert "MESSAGE /topic/notifications" in found.evidence
    assert "viewer-1 (notification 1)" in found.evidence
    (again,) = found.reproduce
    assert again.startswith('redis-cli -u "$HARNESS_REDIS_URL" PUBLISH workbench:case:action ')


def test_what_is_not_a_notification_is_left_alone() -> None:
    odd = [broadcast(body) for body in (b"", b"[]", {"payload": 1}, {"payload": {"case_id": 7}, "type": "CASE_ACTION"})]
    assert outcomes(opened(), published(), *odd) == {}


def test_two_notifications_with_one_id_are_told_apart_by_what_they_say() -> None:
    both = (opened(), opened("viewer-2", case="case-2"), announced(0), announced(0, case_id="case-2", at=1.25))
    answered = (loaded(notification=0), loaded("viewer-2", case="case-2", notification=0, at=1.4))
    assert outcomes(*both, *answered) == {SHOWING: "kept", OTHERS: "kept"}
    assert outcomes(*both, answered[0]) == {SHOWING: "broken", OTHERS: "kept"}


def test_whoever_fetches_upon_an_id_that_concerns_another_fetches_for_nothing() -> None:
    both = (opened(), opened("viewer-2", case="case-3"), announced(0), announced(0, case_id="case-2", at=1.25))
    assert (
        outcomes(*both, loaded(notification=0), loaded("viewer-2", case="case-3", notification=0))[OTHERS] == "broken"
    )


@pytest.mark.parametrize(("at", "found"), [(31.0, "kept"), (32.0, "broken")])
def test_a_refetch_for_nothing_that_is_known_counts_for_half_a_minute(at: float, found: str) -> None:
    late = loaded(reason="catch-up", at=at)
    assert outcomes(opened(), decided(), announced(), late)[SHOWING] == found
    assert outcomes(opened(), decided(), announced(), loaded(at=at))[SHOWING] == "kept"


def test_what_no_tap_saw_asked_for_was_not_fetched() -> None:
    story = (opened(), decided(), announced())
    document, asked = f"/api/synapse/documents/{DOCUMENT}", got(CASE, {"data": {}}, at=1.25)
    assert finding(SHOWING, *story, asked, loaded()).seen == f"viewer-1 did not fetch {document}"
    assert outcomes(*story, asked, got(document, {"data": {}}, at=1.26), loaded()) == {SHOWING: "kept"}


@pytest.mark.parametrize("tenant", [None, 0])
def test_a_notification_without_a_tenant_is_for_any(tenant: int | None) -> None:
    dto = {**DTO, "channel": CASE_ACTION, "payload": ACTION}
    frame = broadcast(dto | {"tenantId": tenant}) if tenant is not None else broadcast(without(dto, "tenantId"))
    assert outcomes(opened(), frame, loaded()) == {SHOWING: "kept"}


def test_whoever_asked_and_was_told_of_nothing_has_nothing_to_catch_up_with() -> None:
    back = (first_load(), opened(), cut(), decided(), announced(), restored())
    nothing = got("/api/synapse/actions/recent", {"data": []}, at=5.95)
    listed = got("/api/synapse/actions/recent", {"data": [{"caseId": "case-1"}]}, at=5.95)
    end = step("finished", at=9.0)
    assert outcome(CATCH_UP, *back, nothing, end) == "unproven"
    assert outcome(CATCH_UP, *back, listed, end) == "broken"
