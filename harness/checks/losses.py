"""Which one clause a lost message breaks: a channel that is never received loses all of its messages, and a consumer
that a bad message stopped loses all that follow, but neither has lost messages on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from harness.checks.notifications import Handling, handlings
from harness.checks.view import View

CHANNELS = "subscriber.channels"
OLDER = "subscriber.older-shape"
SURVIVES = "subscriber.survives"
GAP = "delivery.gap"
DUPLICATES = "delivery.duplicates"
LOST = "delivery.nothing-lost"

DEAD = 2
DEAD_AMONG_LOSSES = 10
"""So many due messages unhandled to the end of a connection make an end; of fewer, one loses by chance what one loses
elsewhere, too."""


def blamed(view: View) -> Mapping[int, str]:
    """The clause of each due message that was neither stored nor broadcast, by its `seq`."""
    if "losses" not in view.cache:
        view.cache["losses"] = _blamed(view)
    found: Mapping[int, str] = view.cache["losses"]
    return found


def copies(view: View) -> Iterable[Sequence[Handling]]:
    """The due messages that were published more than once, of which one was handled at least."""
    groups: dict[tuple[str, bytes], list[Handling]] = {}
    for one in handlings(view):
        if one.due:
            groups.setdefault((one.message.channel, one.message.wire), []).append(one)
    return [group for group in groups.values() if len(group) > 1 and any(one.handled for one in group)]


def connected(view: View) -> list[Handling]:
    """The messages that a consumer of their channel and shape was connected for."""
    blame = blamed(view)
    return [one for one in handlings(view) if one.connected and blame.get(one.seq) not in (CHANNELS, OLDER)]


def worse_copies(view: View) -> frozenset[int]:
    """The further copies that were not both stored and broadcast, if that happened to no other message."""
    if "worse copies" not in view.cache:
        again = {one.seq for group in copies(view) for one in group[1:]}
        half = frozenset(one.seq for one in handlings(view) if one.due and one.handled and not _complete(view, one))
        view.cache["worse copies"] = half if half <= again else frozenset()
    found: frozenset[int] = view.cache["worse copies"]
    return found


def _complete(view: View, one: Handling) -> bool:
    """Stored and broadcast, as far as this run sees either."""
    reach = view.history.run["reach"]
    broadcast = bool(one.frames) and all(one.frames.values())
    return (bool(one.rows) or "rest" not in reach) and (broadcast or "stomp" not in reach)


def _blamed(view: View) -> dict[int, str]:
    blame: dict[int, str] = {}
    _blame_the_kind(handlings(view), blame)
    rest = [one for one in handlings(view) if one.connected and one.seq not in blame]
    again = {one.seq for group in copies(view) for one in group[1:]}
    dead = ""
    for period, published in groupby(rest, key=lambda one: one.period):
        dead = _blame_the_end(list(published), period, again, blame, dead)
    _blame_the_rest(rest, again, blame)
    return blame


def _blame_the_kind(published: Sequence[Handling], blame: dict[int, str]) -> None:
    """Whole channels and the older shape, if the consumer was alive and took none of them."""
    taken = {kind for one in published if _taken(one) for kind in (one.message.channel, one.older_shape)}
    last = max((one.seq for one in published if _taken(one)), default=0)
    first: dict[object, int] = {}
    for one in published:
        if one.due:
            first.setdefault(one.message.channel, one.seq)
            first.setdefault(one.older_shape, one.seq)
    for one in published:
        if one.due and not one.handled:
            channel = one.message.channel
            if channel not in taken and (first[channel] < last or not last):
                blame[one.seq] = CHANNELS
            elif one.older_shape and channel in taken and True not in taken and first[True] < last:
                blame[one.seq] = OLDER


def _taken(one: Handling) -> bool:
    """Whether it shows that its kind is taken; what hostile bytes pass for shows nothing."""
    return one.handled and one.reading.conforming


def _blame_the_end(published: list[Handling], period: int, again: set[int], blame: dict[int, str], dead: str) -> str:
    """What stopped the consumer for good in this period, if anything did; and the first message after a gap.

    Gives the clause; `dead` is what it gave for the period before: whoever was dead then need not come back now.
    """
    if dead and not any(one.handled for one in published):
        blame.update((one.seq, dead) for one in published if one.due)
        return dead
    first = next((one for one in published if one.due), None)
    if period and first is not None and not first.handled:
        blame[first.seq] = GAP
    last = max((index for index, one in enumerate(published) if one.handled), default=-1)
    lost = [one for one in published[last + 1 :] if one.due]
    elsewhere = any(one.due and not one.handled for one in published[: max(last, 0)])
    if len(lost) < (DEAD_AMONG_LOSSES if elsewhere else DEAD):
        return ""
    before = published[last + 1 : published.index(lost[0])]
    if period and last < 0:
        clause = GAP
    elif before or (last >= 0 and not published[last].due):
        clause = SURVIVES
    elif lost[0].seq in again or (last >= 0 and published[last].seq in again):
        clause = DUPLICATES
    else:
        clause = LOST
    blame.update((one.seq, clause) for one in lost if one.seq not in blame)
    return clause


def _blame_the_rest(connected: list[Handling], again: set[int], blame: dict[int, str]) -> None:
    """Single losses. Where a bad message or a copy could explain some but not all of them, it explains none."""
    single: dict[int, str] = {}
    bad = False
    for one in connected:
        if one.due and not one.handled and one.seq not in blame:
            single[one.seq] = DUPLICATES if one.seq in again else SURVIVES if bad else LOST
        bad = not one.due
    if LOST in single.values():
        single = dict.fromkeys(single, LOST)
    blame.update(single)
