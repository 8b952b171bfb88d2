"""Time, ids and the seed of a run, passed in wherever they are used, so that a run can be repeated exactly."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

BEGAN = datetime(2026, 2, 11, 14, 30, tzinfo=UTC)
"""When virtual time begins, unless something else is said."""


class Clock(Protocol):
    """What a run reads the time from. Both readings never go back, and agree with each other."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""

    def elapsed(self) -> float:
        """Seconds since the run began."""


class WallClock:
    """The machine's time, stepped by its monotonic clock: a correction of the system time cannot reorder events."""

    def __init__(self) -> None:
        self._began = datetime.now(UTC)
        self._origin = time.monotonic()

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self.elapsed())

    def elapsed(self) -> float:
        return time.monotonic() - self._origin


class VirtualClock:
    """The time of the running loop, which begins at a fixed moment: two runs on virtual time read the same."""

    def __init__(self, began: datetime = BEGAN) -> None:
        self._began = began

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self.elapsed())

    def elapsed(self) -> float:
        return asyncio.get_running_loop().time()


def time_of(clock: Clock) -> str:
    """How a history names the time that it was taken in."""
    return "virtual" if isinstance(clock, VirtualClock) else "wall"


class Ids:
    """Ids that name their run, so that its traffic can be told from everybody else's."""

    def __init__(self, run: str) -> None:
        self.run = run
        self._counts: dict[str, int] = {}

    def next(self, kind: str) -> str:
        """`h7-case-0001`, `h7-case-0002`, … for the kind `case` of the run `h7`."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{self.run}-{kind}-{self._counts[kind]:04d}"
