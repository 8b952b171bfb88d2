"""What is served, line by line on standard output, for as long as somebody reads it."""

from __future__ import annotations

import logging
from typing import IO

from harness.clock import Clock
from harness.history import Event, wall
from harness.report import log, printable


class Lines:
    def __init__(self, out: IO[str], clock: Clock, *, quiet: bool) -> None:
        self._out = out
        self._clock = clock
        self._quiet = quiet
        self._read = True

    def say(self, text: str) -> None:
        """Even when quiet."""
        if not self._read:
            return
        try:
            self._out.write(f"{text}\n")
            self._out.flush()
        except OSError:  # the reader is gone, and what is served goes on
            self._read = False

    def event(self, event: Event) -> None:
        """A listener of the feed."""
        if not self._quiet and (line := log.line(event)) is not None:
            self.say(line)

    def tell(self, text: str) -> None:
        """What is no event."""
        if not self._quiet:
            self.say(log.stamped(wall(self._clock.now()), printable(text)))


class Warnings(logging.Handler):
    """What the seats warn of, told with everything else."""

    def __init__(self, lines: Lines) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.tell(f"{record.name.rpartition('.')[2]}  {record.getMessage()}")
