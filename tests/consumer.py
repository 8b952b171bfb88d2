"""A consumer for the tests of checks: what Synapse makes of messages, as events, with a place to break each step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from histories import broadcast, fault, published, stored

from harness.history import Event, encode
from harness.synapse.instant import Instant
from harness.synapse.node import Tree
from harness.synapse.notification import NotificationDto, Unstorable, check_columns, read, to_json
from harness.synapse.reader import Unreadable
from harness.synapse.writer import Unwritable

Message = tuple[str, bytes]
START = 1_770_820_200
"""The moment that histories.START is, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """Each field is a step that a test may replace; as they stand they are the deployed ones."""

    read: Callable[[str, bytes, Instant], NotificationDto] = read
    changed: Callable[[dict[str, Any]], dict[str, Any]] = lambda dto: dto
    """What is stored and broadcast, instead of this."""
    takes: Callable[[int, str, bytes], bool] = lambda index, channel, wire: True
    """Whether it receives the message at all."""
    order: Callable[[list[Event]], list[Event]] = lambda events: events
    """What happens with the row and the frame of a message."""

    def events(self, messages: Iterable[Message]) -> list[Event]:
        return [event for index, message in enumerate(messages) for event in self._handled(index, *message)]

    def _handled(self, index: int, channel: str, wire: bytes) -> Iterator[Event]:
        at = 1 + index / 1000
        yield published(wire, channel=channel, at=at, seat="harness")
        if not self.takes(index, channel, wire):
            return
        now = Instant(START).of_epoch_nano(START * 10**9 + int(at * 10**9))
        try:
            dto = self.read(channel, wire, now)
            check_columns(dto)
            body = to_json(dto.stored(index, now))
        except (Unreadable, Unstorable, Unwritable) as error:
            data: dict[str, Any] = {"channel": channel, "wire": encode(wire), "error": str(error)}
            yield fault("listener-failed", at=at, **data)
            return
        value = self.changed(json.loads(body))
        yield from self.order([stored(value, row=index, at=at), broadcast(json.dumps(value).encode(), at=at)])


def with_payload(dto: NotificationDto, payload: dict[str, Tree]) -> NotificationDto:
    return replace(dto, payload=payload)
