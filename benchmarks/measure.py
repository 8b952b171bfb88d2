"""Candidates measured in turn, round after round, so that a busy moment of the machine hits all of them; told is the
median, with the lowest and the highest ratio beside it.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import redis

Rate = Callable[[], float]
"""Does something for a while; how often a second."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One candidate beside another of the same rounds."""

    what: str
    beside: str
    rate: float
    ratios: Sequence[float]
    required: float | None = None

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def is_missed(self) -> bool:
        return self.required is not None and self.ratio < self.required


class Rounds:
    def __init__(self, number: int, candidates: Mapping[str, Rate]) -> None:
        self._rates: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(number):
            for name, rate in candidates.items():
                self._rates[name].append(rate())

    def compared(self, what: str, beside: str, required: float | None = None) -> Compared:
        ours, theirs = self._rates[what], self._rates[beside]
        ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
        return Compared(what, beside, median(ours), ratios, required)


def machine(redis_url: str) -> str:
    """What it was measured on, but for its name."""
    with redis.Redis.from_url(redis_url) as client:
        server = client.info("server")["redis_version"]
    http = "httptools" if find_spec("httptools") else "h11"
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} × {_processor()}, Redis {server}, "
        f"uvicorn {version('uvicorn')} with {http}, redis-py {version('redis')} with hiredis"
    )


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", told.read_text(), re.MULTILINE) if told.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()


def table(rows: Sequence[Compared]) -> str:
    """Markdown."""
    lines = ["| measured | a second | beside | ratio | lowest to highest | required |", "|---|--:|---|--:|:-:|:-:|"]
    for row in rows:
        spread = f"{_short(min(row.ratios))} to {_short(max(row.ratios))}"
        verdict = "" if row.required is None else f"≥ {row.required:g}: {'missed' if row.is_missed else 'reached'}"
        lines.append(
            f"| {row.what} | {row.rate:,.0f} | {row.beside} | **{_short(row.ratio)}** | {spread} | {verdict} |"
        )
    return "\n".join(lines)


def growth(by: str, columns: Mapping[str, Sequence[Compared]]) -> str:
    """Markdown: a column for each step, the same candidates in each."""
    lines = [f"| {by} | beside | {' | '.join(columns)} |", f"|---|---|{'--:|' * len(columns)}"]
    for of_each in zip(*columns.values(), strict=True):
        cells = " | ".join(f"**{_short(each.ratio)}** ({each.rate:,.0f}/s)" for each in of_each)
        lines.append(f"| {of_each[0].what} | {of_each[0].beside} | {cells} |")
    return "\n".join(lines)


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
