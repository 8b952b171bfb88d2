"""A verdict is what a check yields, and every check is known to be able to give each verdict."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator

import pytest
from histories import AGREEMENT, DETECTED, KEPT, Triple, broken, history, verdict

import checks as these
from harness.checks import CHECKS, judge
from harness.checks.registry import check
from harness.checks.view import View
from harness.verdict import Finding, Verdict


def _triples() -> dict[str, Triple]:
    """All that the modules beside this one write down as TRIPLES."""
    found: dict[str, Triple] = {}
    for module in pkgutil.iter_modules(these.__path__):
        if module.name != "test_registry":
            found |= getattr(importlib.import_module(f"{these.__name__}.{module.name}"), "TRIPLES", {})
    return found


TRIPLES = _triples()
CLAUSE = "http.accepted"
WRONG = Finding(CLAUSE, expected="status 200", seen="status 500")


def _judged(*occasions: Finding | Exception | None, clause: str = CLAUSE) -> Verdict:
    """The verdict on a clause whose check yields these; an exception is raised instead."""

    def occasional(view: View) -> Iterator[Finding | None]:
        for occasion in occasions:
            if isinstance(occasion, Exception):
                raise occasion
            yield occasion

    verdicts = judge(AGREEMENT, history(), {clause: occasional})
    return next(each for each in verdicts if each.clause == clause)


def test_every_check_has_its_three_histories() -> None:
    assert TRIPLES.keys() == CHECKS.keys()


@pytest.mark.parametrize("clause", TRIPLES)
def test_a_clause_is_kept(clause: str) -> None:
    judged = verdict(clause, *TRIPLES[clause].kept)
    assert (judged.outcome, judged.findings, judged.reason) == ("kept", (), "")
    assert judged.exercised


@pytest.mark.parametrize("clause", TRIPLES)
def test_a_clause_is_broken(clause: str) -> None:
    triple = TRIPLES[clause]
    judged = verdict(clause, *triple.broken)
    assert judged.outcome == "broken"
    found = [(each.clause, each.expected, each.seen, each.pointer) for each in judged.findings]
    assert found == [(clause, triple.expected, triple.seen, triple.pointer)]


@pytest.mark.parametrize("clause", TRIPLES)
def test_a_finding_names_events_of_the_history_and_a_way_to_see_it_again(clause: str) -> None:
    events = TRIPLES[clause].broken
    (found,) = verdict(clause, *events).findings
    assert found.events
    assert set(found.events) <= set(range(1, len(events) + 1))
    assert found.reproduce


@pytest.mark.parametrize("clause", TRIPLES)
def test_a_clause_that_was_not_exercised_is_unproven(clause: str) -> None:
    judged = verdict(clause, *TRIPLES[clause].unproven)
    assert (judged.outcome, judged.exercised, judged.in_reach) == ("unproven", 0, True)
    assert judged.reason == "not exercised: nothing in this run could have broken it"


@pytest.mark.parametrize("clause", TRIPLES)
def test_an_empty_history_proves_nothing(clause: str) -> None:
    assert verdict(clause).outcome == "unproven"


def test_a_kept_exchange_breaks_no_clause_at_all() -> None:
    assert broken(*KEPT) == set()


def test_there_is_one_verdict_per_clause_in_the_order_of_the_agreement() -> None:
    assert [each.clause for each in judge(AGREEMENT, history(*KEPT))] == list(AGREEMENT.clauses)


def test_the_same_history_gives_the_same_verdicts() -> None:
    events = TRIPLES["http.logged"].broken + TRIPLES["publish.alert-high"].broken
    assert judge(AGREEMENT, history(*events)) == judge(AGREEMENT, history(*events))


def test_a_verdict_says_what_the_agreement_says_of_the_clause() -> None:
    clause, judged = AGREEMENT.clauses[CLAUSE], _judged(None)
    assert (judged.seat, judged.level, judged.promise) == (clause.seat, clause.level, clause.promise)
    assert (judged.sources, judged.where) == (clause.sources, clause.where)


def test_every_occasion_counts() -> None:
    assert _judged(None, None, None).exercised == 3
    assert _judged(None, WRONG, None).exercised == 3


def test_one_finding_is_enough_to_break_a_clause() -> None:
    judged = _judged(None, WRONG, None)
    assert (judged.outcome, judged.findings) == ("broken", (WRONG,))


@pytest.mark.parametrize("before", [(), (None, None)])
def test_a_check_that_crashes_leaves_its_clause_unproven_and_says_why(before: Iterable[None]) -> None:
    judged = _judged(*before, ValueError("odd"))
    assert (judged.outcome, judged.reason) == ("unproven", "its check crashed: ValueError('odd')")
    assert judged.in_reach


def test_broken_outranks_a_crash() -> None:
    judged = _judged(None, WRONG, ValueError("odd"))
    assert (judged.outcome, judged.findings) == ("broken", (WRONG,))


def test_a_check_that_crashes_before_its_first_occasion_proves_nothing() -> None:
    def crashing(view: View) -> list[Finding | None]:
        raise KeyError("status")

    judged = judge(AGREEMENT, history(), {CLAUSE: crashing})[0]
    assert (judged.outcome, judged.reason) == ("unproven", "its check crashed: KeyError('status')")


def test_the_crash_of_one_check_is_nobody_elses() -> None:
    def crashing(view: View) -> list[Finding | None]:
        raise KeyError("status")

    verdicts = {each.clause: each for each in judge(AGREEMENT, history(*KEPT), {**CHECKS, CLAUSE: crashing})}
    assert verdicts[CLAUSE].outcome == "unproven"
    assert verdicts["http.data"].outcome == "kept"


def test_a_clause_of_a_seat_that_did_not_take_part_is_out_of_reach() -> None:
    judged = verdict("mapping.type", *KEPT, seats=("aura",))
    assert (judged.outcome, judged.reason, judged.in_reach) == ("unproven", "no such seat yet", False)


def test_a_clause_whose_needs_the_run_lacked_is_out_of_reach_and_names_them() -> None:
    judged = verdict("publish.after-feedback", *KEPT, reach=("http",))
    assert (judged.outcome, judged.in_reach) == ("unproven", False)
    assert judged.reason == "out of reach: needs feedback, redis"


def test_what_is_out_of_reach_is_not_judged_even_where_it_would_be_broken() -> None:
    assert verdict("publish.alert-high", DETECTED, reach=("http", "redis")).outcome == "unproven"


def test_a_clause_in_reach_without_a_check_is_unproven_and_counts() -> None:
    verdicts = {each.clause: each for each in judge(AGREEMENT, history(*KEPT), {})}
    assert (verdicts[CLAUSE].outcome, verdicts[CLAUSE].reason) == ("unproven", "no check judges it")
    assert verdicts[CLAUSE].in_reach


def test_a_clause_has_one_check() -> None:
    with pytest.raises(AssertionError, match=r"two checks for http\.accepted"):
        check(CLAUSE)(lambda view: ())


def test_what_only_stands_beside_a_live_seat_need_not_prove_anything() -> None:
    live = {"aura": "http://aura.example/aura", "synapse": "simulated"}
    beside, judged = (
        next(each for each in judge(AGREEMENT, history(*KEPT, seats=live)) if each.clause == clause)
        for clause in ("delivery.gap", "publish.alert-high")
    )
    assert (beside.outcome, beside.in_reach) == ("unproven", False)
    assert beside.reason == "not exercised: synapse only stands beside a live seat"
    assert (judged.outcome, judged.in_reach) == ("unproven", True)
