"""What a run observed, in order: one event a line of JSON, complete enough to be judged again tomorrow."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Protocol, overload

from harness.errors import UsageError

KINDS = frozenset(
    "run http published hitl_request hitl_signal feedback stored broadcast refetch fault step fuzz".split()
)
LEFT_ALONE = "left-alone"
"""The step in which a tap of live systems tells how many messages or notifications of others it saw and left alone."""
VIEWER = "aura-harness-viewer/"
"""What the `User-Agent` of a viewer begins with; its name follows, quoted."""
FINISHED = "finished"
"""What the last step of a run that came to its end does."""
_OF_A_RUN = {"seats": dict, "reach": list, "command": list, "redis": str, "harness": str, "agreement": str, "seed": int}


@dataclass(frozen=True, slots=True)
class Event:
    """One observed thing. `at` counts seconds from the start of the run, `wall` is the same moment in ISO 8601."""

    seq: int
    at: float
    wall: str
    kind: str
    seat: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.wall)


class History(Sequence[Event]):
    """The events of one run. The first is of kind `run` and says what the run was: seats, reach, tolerances."""

    def __init__(self, events: Sequence[Event], path: Path | None = None, line: int = 1) -> None:
        """`path` is the file that it was read from, and `line` where it begins there."""
        self._events = tuple(events)
        self._path = path
        self._line = line

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        return self._events[index]

    def __len__(self) -> int:
        return len(self._events)

    def of(self, kind: str) -> tuple[Event, ...]:
        return self._by_kind.get(kind, ())

    def place(self, event: Event) -> str:
        """Of an event: file and line, or its number in a history that was not read from a file."""
        return f"event {event.seq}" if self._path is None else f"{self._path}:{self._line + event.seq}"

    @property
    def complete(self) -> bool:
        """Whether the run came to its end: a history that was cut off accuses nobody."""
        return any(event.data.get("do") == FINISHED for event in self.of("step"))

    @property
    def why(self) -> str:
        """What kept the run from its end, where that is known."""
        ends = (event.data for event in self.of("step") if event.data.get("do") == "interrupted")
        return next((str(data["why"]) for data in ends if "why" in data), "")

    @property
    def run(self) -> Mapping[str, Any]:
        return self._events[0].data

    @cached_property
    def _by_kind(self) -> dict[str, tuple[Event, ...]]:
        kinds: dict[str, list[Event]] = {}
        for event in self._events:
            kinds.setdefault(event.kind, []).append(event)
        return {kind: tuple(events) for kind, events in kinds.items()}


class _Clock(Protocol):
    def now(self) -> datetime: ...
    def elapsed(self) -> float: ...


class Recorder:
    """The one writer of a history. Each event is on disk, if there is a file, before `record` returns."""

    def __init__(
        self,
        clock: _Clock,
        out: IO[str] | None = None,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda data: data,
        *,
        keep: bool = True,
        told: Callable[[Event], object] = lambda event: None,
    ) -> None:
        """What `change` makes of the data of an event is what is kept of it. `told` gets every event.

        Without `keep`, for what runs on for days, none stays in memory, and there is no `history`.
        """
        self._clock = clock
        self._out = out
        self._change = change
        self._keep = keep
        self._told = told
        self._recorded = 0
        self._events: list[Event] = []

    def record(
        self,
        kind: str,
        data: Mapping[str, Any],
        *,
        seat: str | None = None,
        about: Mapping[str, object] | None = None,
    ) -> Event:
        """`about` keeps only the ids that are text: what is not cannot correlate anything."""
        assert kind in KINDS, kind
        event = Event(
            seq=self._recorded,
            at=self.elapsed(),
            wall=wall(self._clock.now()),
            kind=kind,
            seat=seat,
            about={key: value for key, value in (about or {}).items() if isinstance(value, str) and _is_text(value)},
            data=self._change(data),
        )
        self._recorded += 1
        if self._keep:
            self._events.append(event)
        if self._out is not None:
            self._out.write(to_line(event))
            self._out.flush()
        self._told(event)
        return event

    def __len__(self) -> int:
        return self._recorded

    def since(self, seq: int) -> Sequence[Event]:
        """The events from this one on."""
        return self._events[seq:]

    def elapsed(self) -> float:
        """Seconds since the run began, as an event recorded now would have them."""
        return round(self._clock.elapsed(), 6)

    def history(self) -> History:
        assert self._keep, "nothing was kept"
        return History(self._events)


def wall(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def encode(wire: bytes) -> str | dict[str, str]:
    """Bytes as JSON: UTF-8 text as it stands, anything else as `{"base64": …}`. `decode` gives the same bytes."""
    try:
        return wire.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(wire).decode("ascii")}


def decode(value: str | Mapping[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


def ids_of(body: bytes) -> dict[str, object]:
    """The ids that correlate a request or a message, as far as its bytes can be read."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {name: value.get(f"{name}_id") for name in ("case", "request")}


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_line(event: Event) -> str:
    fields = {name: getattr(event, name) for name in Event.__slots__}
    line = _encode(fields) + "\n"
    try:
        line.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only hold escaped
        line = json.dumps(fields, separators=(",", ":")) + "\n"
    return line


def load(path: Path) -> History:
    """Read the one recorded history of a file. Raises UsageError that names file and line."""
    first, *others = load_all(path)
    if others:
        raise UsageError(f"{path}: this file holds {len(others) + 1} histories, one was expected")
    return first


def load_all(path: Path) -> tuple[History, ...]:
    """Read a file that holds one history after another. Raises UsageError that names file and line."""
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            runs: list[list[Event]] = []
            begins: list[int] = []
            for number, event in enumerate(_parse(path, lines), 1):
                if event.kind == "run":
                    runs.append([])
                    begins.append(number)
                runs[-1].append(event)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; give a file that --history wrote") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: this is not UTF-8 text; give a file that --history wrote") from error
    if not runs:
        raise UsageError(f"{path}:1: a history begins with an event of kind `run`; give a file that --history wrote")
    return tuple(History(events, path, line) for events, line in zip(runs, begins, strict=True))


def _parse(path: Path, lines: IO[str]) -> Iterator[Event]:
    expected = 0
    for number, line in enumerate(lines, 1):
        try:
            event = Event(**json.loads(line))
            if event.moment.tzinfo is None:
                raise ValueError("`wall` has an offset")
            if event.kind == "run" and number > 1:
                expected = 0
            _must_fit(event, expected)
            expected += 1
        except (ValueError, TypeError, RecursionError) as error:
            raise UsageError(f"{path}:{number}: this line is not an event of a history ({error})") from error
        yield event


def _is_text(value: str) -> bool:
    """Half a surrogate pair is what UTF-8 does not encode."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _must_fit(event: Event, expected: int) -> None:
    """Raises ValueError for an event that cannot stand in this line of a history."""
    if event.kind not in KINDS:
        raise ValueError(f"unknown kind {event.kind!r}")
    if not isinstance(event.data, dict) or not isinstance(event.about, dict):
        raise ValueError("`data` and `about` are objects")
    if not all(isinstance(value, str) for value in event.about.values()):
        raise ValueError("`about` holds ids, which are text")
    if type(event.at) not in (int, float) or not isinstance(event.seat, str | None):
        raise ValueError("`at` is a number, `seat` is text or null")
    if event.seq != expected:
        raise ValueError(f"seq {event.seq!r} was found, {expected} was expected: a line is missing, or one too many")
    if (event.kind == "run") != (expected == 0):
        raise ValueError("a history begins with an event of kind `run`")
    if event.kind == "run":
        wrong = [name for name, kind in _OF_A_RUN.items() if not isinstance(event.data.get(name), kind)]
        if wrong or not isinstance(event.data.get("tolerance"), (int, float)):
            raise ValueError(f"`run` lacks {', '.join(wrong or ['tolerance'])}, or has it of another type")
