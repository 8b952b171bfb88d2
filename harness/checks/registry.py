"""Which check judges which clause, and how a verdict is made of what a check yields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from harness.agreement import Agreement, Clause
from harness.checks.view import View
from harness.history import History
from harness.verdict import Finding, Verdict

Check = Callable[[View], Iterable[Finding | None]]
"""Yields once for every occasion on which its clause could have been broken: None where it was kept."""

CHECKS: dict[str, Check] = {}


def check(clause: str) -> Callable[[Check], Check]:
    """Register a function as the check of a clause."""

    def register(function: Check) -> Check:
        assert clause not in CHECKS, f"two checks for {clause}"
        CHECKS[clause] = function
        return function

    return register


def judge(agreement: Agreement, history: History, checks: Mapping[str, Check] | None = None) -> tuple[Verdict, ...]:
    """One verdict per clause of the agreement, in its order. Only agreement and history are looked at."""
    view = View(agreement, history)
    known = CHECKS if checks is None else checks
    return tuple(_verdict(clause, view, known.get(clause.id)) for clause in agreement.clauses.values())


def _verdict(clause: Clause, view: View, function: Check | None) -> Verdict:
    def verdict(outcome: str, **rest: object) -> Verdict:
        return Verdict(
            clause=clause.id,
            seat=clause.seat,
            level=clause.level,  # type: ignore[arg-type]
            outcome=outcome,  # type: ignore[arg-type]
            promise=clause.promise,
            sources=clause.sources,
            where=clause.where,
            **rest,  # type: ignore[arg-type]
        )

    if clause.seat not in view.history.run["seats"]:
        return verdict("unproven", reason="no such seat yet", in_reach=False)
    lacking = sorted(clause.needs - set(view.history.run["reach"]))
    if lacking:
        return verdict("unproven", reason=f"out of reach: needs {', '.join(lacking)}", in_reach=False)
    if function is None:
        return verdict("unproven", reason="no check judges it")
    exercised, findings, crash = _occasions(function, view)
    if findings:
        return verdict("broken", exercised=exercised, findings=tuple(findings))
    if crash:
        return verdict("unproven", exercised=exercised, reason=f"its check crashed: {crash}")
    if not exercised and _only_beside(clause.seat, view.history.run["seats"]):
        return verdict(
            "unproven", reason=f"not exercised: {clause.seat} only stands beside a live seat", in_reach=False
        )
    if not exercised:
        return verdict("unproven", reason="not exercised: nothing in this run could have broken it")
    return verdict("kept", exercised=exercised)


def _only_beside(seat: str, seats: Mapping[str, str]) -> bool:
    """Whether it is simulated in a run that is about another one."""
    return seats[seat] == "simulated" and set(seats.values()) != {"simulated"}


def _occasions(function: Check, view: View) -> tuple[int, list[Finding], str]:
    exercised, findings = 0, []
    try:
        for occasion in function(view):
            if occasion is not None and view.unfinished(occasion.events):
                continue
            exercised += 1
            if occasion is not None:
                findings.append(occasion)
    except Exception as error:  # a check that crashes proves nothing, and must not end the run
        return exercised, findings, repr(error)
    return exercised, findings, ""
