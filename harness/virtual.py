"""An event loop without threads and sockets that jumps to the next timer, so that five minutes of waiting take no time.

What is due happens at exactly the moment it is due at, and a standstill is an error instead of a wait for ever.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Never, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

DIGITS = 9
"""Of a second. Adding differences of times leaves errors far below that, and timers fire a nanosecond early."""


class Standstill(RuntimeError):
    """Everybody waits for somebody else, and nothing will ever happen."""


class VirtualLoop(asyncio.BaseEventLoop):
    """For `asyncio.Runner(loop_factory=VirtualLoop)`. Its time begins at 0."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self

    def time(self) -> float:
        return self._now

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """A timer that never comes is not kept: fakeredis' blocking read sets one, and it would hide a standstill."""
        if when == math.inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(self, executor: object, func: object, *args: object) -> Never:
        raise RuntimeError("a thread was asked for on virtual time, which does not wait for threads")

    # What BaseEventLoop wants of a selector and of the loop that has one.

    def select(self, timeout: float | None) -> list[Never]:
        if timeout is None:
            raise Standstill("everybody waits and nothing will happen")
        self._now = round(self._now + timeout, DIGITS)
        return []

    def _process_events(self, events: list[Never]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken: it never sleeps."""


def run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
