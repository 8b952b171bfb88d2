"""What the consumer made of each published message: the rows that it stored, the frames that it broadcast.

A notification is given to its message by channel and payload, else by the ids and the time in it, and what is left in
the order in which it came: a field that is lost on the way is then no lost message.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.checks import instants
from harness.checks.conforming import Reading, read
from harness.checks.view import ABSENT, CASE_ACTION, OLDER_SHAPE, Message, View
from harness.history import Event, decode
from harness.reproduce import publish
from harness.verdict import Finding

TOPIC = "/topic/notifications"
COMMON_MARK = 50
"""A text or id that more messages than this share tells none of them from the others."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A NotificationDto, as it was stored or as it was broadcast; `value` is ABSENT where it is no JSON."""

    event: Event
    value: Any

    def field(self, name: str) -> Any:
        return self.value.get(name, ABSENT) if isinstance(self.value, dict) else ABSENT

    @property
    def id(self) -> Any:
        return self.event.data["id"] if self.event.kind == "stored" else self.field("id")

    @property
    def payload(self) -> Any:
        """None where there is none, which is left out of a notification."""
        payload = self.field("payload")
        return None if payload is ABSENT else payload


@dataclass(frozen=True, slots=True)
class Handling:
    """One published message and what became of it.

    `period` counts the times that the consumer was connected before, and `cut_off` says that it was not. `frames` are
    by subscription, with every subscription of the run in it.
    """

    message: Message
    reading: Reading
    period: int
    cut_off: bool
    rows: tuple[Notification, ...]
    frames: Mapping[str, tuple[Notification, ...]]

    @property
    def seq(self) -> int:
        return self.message.event.seq

    @property
    def due(self) -> bool:
        """Whether the consumer has promised to handle it."""
        return self.reading.conforming and not self.cut_off

    @property
    def notifications(self) -> tuple[Notification, ...]:
        return (*self.rows, *(frame for frames in self.frames.values() for frame in frames))

    @property
    def handled(self) -> bool:
        return bool(self.rows or any(self.frames.values()))

    @property
    def older_shape(self) -> bool:
        return self.message.channel == CASE_ACTION and self.reading.field("type") == OLDER_SHAPE


def handlings(view: View) -> tuple[Handling, ...]:
    """Every message on the workbench channels, whoever sent it, in the order in which they were published."""
    if "handlings" not in view.cache:
        view.cache["handlings"] = tuple(_handlings(view))
    found: tuple[Handling, ...] = view.cache["handlings"]
    return found


def notifications(view: View) -> tuple[Notification, ...]:
    """Everything that was stored or broadcast on the topic, in the order of the history."""
    if "notifications" not in view.cache:
        stored = [Notification(event, event.data["notification"]) for event in view.history.of("stored")]
        frames = [
            Notification(event, _json(decode(event.data["body"])))
            for event in view.history.of("broadcast")
            if event.data["destination"] == TOPIC
        ]
        view.cache["notifications"] = tuple(sorted((*stored, *frames), key=lambda one: one.event.seq))
    found: tuple[Notification, ...] = view.cache["notifications"]
    return found


def finding(
    view: View,
    handling: Handling,
    clause: str,
    expected: str,
    seen: str,
    pointer: str = "",
    *,
    shown: Sequence[Notification] = (),
    after: Handling | None = None,
) -> Finding:
    """A finding about this message, as it was published `after` another, and the notifications that show it."""
    told = [handling] if after is None else [after, handling]
    evidence = [line for one in told for line in (_wire(one.message), *_failures(view, one.message))]
    return Finding(
        clause=clause,
        expected=expected,
        seen=seen,
        pointer=pointer,
        evidence="\n".join([*evidence, *map(as_seen, shown)]),
        events=(*(one.seq for one in told), *(one.event.seq for one in shown)),
        reproduce=tuple(publish(one.message.event) for one in told),
    )


def as_seen(notification: Notification) -> str:
    data = notification.event.data
    if notification.event.kind == "stored":
        return f"stored as row {data['id']}\n{json.dumps(notification.value, ensure_ascii=False)}"
    return f"MESSAGE {data['destination']}\n{decode(data['body']).decode(errors='backslashreplace')}"


def _handlings(view: View) -> Iterator[Handling]:
    cuts = [(event.seq, event.data["do"]) for event in view.history.of("fault")]
    cuts = [(0, "restored"), *(cut for cut in cuts if cut[1] in ("cut", "restored"))]
    readings = {message.event.seq: read(view.agreement, message.channel, message.wire) for message in view.messages}
    cut_off, periods = {}, {}
    for message in view.messages:
        before = cuts[: bisect_right(cuts, message.event.seq, key=lambda cut: cut[0])]
        cut_off[message.event.seq] = before[-1][1] == "cut"
        periods[message.event.seq] = sum(do == "restored" for _, do in before) - 1
    in_order = sorted(view.messages, key=lambda message: (cut_off[message.event.seq], message.event.seq))
    matching = _Matching(in_order, readings, cut_off)
    seen = notifications(view)
    rows = matching.match([one for one in seen if one.event.kind == "stored"], {})
    linked = _linked(rows)
    subscriptions = sorted({one.event.data["subscription"] for one in seen if one.event.kind == "broadcast"})
    frames = {
        name: matching.match([one for one in seen if one.event.data.get("subscription") == name], linked)
        for name in subscriptions
    }
    for message in view.messages:
        seq = message.event.seq
        yield Handling(
            message=message,
            reading=readings[seq],
            period=periods[seq],
            cut_off=cut_off[seq],
            rows=tuple(rows.get(seq, ())),
            frames={name: tuple(found.get(seq, ())) for name, found in frames.items()},
        )


def _linked(rows: Mapping[int, Sequence[Notification]]) -> dict[int, int]:
    """The message of each row, by the row's id, where that names only one."""
    linked: dict[int, int] = {}
    twice = set()
    for seq, several in rows.items():
        for row in several:
            twice |= {row.id} & linked.keys()
            linked[row.id] = seq
    return {row: seq for row, seq in linked.items() if row not in twice}


_Given = dict[int, list[Notification]]
_Key = tuple[str | None, str]
_Choose = Callable[[Notification], int | None]


class _Matching:
    """Messages by what can be found again in a notification. They come in order of preference."""

    def __init__(
        self, messages: Sequence[Message], readings: Mapping[int, Reading], cut_off: Mapping[int, bool]
    ) -> None:
        self._channels = {message.channel for message in messages}
        self._readings = readings
        self._messages = sorted(
            messages, key=lambda message: (cut_off[message.event.seq], not readings[message.event.seq].conforming)
        )
        self._by_payload: dict[_Key, list[int]] = {}
        self._by_mark: dict[tuple[str | None, Any], list[int]] = {}
        for message in messages:
            value = readings[message.event.seq].value
            key = canonical(value) if isinstance(value, dict) else None
            for channel in (message.channel, None):
                if key is not None:
                    self._by_payload.setdefault((channel, key), []).append(message.event.seq)
                for mark in _marks_of_message(value):
                    self._by_mark.setdefault((channel, mark), []).append(message.event.seq)

    def match(self, seen: Sequence[Notification], linked: Mapping[int, int]) -> _Given:
        """The notifications of each message, by the `seq` of the message. What fits none is left out."""
        given: _Given = {}
        rest = self._give(seen, given, lambda one: self._same_payload(one, given, linked))
        rest = self._give(rest, given, lambda one: self._same_marks(one, given))
        self._give(rest, given, lambda one: self._left(one, given))
        return given

    def _give(self, seen: Sequence[Notification], given: _Given, choose: _Choose) -> list[Notification]:
        """Answers those for which nothing was chosen."""
        rest = []
        for one in seen:
            seq = choose(one)
            if seq is None:
                rest.append(one)
            else:
                given.setdefault(seq, []).append(one)
        return rest

    def _channel(self, one: Notification) -> str | None:
        """Where its message came from; None, which is anywhere, where it names no channel of the run."""
        channel = one.field("channel")
        return channel if isinstance(channel, str) and channel in self._channels else None

    def _same_payload(self, one: Notification, given: _Given, linked: Mapping[int, int]) -> int | None:
        key = canonical(one.payload) if isinstance(one.payload, dict) else None
        same = self._by_payload.get((self._channel(one), key), []) if key is not None else []
        row = linked.get(one.id) if isinstance(one.id, int) else None
        if row in same:
            return row
        return next((seq for seq in same if seq not in given), same[-1] if same else None)

    def _same_marks(self, one: Notification, given: _Given) -> int | None:
        """The message with which it has most ids, time and text in common; among equals one without any yet.

        A second notification of one message has to have more in common with it than one thing.
        """
        scores: dict[int, int] = {}
        for mark in _marks_of_notification(one):
            having = self._by_mark.get((self._channel(one), mark), [])
            for seq in having if len(having) <= COMMON_MARK else ():
                scores[seq] = scores.get(seq, 0) + 1
        likely = [seq for seq in scores if seq not in given or scores[seq] > 1]
        return max(likely, key=lambda seq: (scores[seq], seq not in given, -seq), default=None)

    def _left(self, one: Notification, given: _Given) -> int | None:
        """The first message without any. One that says nothing is what has no payload where others have."""
        channel = self._channel(one)
        free = [
            message
            for message in self._messages
            if message.event.seq not in given and channel in (None, message.channel)
        ]
        if one.payload is None and given:
            free.sort(key=lambda message: self._readings[message.event.seq].value is not None)
        return free[0].event.seq if free else None


def canonical(value: Any) -> str | None:
    """A text that equal JSON values have in common, 1 and 1.0 among them; None for what is nested too deeply."""
    try:
        return json.dumps(_plain(value), sort_keys=True)
    except (RecursionError, ValueError):
        return None


def _plain(value: Any) -> Any:
    match value:
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"  # as Jackson writes it
        case float() if math.isfinite(value) and value.is_integer():
            return int(value)
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
    return value


def _marks_of_message(value: Any) -> set[tuple[str, Any]]:
    if not isinstance(value, dict):
        return set()
    stamp = value.get("timestamp")
    return _marks(value, value.get("at") if stamp is None else stamp, value.get("message"))


def _marks_of_notification(one: Notification) -> set[tuple[str, Any]]:
    fields = one.payload if isinstance(one.payload, dict) else {}
    return _marks(fields, one.field("occurredAt"), one.field("content"))


def _marks(fields: Mapping[str, Any], stamp: Any, text: Any) -> set[tuple[str, Any]]:
    marks: set[tuple[str, Any]] = {
        (name, value) for name, value in fields.items() if name.endswith("_id") and isinstance(value, str)
    }
    instant = instants.parse(stamp) if isinstance(stamp, str) else None
    if instant is not None:
        marks.add(("the time", instant))
    if isinstance(text, str):
        marks.add(("the text", text))
    return marks


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        return ABSENT


def _wire(message: Message) -> str:
    return f"PUBLISH {message.channel}\n{message.wire.decode(errors='backslashreplace')}"


def _failures(view: View, message: Message) -> Iterable[str]:
    """What the listener failed with on these bytes."""
    if "failures" not in view.cache:
        failures: dict[tuple[str, bytes], list[str]] = {}
        for event in view.history.of("fault"):
            if event.data["do"] == "listener-failed":
                key = event.data["channel"], decode(event.data["wire"])
                failures.setdefault(key, []).append(f"the listener failed: {event.data['error']}")
        view.cache["failures"] = failures
    found: dict[tuple[str, bytes], list[str]] = view.cache["failures"]
    return dict.fromkeys(found.get((message.channel, message.wire), ()))
