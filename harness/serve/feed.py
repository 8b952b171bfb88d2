"""Everything that happens in served systems, and out of it what belongs to one play, for others work there, too."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import IO, Any

from harness.bus import CUT, EMPTIED, FAILED, RESTORED, Publish
from harness.clock import Clock
from harness.history import Event, Recorder, decode, encode, to_line


class Feed(Recorder):
    """Told to whoever listens, and kept nowhere but in `out`: it may run for days."""

    def __init__(self, clock: Clock, out: IO[str] | None = None) -> None:
        self.listeners: dict[Callable[[Event], object], None] = {}
        super().__init__(clock, out, keep=False, told=self._tell)

    def _tell(self, event: Event) -> None:
        for listener in tuple(self.listeners):
            listener(event)


class Excerpt(Recorder):
    """The history of one play: what it records itself, which the feed gets too, and of the feed what is about it.

    That is what carries `mark`, with which all its ids begin; what came of its messages that carry no id; and what
    happened to the connections of the seats, which are everybody's.
    """

    def __init__(self, feed: Feed, clock: Clock, mark: str) -> None:
        super().__init__(clock)
        self._feed = feed
        self._mark = mark
        self._wires: list[object] = []
        self._payloads: list[object] = []

    def record(
        self,
        kind: str,
        data: Mapping[str, Any],
        *,
        seat: str | None = None,
        about: Mapping[str, object] | None = None,
    ) -> Event:
        listening = self._feed.listeners
        before = tuple(listening)
        listening.pop(self.take, None)
        try:
            # The text of a scenario is a whole history's, and the feed is more than its.
            if kind != "run" and data.get("do") != "given":
                self._feed.record(kind, data, seat=seat, about=about)
        finally:
            listening.update(dict.fromkeys(before))
        return super().record(kind, data, seat=seat, about=about)

    def take(self, event: Event) -> None:
        """A listener of the feed."""
        if self._is_ours(event):
            super().record(event.kind, event.data, seat=event.seat, about=event.about)

    def publishing(self, publish: Publish) -> Publish:
        """`publish`, and what comes of its messages is this play's."""

        async def published(channel: str, wire: bytes) -> int:
            self._wires.append(encode(wire))
            self._payloads.append(_object(wire))
            return await publish(channel, wire)

        return published

    def _is_ours(self, event: Event) -> bool:
        if self._mark in to_line(event):
            return True
        if event.about:
            return False
        match event.kind:
            case "published":
                return event.data["wire"] in self._wires
            case "stored":
                return self._is_sent((event.data["notification"] or {}).get("payload"))
            case "broadcast":
                return self._is_sent((_object(decode(event.data["body"])) or {}).get("payload"))
            case "fault":
                # A viewer belongs to the play that opened it.
                everybody = event.data.get("do") in (CUT, RESTORED, FAILED, EMPTIED) and "viewer" not in event.data
                return everybody or event.data.get("wire") in self._wires
            case _:
                return False

    def _is_sent(self, payload: object) -> bool:
        return payload is not None and payload in self._payloads


def _object(wire: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(wire)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
