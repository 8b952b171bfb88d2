"""When Aura could not reach Redis. Nothing is promised then of what it would have read there or published (decision 7),
so that what a run took away accuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.history import Event, History

GRACE = 0.1
"""Seconds of wall time within which it cannot be said which of two things came first."""


@dataclass(frozen=True, slots=True)
class Gap:
    """From one event to another, or to the end. The same event twice is a single command that failed."""

    first: Event
    last: Event | None
    grace: float

    def holds(self, event: Event) -> bool:
        return self.first.seq <= event.seq and (self.last is None or event.seq <= self.last.seq)

    def takes(self, event: Event) -> bool:
        """Whether what Aura does upon this event at once may fall into the gap."""
        return self.holds(event) or (event.seq < self.first.seq and self.first.at <= event.at + self.grace)

    def meets(self, began: float, ended: float) -> bool:
        """Whether it is there at some time between these."""
        return self.first.at <= ended and (self.last is None or began <= self.last.at)


def grace(history: History) -> float:
    """On virtual time there is none: one thing comes before the other."""
    return 0.0 if history.run.get("time") == "virtual" else GRACE


def gaps(history: History) -> tuple[Gap, ...]:
    return tuple(_gaps(history))


def _gaps(history: History) -> Iterator[Gap]:
    within, cut = grace(history), None
    for event in history.of("fault"):
        do = event.data["do"] if event.seat == "aura" else ""
        if do == "cut":
            cut = cut or event
        elif do == "restored" and cut is not None:
            yield Gap(cut, event, within)
            cut = None
        elif do == "failed" and cut is None:
            yield Gap(event, event, within)
    if cut is not None:
        yield Gap(cut, None, within)
