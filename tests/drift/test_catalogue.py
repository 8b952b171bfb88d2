"""The catalogue of deviations: it names what it breaks, and leaves no clause without one."""

from __future__ import annotations

import re

import pytest

from harness.agreement import SEATS, Agreement
from harness.drift.catalogue import CATALOGUE, chosen, named
from harness.drift.deviation import AS_AGREED
from harness.errors import UsageError
from harness.seats import Parts

WORKBENCH = [each for each in CATALOGUE.values() if each.seat == "workbench"]


def test_there_are_at_least_eighty_and_some_of_each_seat() -> None:
    assert len(CATALOGUE) >= 80
    assert {each.seat for each in CATALOGUE.values()} == set(SEATS)


def test_every_clause_is_broken_by_one_of_its_own_seat(agreed: Agreement) -> None:
    promised = {clause.id: clause.seat for clause in agreed.clauses.values()}
    broken = {clause: each.seat for each in CATALOGUE.values() for clause in each.breaks}
    assert broken == promised


def test_what_may_break_besides_is_promised_by_the_same_seat_and_does_not_have_to(agreed: Agreement) -> None:
    for each in CATALOGUE.values():
        assert {agreed.clauses[clause].seat for clause in each.also} <= {each.seat}
        assert not each.also & each.breaks


@pytest.mark.parametrize("id_", CATALOGUE)
def test_a_deviation_has_an_id_a_confession_and_clauses_and_changes_something(id_: str) -> None:
    each = CATALOGUE[id_]
    assert re.fullmatch(rf"{each.seat}\.[a-z0-9-]+", id_)
    assert re.search(r"[.!]$", each.confession)
    assert each.breaks
    assert each.of_settings() != AS_AGREED


def test_no_two_confess_the_same() -> None:
    assert len({each.confession for each in CATALOGUE.values()}) == len(CATALOGUE)


def test_a_deviation_leaves_the_other_seats_as_they_are() -> None:
    elsewhere = {each.id for each in CATALOGUE.values() if each.seats != (each.seat,)}
    # Whoever writes into the backend's rows has to reach them.
    assert elsewhere == {"aura.writes-document-status", "aura.writes-case-status", "aura.writes-history"}


def test_what_is_asked_for_by_id_and_by_seat_comes_in_the_order_of_the_catalogue() -> None:
    assert list(chosen([], [])) == list(CATALOGUE.values())
    assert list(chosen([], ["workbench"])) == WORKBENCH
    both = [WORKBENCH[2].id, WORKBENCH[0].id]
    assert list(chosen(both, [])) == [WORKBENCH[0], WORKBENCH[2]]
    assert chosen(both, ["aura"]) == ()


def test_an_id_that_is_none_is_told_with_what_comes_near() -> None:
    with pytest.raises(
        UsageError, match=r"there is no deviation 'aura.bite-order-mark'; did you mean aura.byte-order-m"
    ):
        named("aura.bite-order-mark")
    with pytest.raises(UsageError, match=r"did you mean .*aura.byte-order-mark"):
        named("byte-order")
    with pytest.raises(UsageError, match=r"there is no deviation '무엇'; .*--list"):
        chosen(["무엇"], [])


def test_settings_that_were_given_stay_but_for_what_deviates() -> None:
    given = AS_AGREED.waiting(7.0)
    deviating = named("aura.channel-renamed").of_settings(given)
    assert deviating.aura.hitl_timeout_seconds == 7.0
    assert deviating.aura.case_action_redis_channel == "workbench:actions"
    assert deviating.parts == Parts()
