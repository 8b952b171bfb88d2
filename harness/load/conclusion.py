"""What a load run comes to: one ledger of all workers, for people and as JSON, a history, and an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from harness.ledger import Result, table
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
        *result.faults(options.most_lost),
        *faults(options.thresholds, hops, result.rate),
    ]
    lines = [table(result), *_verdict(result, found)]
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
        told = result.to_json() | {"lost": result.lost, "rate": result.rate, "exit_code": conclusion.exit_code}
        options.ledger.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    if options.history is not None:
        with options.history.open("w", encoding="utf-8") as out:
            parts.write(out, run, began, result, finished=result.drained)


def _verdict(result: Result, found: list[str]) -> Iterator[str]:
    yield from (f"fault {fault}" for fault in found)
    if not found:
        in_gaps = sum(gap.lost for gap in result.gaps)
        told = f"nothing lost but {in_gaps:,} in gaps" if in_gaps else "nothing lost"
        yield f"{told}, nothing malformed: every threshold is kept"
