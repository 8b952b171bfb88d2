"""What a check says: findings, one verdict per clause, and what they mean for the exit code of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal

Outcome = Literal["kept", "broken", "unproven"]
Level = Literal["must", "should"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation. `expected` is the same for equal findings; `seen`, `evidence` and `reproduce` are this one's."""

    clause: str
    expected: str
    seen: str
    pointer: str = ""
    """JSON pointer into the message or answer; empty for the whole."""
    evidence: str = ""
    """What was on the wire, as text."""
    events: tuple[int, ...] = ()
    """The `seq` of the events in the history."""
    reproduce: tuple[str, ...] = ()
    times: int = 1
    """For how many equal ones it stands, where not all of them could be kept."""


@dataclass(frozen=True, slots=True)
class Told:
    """A finding as it was found: when, in seconds from the start, and on which channel."""

    at: float
    channel: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run says of one clause. `exercised` counts the occasions on which it could have been broken."""

    clause: str
    seat: str
    level: Level
    outcome: Outcome
    promise: str = ""
    sources: tuple[str, ...] = ()
    where: str = ""
    """File, line and column of the clause."""
    exercised: int = 0
    reason: str = ""
    """Why it is unproven."""
    in_reach: bool = True
    """Whether this run could have proven it."""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Equal findings: the same clause broken in the same way."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        return self.findings[0]

    @property
    def times(self) -> int:
        """How often it was broken in this way."""
        return sum(finding.times for finding in self.findings)


def grouped(findings: Iterable[Finding]) -> tuple[Group, ...]:
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.clause, finding.pointer, finding.expected), []).append(finding)
    return tuple(Group(tuple(same)) for same in groups.values())


def merged(runs: Iterable[Iterable[Verdict]]) -> tuple[Verdict, ...]:
    """One verdict per clause over several runs: what one of them broke is broken, what one of them proved is kept.

    Between the two stands a check that crashed. A run that could not see a clause, or gave no occasion, says nothing.
    """
    clauses: dict[str, list[Verdict]] = {}
    for verdicts in runs:
        for verdict in verdicts:
            clauses.setdefault(verdict.clause, []).append(verdict)
    return tuple(_merged(several) for several in clauses.values())


def _merged(several: list[Verdict]) -> Verdict:
    def weight(verdict: Verdict) -> int:
        crashed = verdict.outcome == "unproven" and verdict.exercised > 0
        return (
            4 if verdict.outcome == "broken" else 3 if crashed else 2 if verdict.outcome == "kept" else verdict.in_reach
        )

    strongest = max(several, key=weight)
    return replace(
        strongest,
        exercised=sum(verdict.exercised for verdict in several),
        findings=tuple(finding for verdict in several for finding in verdict.findings),
    )


def counts(verdicts: Iterable[Verdict]) -> dict[Outcome, int]:
    """How many there are of each outcome, in the order kept, broken, unproven."""
    outcomes: dict[Outcome, int] = {"kept": 0, "broken": 0, "unproven": 0}
    for verdict in verdicts:
        outcomes[verdict.outcome] += 1
    return outcomes


def fails(
    verdict: Verdict, required: Collection[str] = (), *, whole: bool = True, waived: Collection[str] = ()
) -> bool:
    """Whether a run fails for this verdict. A clause counts when it is a `must` in reach, or among the `required`.

    Without `whole` the run had no occasion to prove every clause, and what it left unproven counts only where it is
    required. `waived` are clauses that may be broken.
    """
    if verdict.outcome == "broken":
        return _matters(verdict, required) and verdict.clause not in waived
    return verdict.outcome == "unproven" and _matters(verdict, required) and (whole or verdict.clause in required)


def exit_code(
    verdicts: Collection[Verdict],
    required: Collection[str] = (),
    *,
    scenarios: Collection[Outcome] = (),
    whole: bool = True,
    waived: Collection[str] = (),
) -> int:
    """0: every `must` in reach is kept. 1: a `must` is broken. 3: none is broken, but one that counts is unproven.

    What counts is said by `fails`. A scenario counts, too. Nothing that was kept is never a success.
    """
    bad = {each.outcome for each in verdicts if fails(each, required, whole=whole, waived=waived)} | set(scenarios)
    if "broken" in bad:
        return 1
    proven = "kept" in bad or any(each.outcome == "kept" and _matters(each, required) for each in verdicts)
    return 0 if proven and "unproven" not in bad else 3


def _matters(verdict: Verdict, required: Collection[str]) -> bool:
    return verdict.clause in required or (verdict.level == "must" and verdict.in_reach)
