"""What a load run comes to: one ledger of all workers, for people and as JSON, a history, and an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from harness.ledger import Limits, Result, table
from harness.load.options import Options
from harness.load.recording import Parts
from harness.load.thresholds import Measured, faults

BROKEN: Final = 1


@dataclass(frozen=True, slots=True)
class Conclusion:
    text: str
    exit_code: int


def conclude(result: Result, missing: Mapping[str, str], options: Options, hops: Mapping[str, Measured]) -> Conclusion:
    """`missing` are the workers whose part did not come, and why."""
    found = [
        *(f"the part of worker {worker} is missing: {why}" for worker, why in missing.items()),
        *result.faults(options.limits),
        *faults(options.thresholds, hops, result.rate),
    ]
    lines = [table(result), *_verdict(result, options.limits, found)]
    return Conclusion("\n".join(lines), BROKEN if found else 0)


def write(
    result: Result,
    conclusion: Conclusion,
    parts: Parts,
    options: Options,
    run: Mapping[str, Any],
    began: datetime,
) -> None:
    """The files that were asked for."""
    if options.ledger is not None:
        told = result.to_json() | {
            "lost": result.lost(options.limits),
            "rate": result.rate,
            "exit_code": conclusion.exit_code,
        }
        options.ledger.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    if options.history is not None:
        with options.history.open("w", encoding="utf-8") as out:
            parts.write(out, run, began, result, finished=result.drained)


def _verdict(result: Result, limits: Limits, found: list[str]) -> Iterator[str]:
    yield from (f"fault {fault}" for fault in found)
    if not found:
        lost = result.lost(limits)
        told = f"{lost:,} lost" if lost else "nothing lost"
        if result.in_gaps:
            kept = f"every threshold is kept outside of gaps, and of the {result.in_gaps:,} nobody can say"
            yield f"{told} but {result.in_gaps:,} in gaps, nothing malformed: {kept}"
        else:
            yield f"{told}, nothing malformed: every threshold is kept"
