"""The subscription: every channel, both shapes, stored once and then broadcast once, and nothing stops it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.checks import losses
from harness.checks.correlation import Notification
from harness.checks.notifications import TOPIC, Handling, finding, handlings
from harness.checks.registry import check
from harness.checks.view import View
from harness.verdict import Finding


@check("subscriber.channels")
def channels(view: View) -> Iterator[Finding | None]:
    """One occasion for each channel."""
    blame = losses.blamed(view)
    first: dict[str, Handling] = {}
    for one in handlings(view):
        if one.due:
            first.setdefault(one.message.channel, one)
    for channel, one in first.items():
        if blame.get(one.seq) == "subscriber.channels":
            count = sum(clause == "subscriber.channels" for clause in _blame_on(view, channel))
            seen = f"none of {count} on {channel}"
            yield finding(view, one, "subscriber.channels", "the messages of every channel of workbench:*", seen)
        else:
            yield None


@check("subscriber.older-shape")
def older_shape(view: View) -> Iterator[Finding | None]:
    blame = losses.blamed(view)
    for one in handlings(view):
        if one.due and one.older_shape:
            if one.handled:
                yield None
            elif blame[one.seq] == "subscriber.older-shape":
                expected = "a notification of a case_action_completed message"
                yield finding(view, one, "subscriber.older-shape", expected, "neither stored nor broadcast")


@check("subscriber.stored")
def stored(view: View) -> Iterator[Finding | None]:
    for one in _handled(view):
        if len(one.rows) == 1:
            yield None
        else:
            seen = f"{len(one.rows)} rows"
            shown = one.rows or one.notifications[:1]
            yield finding(view, one, "subscriber.stored", "one row", seen, shown=shown)


@check("subscriber.broadcast")
def broadcast(view: View) -> Iterator[Finding | None]:
    for one in _handled(view):
        wrong = {name: frames for name, frames in one.frames.items() if len(frames) != 1}
        if one.frames and not wrong:
            yield None
            continue
        expected = f"one frame on {TOPIC} for each subscription"
        if not one.frames:
            yield finding(view, one, "subscriber.broadcast", expected, "no frame at all", shown=one.rows)
        for name, frames in wrong.items():
            seen, shown = f"{len(frames)} for {name}", frames or one.rows
            yield finding(view, one, "subscriber.broadcast", expected, seen, shown=shown)


@check("subscriber.stored-first")
def stored_first(view: View) -> Iterator[Finding | None]:
    for one in _handled(view):
        rows: dict[object, Notification] = {row.id: row for row in reversed(one.rows)}
        frames = [frame for several in one.frames.values() for frame in several]
        if not rows or not frames:
            continue
        pairs = [(rows.get(frame.id if isinstance(frame.id, int) else None, one.rows[0]), frame) for frame in frames]
        early = [(row, frame) for row, frame in pairs if frame.event.seq < row.event.seq]
        if not early:
            yield None
        for row, frame in early[:1]:
            seen = f"the frame was event {frame.event.seq}, its row {row.event.seq}"
            expected = "the row before the frame"
            yield finding(view, one, "subscriber.stored-first", expected, seen, shown=[frame, row])


@check("subscriber.survives")
def survives(view: View) -> Iterator[Finding | None]:
    """One occasion for each bad message with a good one behind it, until the consumer has stopped."""
    blame = losses.blamed(view)
    bad: list[Handling] = []
    stopped = None
    for one in losses.connected(view):
        if not one.due:
            bad.append(one)
            continue
        if one.period != stopped:
            clause = blame.get(one.seq)
            if clause == "subscriber.survives" and bad:
                seen = "neither stored nor broadcast"
                expected = "the message after a bad one is handled"
                yield finding(view, one, "subscriber.survives", expected, seen, after=bad[-1])
                if _is_over(view, one):
                    stopped = one.period
            elif clause is None:
                yield from (None for _ in bad)
        bad = []


def _handled(view: View) -> Iterator[Handling]:
    """Due and handled in some way; a copy that is handled worse than the first is a matter of delivery.duplicates."""
    worse = losses.worse_copies(view)
    return (one for one in handlings(view) if one.due and one.handled and one.seq not in worse)


def _is_over(view: View, lost: Handling) -> bool:
    """Whether nothing is handled any more in this period."""
    return not any(one.handled for one in handlings(view) if one.period == lost.period and one.seq > lost.seq)


def _blame_on(view: View, channel: str) -> Iterator[str]:
    blame = losses.blamed(view)
    return (blame[one.seq] for one in handlings(view) if one.message.channel == channel and one.seq in blame)
