"""The kill matrix: which clause catches which deviation, and what neither of them should do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from harness.agreement import SEATS, Clause
from harness.drift.deviation import Deviation
from harness.drift.run import Seen
from harness.errors import UsageError

Mark = Literal["caught", "missed", "also", "beyond", "accused"]
"""What a clause did to a deviation: broke as it must; did not, though it must; broke besides, as it may, or as it may
not; accused another seat."""
MARKS: tuple[Mark, ...] = get_args(Mark)


@dataclass(frozen=True, slots=True)
class Row:
    deviation: Deviation
    seen: Seen
    marks: Mapping[str, Mark]
    """Of the clauses that did something, or should have."""

    def of(self, mark: Mark) -> tuple[str, ...]:
        return tuple(clause for clause, one in self.marks.items() if one == mark)

    @property
    def survives(self) -> bool:
        """Whether a clause sleeps that must break, or nothing could be seen at all."""
        return bool(self.seen.crash or self.of("missed"))

    @property
    def accuses(self) -> bool:
        """Whether another team is told that it was them."""
        return bool(self.of("accused"))

    @property
    def exceeds(self) -> bool:
        """Whether a clause of its own seat is broken that has nothing to do with it."""
        return bool(self.of("beyond"))

    @property
    def fails(self) -> bool:
        return self.survives or self.accuses or self.exceeds


@dataclass(frozen=True, slots=True)
class Matrix:
    clauses: Mapping[str, Clause]
    rows: tuple[Row, ...]
    whole: bool
    """Whether every deviation of the catalogue was run."""

    @property
    def failed(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.fails)

    @property
    def untested(self) -> Mapping[str, str]:
        """The clauses that nothing broke, each with why it is out of reach, or nothing where it is not; of a part of
        the catalogue that says nothing, and there are none."""
        broken = {clause for row in self.rows for clause in row.seen.broken}
        reasons = {clause: reason for row in self.rows for clause, reason in row.seen.out_of_reach.items()}
        return {clause: reasons.get(clause, "") for clause in self.clauses if self.whole and clause not in broken}

    def score(self, seat: str | None = None) -> tuple[int, int]:
        """How many deviations are caught, of how many; of one seat or of all."""
        rows = [row for row in self.rows if seat in (None, row.deviation.seat)]
        return sum(not row.survives for row in rows), len(rows)

    @property
    def seats(self) -> tuple[str, ...]:
        return tuple(seat for seat in SEATS if any(row.deviation.seat == seat for row in self.rows))

    @property
    def exit_code(self) -> int:
        return 1 if self.failed else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "score": {
                seat: dict(zip(("caught", "all"), self.score(None if seat == "all" else seat), strict=True))
                for seat in ("all", *self.seats)
            },
            "whole": self.whole,
            "deviations": [_row(row) for row in self.rows],
            "clauses": {
                clause.id: {
                    "seat": clause.seat,
                    "level": clause.level,
                    "broken_by": [row.deviation.id for row in self.rows if clause.id in row.seen.broken],
                }
                for clause in self.clauses.values()
            },
            "untested": dict(self.untested),
        }


def must_know(clauses: Mapping[str, Clause], deviations: Iterable[Deviation]) -> None:
    """Raises UsageError for a deviation from what nobody promised."""
    for deviation in deviations:
        if unknown := sorted(deviation.breaks - set(clauses)):
            raise UsageError(
                f"{deviation.id} must break {' and '.join(unknown)}, which the agreement has not; "
                "add what it lacks, or name other deviations with --only"
            )


def matrix(clauses: Mapping[str, Clause], pairs: Sequence[tuple[Deviation, Seen]], *, whole: bool) -> Matrix:
    return Matrix(
        clauses, tuple(Row(deviation, seen, _marks(clauses, deviation, seen)) for deviation, seen in pairs), whole
    )


def _marks(clauses: Mapping[str, Clause], deviation: Deviation, seen: Seen) -> dict[str, Mark]:
    """In the order of the agreement."""

    def mark(clause: Clause) -> Mark:
        if clause.id in deviation.breaks:
            return "caught" if clause.id in seen.broken else "missed"
        if clause.seat != deviation.seat:
            return "accused"
        return "also" if clause.id in deviation.also else "beyond"

    due = deviation.breaks | set(seen.broken)
    return {clause.id: mark(clause) for clause in clauses.values() if clause.id in due}


def _row(row: Row) -> dict[str, Any]:
    told = {"id": row.deviation.id, "seat": row.deviation.seat, "confession": row.deviation.confession}
    marks: dict[str, list[str]] = {mark: list(row.of(mark)) for mark in MARKS}
    more = {"findings": dict(row.seen.broken), "unproven": dict(row.seen.unproven)}
    return {
        **told,
        "survives": row.survives,
        **marks,
        **more,
        "seconds": round(row.seen.seconds, 3),
        "crash": row.seen.crash,
    }
