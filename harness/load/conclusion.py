"""What a load run comes to: one ledger of all workers, for people and as JSON, a history, and its faults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness.ledger import Account, Limits, Result, table
from harness.load.options import Options
from harness.load.recording import Parts
from harness.load.thresholds import Measured, faults


@dataclass(frozen=True, slots=True)
class Conclusion:
    """`faults` are empty for a run to be content with. Locust may end with 1 all the same, where a call failed."""

    text: str
    faults: tuple[str, ...]


def conclude(
    result: Result,
    missing: Mapping[str, str],
    options: Options,
    hops: Mapping[str, Measured],
    due: Mapping[str, str],
) -> Conclusion:
    """`missing` are the workers whose part did not come, and why; `due` are the classes of users that were to run, and
    the channel of each."""
    found = (
        *(f"the part of worker {worker} is missing: {why}" for worker, why in missing.items()),
        *result.faults(options.limits),
        *_idle(result, due),
        *faults(options.thresholds, hops, result.rate),
    )
    lines = [table(result), *_verdict(result, options.limits, found)]
    return Conclusion("\n".join(lines), found)


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
        judged = {"lost": result.lost(options.limits), "rate": result.rate, "faults": conclusion.faults}
        told = result.to_json() | judged
        options.ledger.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    if options.history is not None:
        with options.history.open("w", encoding="utf-8") as out:
            parts.write(out, run, began, result, finished=result.drained)


def _idle(result: Result, due: Mapping[str, str]) -> Iterator[str]:
    for users, channel in due.items():
        if not result.channels.get(channel, Account()).sent:
            yield (
                f"{users}: nothing was sent on {channel}; give each class a user (-u 4 at least) and the time to send "
                "(-t, --rate), or name the classes that are to run"
            )


def _verdict(result: Result, limits: Limits, found: Sequence[str]) -> Iterator[str]:
    yield from (f"fault {fault}" for fault in found)
    if not found:
        lost = result.lost(limits)
        told = f"{lost:,} lost" if lost else "nothing lost"
        if result.in_gaps:
            told += f" but {result.in_gaps:,} in gaps"
        seen = ", as far as gaps let it be seen" if result.in_gaps else ""
        yield f"{told}, nothing malformed: every threshold is kept{seen}"
