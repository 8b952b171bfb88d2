"""Between publisher and consumer: nothing is invented, nothing lost but in a gap, and duplicates do no harm."""

from __future__ import annotations

from collections.abc import Iterator

from harness.checks import losses
from harness.checks.messages import finding as finding_of_aura
from harness.checks.messages import of_another_kind
from harness.checks.notifications import Handling, finding, handlings
from harness.checks.registry import check
from harness.checks.view import View
from harness.verdict import Finding

_NOTHING = "neither stored nor broadcast"


@check("delivery.nothing-invented")
def nothing_invented(view: View) -> Iterator[Finding | None]:
    for message in view.notifications:
        cause = view.cause_of.get(message.event.seq)
        if cause is not None and not of_another_kind(message, cause):
            yield None
        else:
            clause, expected = "delivery.nothing-invented", "a message for something that took place"
            yield finding_of_aura(message, cause, clause, expected, "no such event")


@check("delivery.nothing-lost")
def nothing_lost(view: View) -> Iterator[Finding | None]:
    blame = losses.blamed(view)
    for one in handlings(view):
        if one.due and one.handled:
            yield None
        elif blame.get(one.seq) == "delivery.nothing-lost":
            expected = "every message that conforms is handled while the consumer is connected"
            yield finding(view, one, "delivery.nothing-lost", expected, _NOTHING)


@check("delivery.gap")
def gap(view: View) -> Iterator[Finding | None]:
    """One occasion for each message in a gap, and one for the first after it."""
    blame = losses.blamed(view)
    missed = [one for one in handlings(view) if one.cut_off]
    for one in missed:
        if one.handled:
            expected = "what is published while the consumer is cut off is not replayed"
            yield finding(view, one, "delivery.gap", expected, "it was handled", shown=one.notifications)
        else:
            yield None
    first: dict[int, Handling] = {}
    for one in losses.connected(view):
        if one.due and one.period:
            first.setdefault(one.period, one)
    for period, one in first.items():
        if one.handled:
            yield None
        elif blame[one.seq] == "delivery.gap":
            count = sum(other.period == period - 1 for other in missed)
            seen = f"{_NOTHING}; {count} published while it was cut off"
            yield finding(view, one, "delivery.gap", "the first message after a gap is handled", seen)


@check("delivery.duplicates")
def duplicates(view: View) -> Iterator[Finding | None]:
    """One occasion for each further copy of a message."""
    blame = losses.blamed(view)
    told = set()
    for group in losses.copies(view):
        for one in group[1:]:
            told.add(one.seq)
            clause = blame.get(one.seq)
            if clause == "delivery.duplicates" or one.seq in losses.worse_copies(view):
                expected = "a message that came before is handled once more"
                yield finding(view, one, "delivery.duplicates", expected, _became(one), after=group[0])
            elif clause is None:
                yield None
    stopped = [one for one in handlings(view) if blame.get(one.seq) == "delivery.duplicates" and one.seq not in told]
    for one in stopped[:1]:
        yield finding(view, one, "delivery.duplicates", "the message after a copy is handled", _NOTHING)


def _became(one: Handling) -> str:
    if not one.handled:
        return _NOTHING
    return "broadcast, not stored" if not one.rows else "stored, not broadcast"
