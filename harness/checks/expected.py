"""What NotificationDto should be made of a message: the rows and demands of mapping.yaml, read as its header says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.agreement import Agreement, Demand, Row
from harness.checks import instants
from harness.checks.view import ABSENT

_IN_TEXT = re.compile(r"\{([^}|]*)(?:\|([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Expected:
    """What one field has to be. `value` is None where it does not stand in the message: see `row.take`."""

    row: Row
    value: Any

    @property
    def words(self) -> str:
        """What is due, the same for every message that the row applies to."""
        row = self.row
        if row.field:
            return f"{row.field} of the message, {_AS[row.read or 'text']}"
        if row.take:
            return _TAKEN[row.take].format(cut=row.cut)
        return f"{row.text if row.text is not None else row.value}"


_AS = {
    "text": "as it stands",
    "instant": "as the same instant",
    "milliseconds": "read as milliseconds since 1970",
    "integer": "as it stands",
}
_TAKEN = {
    "channel": "the channel of the message",
    "everything": "every field of the message, as it came",
    "body": "the raw message, cut at {cut} UTF-16 units",
    "now": "the time of receipt",
    "database": "the id of the row",
    "nothing": "left out",
}


def expected(agreement: Agreement, channel: str, fields: Mapping[str, Any], text: str) -> dict[str, Expected]:
    """Each field of the notification that a conforming message becomes. `text` is the message as it was received."""
    found: dict[str, Expected] = {}
    for row in agreement.mapping:
        if row.to not in found and _applies(row, channel, fields):
            found[row.to] = Expected(row, _value(row, channel, fields, text))
    return found


def demanded(agreement: Agreement, channel: str, fields: Mapping[str, Any]) -> Iterator[tuple[Demand, str]]:
    """Each demand that has to be met, with the text that its field has to contain; empty where any text will do."""
    for demand in agreement.demands:
        if _holds(demand, channel, fields):
            yield demand, _first(fields, demand.names) if demand.names else ""


def _applies(row: Row, channel: str, fields: Mapping[str, Any]) -> bool:
    if not _holds(row, channel, fields) or (row.when_true and fields.get(row.when_true) is not True):
        return False
    if row.field is None:
        return True
    value = fields.get(row.field)
    return value is not None and _READABLE[row.read or "text"](value)


def _holds(row: Row | Demand, channel: str, fields: Mapping[str, Any]) -> bool:
    if row.channel not in (None, channel):
        return False
    if row.when_absent and fields.get(row.when_absent) is not None:
        return False
    return not row.when_filled or _first(fields, row.when_filled) != ""


_READABLE: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "instant": lambda value: isinstance(value, str) and instants.parse(value) is not None,
    "milliseconds": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}


def _value(row: Row, channel: str, fields: Mapping[str, Any], text: str) -> Any:
    if row.field is not None:
        value = fields[row.field]
        if row.read == "instant":
            return instants.parse(value)
        return value * 1_000_000 if row.read == "milliseconds" else value
    if row.text is not None:
        return _filled(row.text, fields)
    match row.take:
        case "channel":
            return channel
        case "everything":
            return fields
        case "body":
            return cut(text, row.cut, row.mark)
    return row.value


def _filled(text: str, fields: Mapping[str, Any]) -> str:
    return _IN_TEXT.sub(lambda found: _first(fields, found[1].split(",")) or found[2] or "", text)


def _first(fields: Mapping[str, Any], names: tuple[str, ...] | list[str]) -> str:
    """The text of the first of these that is present."""
    return next((_as_text(fields[name]) for name in names if name in fields), "")


def _as_text(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
    return str(value)


def cut(text: str, units: int | None, mark: str) -> str:
    """What is longer than so many UTF-16 units is cut there, in the middle of a character if need be."""
    if units is None or len(text) + sum(character > "\uffff" for character in text) <= units:
        return text
    halves = text.encode("utf-16-be", "surrogatepass")[: 2 * units]
    return halves.decode("utf-16-be", "surrogatepass") + mark


def differences(expected: Any, found: Any, pointer: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values are not equal: pointer, expected, found. Numbers are equal by value."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in expected | found:
            inner = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            yield from differences(expected.get(name, ABSENT), found.get(name, ABSENT), inner)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{pointer}/{index}")
    elif isinstance(expected, bool) or isinstance(found, bool):
        if expected is not found:
            yield pointer, expected, found
    elif expected != found:
        yield pointer, expected, found
