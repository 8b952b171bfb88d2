"""What a load run has to reach, as said on the command line: `Redis delivery=50ms`, `500`, `HTTP record=500`."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.errors import UsageError
from harness.ledger import BROADCAST, DELIVERY, MAPPED

RECORD: Final = "HTTP record"
HOPS: Final = (RECORD, DELIVERY, MAPPED, BROADCAST)
FINEST: Final = 0.001
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one hop: the 95th percentile in seconds, how many reached it a second without a failure, and how many have a
    time."""

    p95: float
    rate: float
    count: int


@dataclass(frozen=True, slots=True)
class MostP95:
    hop: str
    seconds: float

    @classmethod
    def parse(cls, text: str) -> MostP95:
        hop, _, limit = text.rpartition("=")
        unit = next((unit for unit in _UNITS if limit.endswith(unit)), "")
        seconds = _number(limit.removesuffix(unit)) * _UNITS.get(unit, math.nan)
        if not hop or not seconds > 0:
            raise UsageError(f'--max-p95 {text}: HOP=TIME was expected, such as "{DELIVERY}=50ms"')
        if seconds < FINEST:
            raise UsageError(f"--max-p95 {text}: at least 1 ms was expected, for locust rounds times to milliseconds")
        return cls(_hop("--max-p95", hop), seconds)

    def fault(self, hops: Mapping[str, Measured], rate: float) -> str:
        """Why it is not kept, or nothing. A hop that nobody reached keeps nothing."""
        found = hops.get(self.hop)
        if found is None or not found.count:
            return f"{self.hop}: nothing reached it, a p95 of at most {_shown(self.seconds)} was expected"
        if found.p95 > self.seconds:
            return f"{self.hop}: p95 {_shown(found.p95)}, at most {_shown(self.seconds)} was expected"
        return ""


@dataclass(frozen=True, slots=True)
class LeastRate:
    """A second; of all that is accepted where there is no hop."""

    hop: str
    rate: float

    @classmethod
    def parse(cls, text: str) -> LeastRate:
        hop, _, number = text.rpartition("=")
        rate = _number(number)
        if not rate > 0:
            raise UsageError(
                f'--min-rate {text}: a number of messages a second was expected, or one of a hop, "{RECORD}=500"'
            )
        return cls(_hop("--min-rate", hop) if hop else "", rate)

    def fault(self, hops: Mapping[str, Measured], rate: float) -> str:
        found = hops.get(self.hop)
        reached = rate if not self.hop else found.rate if found is not None else 0.0
        if reached >= self.rate:
            return ""
        return f"{self.hop or 'accepted'}: {reached:,.1f} a second, at least {self.rate:,g} was expected"


Threshold = MostP95 | LeastRate


def faults(thresholds: Sequence[Threshold], hops: Mapping[str, Measured], rate: float) -> Iterator[str]:
    """`rate` is how many messages were accepted a second."""
    return (fault for threshold in thresholds if (fault := threshold.fault(hops, rate)))


def _hop(option: str, name: str) -> str:
    if name not in HOPS:
        near = difflib.get_close_matches(name, HOPS, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, HOPS))}"
        raise UsageError(f"{option}: there is no hop {name!r}; {hint}")
    return name


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _shown(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
