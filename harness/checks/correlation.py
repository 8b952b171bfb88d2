"""Which published message a notification was made of.

By channel and payload, else by the ids, the time and the texts that they have in common, and what is left in the order
in which it came: a field that is lost on the way is then no lost message.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.agreement import Agreement
from harness.checks import instants
from harness.checks.conforming import Reading
from harness.checks.expected import expected
from harness.checks.view import ABSENT, Fields, Message
from harness.history import Event

COMMON_MARK = 50
"""A text or id that more messages than this share tells none of them from the others."""


@dataclass(frozen=True, slots=True)
class Notification(Fields):
    """A NotificationDto, as it was stored or as it was broadcast; `value` is ABSENT where it is no JSON."""

    event: Event
    value: Any

    @property
    def id(self) -> Any:
        return self.event.data["id"] if self.event.kind == "stored" else self.field("id")

    @property
    def payload(self) -> Any:
        """None where there is none, which is left out of a notification."""
        payload = self.field("payload")
        return None if payload is ABSENT else payload


Given = dict[int, list[Notification]]
_Key = tuple[str | None, str]
_Choose = Callable[[Notification], int | None]


class Matching:
    """Messages by what can be found again in a notification. They come in order of preference."""

    def __init__(
        self,
        agreement: Agreement,
        messages: Sequence[Message],
        readings: Mapping[int, Reading],
        cut_off: Mapping[int, bool],
    ) -> None:
        self._agreement = agreement
        self._channels = {message.channel for message in messages}
        self._readings = readings
        self._messages = sorted(
            messages, key=lambda message: (cut_off[message.event.seq], not readings[message.event.seq].conforming)
        )
        self._by_payload: dict[_Key, list[int]] = {}
        for message in messages:
            value = readings[message.event.seq].value
            key = canonical(value) if isinstance(value, dict) else None
            for channel in (message.channel, None):
                if key is not None:
                    self._by_payload.setdefault((channel, key), []).append(message.event.seq)

    @cached_property
    def _by_mark(self) -> dict[tuple[str | None, Any], list[int]]:
        found: dict[tuple[str | None, Any], list[int]] = {}
        for message in self._messages:
            for mark in _marks_of_message(self._agreement, message, self._readings[message.event.seq]):
                for channel in (message.channel, None):
                    found.setdefault((channel, mark), []).append(message.event.seq)
        return found

    def match(self, seen: Sequence[Notification], linked: Mapping[int, int]) -> Given:
        """The notifications of each message, by the `seq` of the message. What fits none is left out."""
        given: Given = {}
        rest = self._give(seen, given, lambda one: self._same_payload(one, given, linked))
        if given:  # else it is a consumer that drops every payload
            rest = self._give(rest, given, lambda one: self._nothing_said(one, given))
        rest = self._give(rest, given, lambda one: self._same_marks(one, given))
        self._give(rest, given, lambda one: self._left(one, given))
        return given

    def _give(self, seen: Sequence[Notification], given: Given, choose: _Choose) -> list[Notification]:
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

    def _same_payload(self, one: Notification, given: Given, linked: Mapping[int, int]) -> int | None:
        key = canonical(one.payload) if isinstance(one.payload, dict) else None
        same = self._by_payload.get((self._channel(one), key), []) if key is not None else []
        row = linked.get(one.id) if isinstance(one.id, int) else None
        free = (seq for seq in same if seq not in given)
        if row in same:
            # Of equal messages the one of its row; where that has its frame, one that never got a row.
            return row if row not in given else next((seq for seq in free if seq not in linked.values()), row)
        return next(free, same[-1] if same else None)

    def _same_marks(self, one: Notification, given: Given) -> int | None:
        """The message with which it has most ids, time and text in common; among equals one without any yet.

        A second notification of one message has to have more in common with it than two texts that many have.
        """
        scores: dict[int, int] = {}
        for mark in _marks_of_notification(one):
            having = self._by_mark.get((self._channel(one), mark), [])
            for seq in having if len(having) <= COMMON_MARK else ():
                scores[seq] = scores.get(seq, 0) + 1
        likely = [seq for seq in scores if seq not in given or scores[seq] > 2]
        return max(likely, key=lambda seq: (scores[seq], seq not in given, -seq), default=None)

    def _nothing_said(self, one: Notification, given: Given) -> int | None:
        """An empty message, for a notification without payload."""
        free = self._free(one, given) if one.payload is None else ()
        return next((seq for seq in free if self._readings[seq].value is None), None)

    def _left(self, one: Notification, given: Given) -> int | None:
        return next(iter(self._free(one, given)), None)

    def _free(self, one: Notification, given: Given) -> Iterator[int]:
        channel = self._channel(one)
        for message in self._messages:
            if message.event.seq not in given and channel in (None, message.channel):
                yield message.event.seq


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


def _marks_of_message(agreement: Agreement, message: Message, reading: Reading) -> set[tuple[str, Any]]:
    """What a notification of it should show. What it will show is another question, and judged elsewhere."""
    if not isinstance(reading.value, dict):
        return set()
    fields, text = reading.value, message.text if isinstance(message.text, str) else ""
    stamp = fields.get("at") if fields.get("timestamp") is None else fields.get("timestamp")
    if reading.conforming:
        due = {to: one.value for to, one in expected(agreement, message.channel, fields, text).items()}
    else:
        due = {"content": fields.get("message")}
    return _marks(fields, stamp, due)


def _marks_of_notification(one: Notification) -> set[tuple[str, Any]]:
    fields = one.payload if isinstance(one.payload, dict) else {}
    return _marks(fields, one.field("occurredAt"), {name: one.field(name) for name in _TEXTS})


_TEXTS = ("type", "title", "content")


def _marks(fields: Mapping[str, Any], stamp: Any, texts: Mapping[str, Any]) -> set[tuple[str, Any]]:
    marks: set[tuple[str, Any]] = {
        (name, value) for name, value in fields.items() if name.endswith("_id") and isinstance(value, str)
    }
    instant = instants.parse(stamp) if isinstance(stamp, str) else None
    if instant is not None:
        marks.add(("the time", instant))
    return marks | {(f"the {name}", texts[name]) for name in _TEXTS if isinstance(texts.get(name), str)}
