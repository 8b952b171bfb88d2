"""What a load run comes to: one ledger of all workers, for people and as JSON, a history, and its faults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from harness.ledger import BROADCAST, DELIVERY, EXAMPLES, MAPPED, Account, Limits, Result
from harness.load.options import Options
from harness.load.recording import Parts
from harness.load.thresholds import Measured, faults

_ANSWERS: Final = ("sent", "accepted", "refused", "indeterminate")


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
    lines = [_table(result), *_verdict(result, options.limits, found)]
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


def _table(result: Result) -> str:
    """For people: what the publishers were told, then each hop, by channel."""
    rows: list[tuple[str, ...]] = [("channel", *_ANSWERS, "foreign")]
    for name, account in (*result.channels.items(), ("all", result.total)):
        rows.append((name, *(f"{getattr(account, word):,}" for word in _ANSWERS), f"{account.foreign:,}"))
    hops: list[tuple[str, ...]] = [
        ("channel", "hop", "reached", "lost", "in a gap", "duplicated", "out of order", "malformed")
    ]
    for name, account in (*result.channels.items(), ("all", result.total)):
        hops += [(name, *row) for row in _hop_rows(account)]
    lines = [_heading(result), "", *_aligned(rows, 1), "", *_aligned(hops, 2)]
    lines += _gap_lines(result)
    lines += [f"first {kind}: {' '.join(ids)}" for kind, ids in result.first.items()]
    return "\n".join(lines)


def _heading(result: Result) -> str:
    workers = f", {len(result.workers)} workers" if len(result.workers) > 1 else ""
    return (
        f"ledger of {result.run}{workers}: {result.total.sent:,} sent in {result.seconds:.1f} s, "
        f"{result.rate:,.0f} accepted a second"
    )


def _gap_lines(result: Result) -> Iterator[str]:
    for hop in (DELIVERY, BROADCAST):
        gaps = [gap for gap in result.gaps if gap.hop == hop]
        if gaps:
            lost, back = sum(gap.lost for gap in gaps), sum(gap.ended is not None for gap in gaps)
            yield f"gaps  {hop}: {len(gaps):,}, {back:,} of them ended by a reconnect; {lost:,} lost in them"
        for gap in gaps[:EXAMPLES]:
            until = "to the end" if gap.ended is None else f"{gap.ended - gap.began:.3f} s"
            yield f"gap   {hop} of worker {gap.worker}, {until}: {gap.lost:,} lost in it ({gap.why})"


def _hop_rows(account: Account) -> Iterator[tuple[str, ...]]:
    for name, hop in ((DELIVERY, account.delivery), (MAPPED, None), (BROADCAST, account.broadcast)):
        if hop is not None:
            numbers = (hop.reached, hop.lost, hop.in_gap, hop.duplicated, hop.out_of_order)
            yield (name, *(f"{number:,}" for number in numbers), f"{hop.malformed:,}" if name == BROADCAST else "")
        elif name == MAPPED:
            yield (name, f"{account.mapped:,}", "", "", "", "", f"{account.malformed:,}")


def _aligned(rows: Sequence[Sequence[str]], texts: int) -> Iterator[str]:
    """The first columns are text, the others numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = zip(row, widths, range(len(row)), strict=True)
        yield "  ".join(cell.ljust(width) if at < texts else cell.rjust(width) for cell, width, at in cells).rstrip()
