"""What a load run observed, as a history that the same checks judge as any other.

Each worker keeps its own part on disk, for a run may be long; the parts are put in order at the end. What nobody can
say of here, a gap's and what was never answered, is left out with its call: it must accuse nobody.
"""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import IO, Any, Final

from harness.clock import Clock
from harness.history import FINISHED, LEFT_ALONE, Event, to_line, wall
from harness.ledger import Result

CHUNK: Final = 500
"""Lines that are handed over together."""

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Spool:
    """The part of one worker, one event a line, each of one message where that is known."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._out: IO[str] = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - for as long as the run

    def keep(
        self, seq: int | None, kind: str, data: Mapping[str, Any], seat: str | None, about: Mapping[str, str]
    ) -> None:
        """`began_wall` in `data` is given, `began` is counted from the beginning of the whole run at the end."""
        self._out.write(f"{_encode([wall(self._clock.now()), seq, kind, seat, about, data])}\n")

    def chunks(self, left_out: frozenset[int]) -> Iterator[Sequence[str]]:
        """Everything that was kept, in order, a few lines at a time."""
        self._out.flush()
        self._out.seek(0)
        lines: list[str] = []
        for line in self._out:
            if json.loads(line)[1] in left_out:
                continue
            lines.append(line)
            if len(lines) == CHUNK:
                yield lines
                lines = []
        if lines:
            yield lines

    def close(self) -> None:
        self._out.close()


class Parts:
    """Those of all workers, where they are put together."""

    def __init__(self) -> None:
        self._files: dict[object, IO[str]] = {}

    def take(self, worker: object, lines: Iterable[str]) -> None:
        if worker not in self._files:
            self._files[worker] = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - until `close`
        self._files[worker].writelines(lines)

    def write(self, out: IO[str], run: Mapping[str, Any], began: datetime, result: Result, *, finished: bool) -> None:
        """The whole history. `finished` is a run that came to its end as it was meant to."""
        ended = _Writer(out, began)
        ended(began, "run", run, None, {})
        last = began
        for line in heapq.merge(*map(_from_the_start, self._files.values()), key=lambda line: line[: line.index(",")]):
            moment, _, kind, seat, about, data = json.loads(line)
            last = max(began, datetime.fromisoformat(moment))
            if "began_wall" in data:
                data["began"] = round((datetime.fromisoformat(data["began_wall"]) - began).total_seconds(), 6)
            ended(last, kind, data, seat, about)
        for gap in result.gaps:
            ended(last, "step", {"do": "left-out", "hop": gap.hop, "lost": gap.lost, "why": gap.why}, None, {})
        ended(last, "step", {"do": LEFT_ALONE, "messages": result.total.foreign}, None, {})
        if finished:
            ended(last, "step", {"do": FINISHED}, None, {})

    def close(self) -> None:
        for file in self._files.values():
            file.close()


class _Writer:
    def __init__(self, out: IO[str], began: datetime) -> None:
        self._out = out
        self._began = began
        self._seq = 0

    def __call__(
        self, moment: datetime, kind: str, data: Mapping[str, Any], seat: str | None, about: Mapping[str, str]
    ) -> None:
        at = round((moment - self._began).total_seconds(), 6)
        self._out.write(to_line(Event(self._seq, at, wall(moment), kind, seat, about, data)))
        self._seq += 1


def _from_the_start(file: IO[str]) -> IO[str]:
    file.flush()
    file.seek(0)
    return file
