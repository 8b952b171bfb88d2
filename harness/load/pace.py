"""When a user sends next: at a steady rate, and each user at a moment of its own, for bursts measure the generator."""

from __future__ import annotations

from typing import Final

MOST_BEHIND: Final = 1.0
"""Seconds that a user makes up for by sending at once; what it is late beyond that, it leaves out."""
_GOLDEN: Final = 0.6180339887
"""Multiples of it, without their whole part, lie evenly spread however many there are."""


class Pace:
    """Of one user. A send that was late does not put off the next one, so that the rate is the one asked for."""

    def __init__(self, rate: float, user: int, now: float) -> None:
        self._period = 1 / rate
        self._due = now + user * _GOLDEN % 1 * self._period

    def wait(self, now: float) -> float:
        """Seconds until the next send."""
        due = max(self._due, now - MOST_BEHIND)
        self._due = due + self._period
        return max(0.0, due - now)
