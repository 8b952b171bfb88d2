"""Which check judges which clause, and how a verdict is made of what a check yields.

A check of one message alone is registered for a whole history, too: there is one implementation of each clause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.agreement import Agreement, Clause
from harness.checks.sight import Sight, sights
from harness.checks.view import View
from harness.history import History
from harness.verdict import Finding, Verdict

Check = Callable[[View], Iterable[Finding | None]]
"""Yields once for every occasion on which its clause could have been broken: None where it was kept."""

CHECKS: dict[str, Check] = {}


@dataclass(frozen=True, slots=True)
class EachCheck:
    """A check that needs no more than one message. `unseen` is what of its clause one message alone does not show."""

    judge: Callable[[Sight], Iterable[Finding | None]]
    unseen: str = ""


EACH: dict[str, EachCheck] = {}

SINGLE = "message"
"""The reach of a run that sees messages and nothing of what they were published for: a watch, or somebody's tests."""
_BEYOND = "out of reach: one message alone does not show it"


def check(clause: str) -> Callable[[Check], Check]:
    """Register a function as the check of a clause."""

    def register(function: Check) -> Check:
        assert clause not in CHECKS, f"two checks for {clause}"
        CHECKS[clause] = function
        return function

    return register


def check_each(
    clause: str, unseen: str = ""
) -> Callable[[Callable[[Sight], Iterable[Finding | None]]], Callable[[Sight], Iterable[Finding | None]]]:
    """Register a function as the check of a clause about one message, in a history and as a message comes."""

    def register(function: Callable[[Sight], Iterable[Finding | None]]) -> Callable[[Sight], Iterable[Finding | None]]:
        @check(clause)
        def over_history(view: View) -> Iterator[Finding | None]:
            return (occasion for sight in sights(view) for occasion in function(sight))

        EACH[clause] = EachCheck(function, unseen)
        return function

    return register


@dataclass(slots=True)
class Occasions:
    """What a check yielded. `crash` is why it did not look at everything."""

    exercised: int = 0
    findings: list[Finding] = field(default_factory=list)
    crash: str = ""


def judge(agreement: Agreement, history: History, checks: Mapping[str, Check] | None = None) -> tuple[Verdict, ...]:
    """One verdict per clause of the agreement, in its order. Only agreement and history are looked at."""
    view = View(agreement, history)
    known = CHECKS if checks is None else checks

    def occasions(clause: str) -> Occasions | None:
        function = known.get(clause)
        return None if function is None else _occasions(function, view)

    return verdicts(agreement, history.run, occasions)


def verdicts(
    agreement: Agreement, run: Mapping[str, Any], occasions: Callable[[str], Occasions | None]
) -> tuple[Verdict, ...]:
    """`occasions` gives those of a clause that is in the reach of the run, None where no check judges it."""
    return tuple(_verdict(clause, run, occasions) for clause in agreement.clauses.values())


def _verdict(clause: Clause, run: Mapping[str, Any], occasions: Callable[[str], Occasions | None]) -> Verdict:
    single = SINGLE in run["reach"]
    unseen = EACH[clause.id].unseen if single and clause.id in EACH else ""

    def verdict(outcome: str, **rest: object) -> Verdict:
        return Verdict(
            clause=clause.id,
            seat=clause.seat,
            level=clause.level,  # type: ignore[arg-type]
            outcome=outcome,  # type: ignore[arg-type]
            promise=f"{clause.promise} (Not seen here: {unseen}.)" if unseen else clause.promise,
            sources=clause.sources,
            where=clause.where,
            **rest,  # type: ignore[arg-type]
        )

    if clause.seat not in run["seats"]:
        return verdict("unproven", reason="no such seat yet", in_reach=False)
    if single and clause.id not in EACH:
        return verdict("unproven", reason=_BEYOND, in_reach=False)
    lacking = () if single else sorted(clause.needs - set(run["reach"]))
    if lacking:
        return verdict("unproven", reason=f"out of reach: needs {', '.join(lacking)}", in_reach=False)
    found = occasions(clause.id)
    if found is None:
        return verdict("unproven", reason="no check judges it")
    if found.findings:
        return verdict("broken", exercised=found.exercised, findings=tuple(found.findings))
    if found.crash:
        return verdict("unproven", exercised=found.exercised, reason=f"its check crashed: {found.crash}")
    if not found.exercised and not single and _only_beside(clause.seat, run["seats"]):
        reason = f"not exercised: {clause.seat} only stands beside a live seat"
        return verdict("unproven", reason=reason, in_reach=False)
    if not found.exercised:
        return verdict("unproven", reason="not exercised: nothing in this run could have broken it")
    return verdict("kept", exercised=found.exercised)


def _only_beside(seat: str, seats: Mapping[str, str]) -> bool:
    """Whether it is simulated in a run that is about another one."""
    return seats[seat] == "simulated" and set(seats.values()) != {"simulated"}


def _occasions(function: Check, view: View) -> Occasions:
    occasions = Occasions()
    try:
        for occasion in function(view):
            if occasion is not None and view.unfinished(occasion.events):
                continue
            occasions.exercised += 1
            if occasion is not None:
                occasions.findings.append(occasion)
    except Exception as error:  # a check that crashes proves nothing, and must not end the run
        occasions.crash = repr(error)
    return occasions
