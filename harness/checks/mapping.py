"""What the consumer made of the fields of a message, judged by the rows of the mapping.

A field that has not the shape of NotificationDto is told of there, and by what was promised of it whatever its wording.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from harness.checks import instants
from harness.checks.correlation import Notification
from harness.checks.expected import Expected, demanded, differences, expected
from harness.checks.notifications import Handling, as_seen, finding, handlings, notifications
from harness.checks.registry import check
from harness.checks.view import ABSENT, View
from harness.schema import Violation, in_brief
from harness.verdict import Finding

Occasion = tuple[str, Finding | None]

CLOCKS_APART = instants.SECOND
"""Redis tells the tap and the consumer of a message independently, so either may know of it first."""
ROUNDED = 500
"""Nanoseconds: databases keep microseconds."""
PAYLOAD_FINDINGS = 3
"""So many fields of one payload are told of; that a field is lost is seen from the first."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def _judged(view: View) -> dict[str, list[Finding | None]]:
    """Every occasion on which a message could have been mapped wrongly, by clause."""
    if "mapping" not in view.cache:
        occasions: dict[str, list[Finding | None]] = {}
        for handling in handlings(view):
            if handling.handled and handling.reading.conforming:
                for clause, occasion in _mapped(view, handling):
                    occasions.setdefault(clause, []).append(occasion)
        for clause, occasion in _shapes(view):
            occasions.setdefault(clause, []).append(occasion)
        view.cache["mapping"] = occasions
    judged: dict[str, list[Finding | None]] = view.cache["mapping"]
    return judged


def _mapped(view: View, handling: Handling) -> Iterator[Occasion]:
    """One occasion per clause that the message exercises, and a finding for each field that is wrong."""
    found: dict[str, dict[str, Finding]] = {}
    for notification in handling.notifications:
        if isinstance(notification.value, dict):
            for wrong in _wrong(view, handling, notification):
                found.setdefault(wrong.clause, {}).setdefault(wrong.pointer, wrong)
    agreement, message, fields = view.agreement, handling.message, handling.reading.value
    rows = expected(agreement, message.channel, fields, message.text)
    misshapen = {violation.pointer[1:] for one in handling.notifications for violation in _violations(view, one)}
    exercised = [one.row.clause for to, one in rows.items() if _judges(one, handling) and to not in misshapen]
    exercised += [demand.clause for demand, _ in demanded(agreement, message.channel, fields)]
    for clause in dict.fromkeys(exercised):
        if clause in found:
            yield from ((clause, wrong) for wrong in found[clause].values())
        else:
            yield clause, None


def _judges(one: Expected, handling: Handling) -> bool:
    return one.row.take != "everything" or handling.reading.exact


def _wrong(view: View, handling: Handling, notification: Notification) -> Iterator[Finding]:
    message, fields = handling.message, handling.reading.value
    told = set()
    for demand, named in demanded(view.agreement, message.channel, fields):
        text = notification.field(demand.to)
        if not (isinstance(text, str) and text and named in text):
            told.add(demand.to)
            words = f"a text that names {' or '.join(demand.names)}" if demand.names else "a text that is not empty"
            seen = f"{_shown(text)}{f', without {in_brief(named)}' if named else ''}"
            yield finding(view, handling, demand.clause, words, seen, f"/{demand.to}", shown=[notification])
    misshapen = {violation.pointer for violation in _violations(view, notification)}
    for to, one in expected(view.agreement, message.channel, fields, message.text).items():
        if to not in told and f"/{to}" not in misshapen and _judges(one, handling):
            for pointer, due, seen in _field(view, handling, notification, to, one):
                words = one.words
                value = f"{seen} instead of {due}" if due else seen
                yield finding(view, handling, one.row.clause, words, value, pointer, shown=[notification])


def _field(
    view: View, handling: Handling, notification: Notification, to: str, one: Expected
) -> Iterator[tuple[str, str, str]]:
    """Where the field is not what the row makes of the message: pointer, what was due, what was seen."""
    found, pointer = notification.field(to), f"/{to}"
    match one.row.take:
        case "everything":
            for place, due, seen in list(differences(one.value, found, pointer))[:PAYLOAD_FINDINGS]:
                yield place, _shown(due), _shown(seen)
        case "nothing":
            if found is not ABSENT:
                yield pointer, "", _shown(found)
        case "database":
            rows = handling.rows if notification.event.kind == "broadcast" else ()
            if rows and found not in [row.id for row in rows]:
                yield pointer, _shown(rows[0].id), _shown(found)
        case "now":
            yield from _received(view, handling, notification, pointer, found)
        case _ if to == "occurredAt":
            instant = instants.parse(found) if isinstance(found, str) else None
            apart = ROUNDED if notification.event.kind == "stored" else 0
            if instant is None or abs(instant - one.value) > apart:
                yield pointer, instants.shown(one.value), _shown(found)
        case _:
            if not _same(one.value, found):
                yield pointer, _shown(one.value), _shown(found)


def _received(
    view: View, handling: Handling, notification: Notification, pointer: str, found: Any
) -> Iterator[tuple[str, str, str]]:
    slack = int(view.tolerance * instants.SECOND) + CLOCKS_APART
    first = instants.of(handling.message.event.moment) - slack
    last = instants.of(notification.event.moment) + slack
    instant = instants.parse(found) if isinstance(found, str) else None
    if instant is None or not first <= instant <= last:
        yield pointer, f"about {handling.message.event.wall}", _shown(found)


def _same(due: Any, found: Any) -> bool:
    if isinstance(due, str) and isinstance(found, str):
        # Half a character, where a text was cut, becomes a question mark or a replacement character on its way out.
        return found in (due, _SURROGATE.sub("?", due), _SURROGATE.sub("\ufffd", due))
    return isinstance(due, bool) is isinstance(found, bool) and bool(due == found)


def _shapes(view: View) -> Iterator[Occasion]:
    """Each notification, whatever it was made of; what is wrong in the row and in the frame alike is told of once."""
    owner = {one.event.seq: handling for handling in handlings(view) for one in handling.notifications}
    told = set()
    for notification in notifications(view):
        handling = owner.get(notification.event.seq)
        violations = _violations(view, notification)
        if not violations:
            yield "mapping.dto", None
        for violation in violations:
            key = (handling.seq if handling else notification.event.seq, violation.pointer)
            if key not in told:
                told.add(key)
                yield "mapping.dto", _misshapen(view, handling, notification, violation)


def _misshapen(view: View, handling: Handling | None, notification: Notification, violation: Violation) -> Finding:
    place = violation.pointer or "the notification"
    words, seen = f"{place} as in NotificationDto", f"{place} {violation.reason}"
    if handling is not None:
        return finding(view, handling, "mapping.dto", words, seen, violation.pointer, shown=[notification])
    return Finding(
        clause="mapping.dto",
        expected=words,
        seen=seen,
        pointer=violation.pointer,
        evidence=as_seen(notification),
        events=(notification.event.seq,),
    )


def _violations(view: View, notification: Notification) -> tuple[Violation, ...]:
    if notification.value is ABSENT:
        return (Violation("", "type", "is not JSON", None),)
    key = ("shape", notification.event.seq)
    if key not in view.cache:
        view.cache[key] = view.validators["notification-dto"].violations(notification.value)
    found: tuple[Violation, ...] = view.cache[key]
    return found


def _shown(value: Any) -> str:
    return "nothing" if value is ABSENT else in_brief(value)


def _register(clause: str) -> None:
    @check(clause)
    def judged(view: View) -> list[Finding | None]:
        return _judged(view).get(clause, [])


for _clause in (
    "mapping.type",
    "mapping.content",
    "mapping.occurred-at",
    "mapping.fallback",
    "mapping.rag-content",
    "mapping.deployed",
    "mapping.payload",
    "mapping.dto",
):
    _register(_clause)
