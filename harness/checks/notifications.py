"""What the consumer made of each published message: the rows that it stored, the frames that it broadcast."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.checks.conforming import Reading, read
from harness.checks.correlation import Matching, Notification
from harness.checks.view import ABSENT, CASE_ACTION, OLDER_SHAPE, Message, View
from harness.history import Event, decode
from harness.reproduce import publish
from harness.verdict import Finding

TOPIC = "/topic/notifications"


NOTICED_WITHIN = 0.1
"""Seconds after which a lost connection is known to be lost."""


@dataclass(frozen=True, slots=True)
class Handling:
    """One published message and what became of it.

    `period` counts the times that the consumer was connected before, and `cut_off` says that it was not; `unclear`,
    that it was cut or restored while the message was under way, when anything may become of it. `frames` are
    by subscription, with every subscription of the run in it.
    """

    message: Message
    reading: Reading
    period: int
    cut_off: bool
    unclear: bool
    rows: tuple[Notification, ...]
    frames: Mapping[str, tuple[Notification, ...]]

    @property
    def seq(self) -> int:
        return self.message.event.seq

    @property
    def due(self) -> bool:
        """Whether the consumer has promised to handle it."""
        return self.reading.conforming and self.connected

    @property
    def connected(self) -> bool:
        return not self.cut_off and not self.unclear

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
        view.cache["handlings"] = tuple(_noticed_late(view, list(_handlings(view))))
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


def _noticed_late(view: View, found: list[Handling]) -> list[Handling]:
    """A cut that the run did not make is noticed after it happened: what was published just before and came to nothing
    was lost in it."""
    cuts = [event for event in _faults(view) if event.data["do"] == "cut" and event.data.get("noticed")]
    for cut in cuts:
        for index in range(len(found) - 1, -1, -1):
            one = found[index]
            if one.seq > cut.seq or one.cut_off:
                continue
            if one.handled or one.message.event.at < cut.at - NOTICED_WITHIN:
                break
            found[index] = replace(one, cut_off=True)
    return found


def _handlings(view: View) -> Iterator[Handling]:
    cuts = [(event.seq, event.data["do"]) for event in _faults(view)]
    cuts = [(0, "restored"), *(cut for cut in cuts if cut[1] in ("cut", "restored"))]
    readings = {message.event.seq: read(view.agreement, message.channel, message.wire) for message in view.messages}
    cut_off, periods = {}, {}
    for message in view.messages:
        before = cuts[: bisect_right(cuts, message.event.seq, key=lambda cut: cut[0])]
        cut_off[message.event.seq] = before[-1][1] == "cut"
        periods[message.event.seq] = sum(do == "restored" for _, do in before) - 1
    in_order = sorted(view.messages, key=lambda message: (cut_off[message.event.seq], message.event.seq))
    matching = Matching(view.agreement, in_order, readings, cut_off)
    seen = notifications(view)
    rows = matching.match([one for one in seen if one.event.kind == "stored"], {})
    linked = _linked(rows)
    subscriptions = sorted({one.event.data["subscription"] for one in seen if one.event.kind == "broadcast"})
    frames = {
        name: matching.match([one for one in seen if one.event.data.get("subscription") == name], linked)
        for name in subscriptions
    }
    changes = [event.at for event in view.history.of("fault") if event.data["do"] in ("cut", "restored")]
    unclear = {message.event.seq for message in view.messages if any(map(message.under_way, changes))}
    for message in view.messages:
        seq = message.event.seq
        yield Handling(
            message=message,
            reading=readings[seq],
            period=periods[seq],
            cut_off=cut_off[seq] and seq not in unclear,
            unclear=seq in unclear,
            rows=tuple(rows.get(seq, ())),
            frames={name: tuple(found.get(seq, ())) for name, found in frames.items()},
        )


def _faults(view: View) -> Iterator[Event]:
    """The consumer's; a cut of another seat's connection takes nothing from it."""
    return (event for event in view.history.of("fault") if event.seat == "synapse")


def _linked(rows: Mapping[int, Sequence[Notification]]) -> dict[int, int]:
    """The message of each row, by the row's id, where that names only one."""
    linked: dict[int, int] = {}
    twice = set()
    for seq, several in rows.items():
        for row in several:
            twice |= {row.id} & linked.keys()
            linked[row.id] = seq
    return {row: seq for row, seq in linked.items() if row not in twice}


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
        for event in _faults(view):
            if event.data["do"] == "listener-failed":
                key = event.data["channel"], decode(event.data["wire"])
                failures.setdefault(key, []).append(f"the listener failed: {event.data['error']}")
        view.cache["failures"] = failures
    found: dict[tuple[str, bytes], list[str]] = view.cache["failures"]
    return dict.fromkeys(found.get((message.channel, message.wire), ()))
