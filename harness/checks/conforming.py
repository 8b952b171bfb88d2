"""Which messages a consumer owes anything: those whose fields are absent or of the types that the documents give them.

The rest promise nothing, except that whatever is done with them does not harm the next one.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.agreement import Agreement, Demand, Row
from harness.checks import instants
from harness.checks.view import ABSENT, Fields

SIZE_LIMIT = 64 * 1024
"""Bytes. Nothing that the documents show comes near; brokers and proxies have limits somewhere above."""
DEPTH_LIMIT = 100
COLUMNS = {"title": 255, "category": 64}
"""What the deployed table holds of a text, in UTF-16 units to be on the safe side."""

_KINDS = {"text": "string", "instant": "string", "milliseconds": "number", "integer": "integer"}
_SCALARS = frozenset({"string", "integer", "boolean"})
_IN_TEXT = re.compile(r"\{([^}|]*)(?:\|[^}]*)?\}")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reading(Fields):
    """What can be made of the bytes of a message.

    `value` is what a lenient reader finds in them, ABSENT when nothing. `conforming` says whether the documents promise
    anything for it, `exact` whether every reader understands its numbers alike, to the last digit.
    """

    value: Any
    conforming: bool
    exact: bool


def read(agreement: Agreement, channel: str, wire: bytes) -> Reading:
    value = _strictly(wire)
    if value is ABSENT:
        return Reading(_leniently(wire), conforming=False, exact=False)
    plain, exact = _judged(value)
    conforming = plain and len(wire) <= SIZE_LIMIT and _typed(value, documented(agreement, channel))
    return Reading(value, conforming, plain and exact)


@lru_cache(maxsize=256)
def documented(agreement: Agreement, channel: str) -> Mapping[str, frozenset[str]]:
    """The JSON types of every field that schemas or mapping name for this channel, null where that counts as absent."""
    known = agreement.channels.get(channel)
    fields: dict[str, set[str]] = {}
    for name in known.messages if known else ():
        for field, kinds in _of_schema(agreement, name):
            fields.setdefault(field, set()).update(kinds)
    rows: tuple[Row | Demand, ...] = (*agreement.mapping, *agreement.demands)
    for row in rows:
        if row.channel in (None, channel):
            for field, kinds in _of_row(row):
                of_schema = fields.setdefault(field, set())
                if not of_schema - {"null"} or (isinstance(row, Row) and row.field == field):
                    of_schema |= kinds
                of_schema.add("null")
    return {field: frozenset(kinds) for field, kinds in fields.items() if kinds}


def fields_in(text: str) -> Iterator[str]:
    """The fields that a text of mapping.yaml names."""
    for found in _IN_TEXT.finditer(text):
        yield from found[1].split(",")


def is_long(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _of_schema(agreement: Agreement, name: str) -> Iterator[tuple[str, set[str]]]:
    schema = agreement.schemas[name]
    for part in schema.get("allOf", ()):
        if "$ref" in part:
            yield from _of_schema(agreement, part["$ref"].removesuffix(".json"))
    for field, told in schema.get("properties", {}).items():
        kinds = told.get("type", [])
        values = told.get("enum", [told["const"]] if "const" in told else [])
        yield field, {kinds} if isinstance(kinds, str) else {*kinds, *map(_kind, values)}


def _of_row(row: Row | Demand) -> Iterator[tuple[str, set[str]]]:
    for name in row.when_filled:
        yield name, {*_SCALARS}
    if isinstance(row, Demand):
        for name in row.names:
            yield name, {*_SCALARS}
        return
    if row.field:
        yield row.field, {_KINDS[row.read or "text"]}
    if row.when_true:
        yield row.when_true, {"boolean"}
    for name in fields_in(row.text or ""):
        yield name, {*_SCALARS}


def _typed(fields: dict[str, Any], types: Mapping[str, frozenset[str]]) -> bool:
    for name, value in fields.items():
        kinds = types.get(name)
        if kinds is None:
            continue
        kind = _kind(value)
        if kind not in kinds and not (kind == "integer" and "number" in kinds):
            return False
        if name in ("timestamp", "at") and not _is_time(value):
            return False
        if name == "tenant_id" and isinstance(value, int) and not is_long(value):
            return False
        if name in COLUMNS and isinstance(value, str) and _units(value) > COLUMNS[name]:
            return False
    return True


def _is_time(value: Any) -> bool:
    """Text as documented, or milliseconds of a year with four digits."""
    if value is None:
        return True
    if isinstance(value, str):
        return instants.parse(value) is not None
    return isinstance(value, int) and -62_135_596_800_000 <= value < 253_402_300_800_000


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _judged(value: dict[str, Any]) -> tuple[bool, bool]:
    """Whether it is made of text and numbers that every reader takes, and whether all take the numbers exactly."""
    exact = True
    level: list[Any] = [value]
    for _ in range(DEPTH_LIMIT):
        below: list[Any] = []
        for one in level:
            match one:
                case str():
                    if "\0" in one or (not one.isascii() and _SURROGATE.search(one)):
                        return False, False
                case bool():
                    pass
                case int():
                    if abs(one) > sys.float_info.max:
                        return False, False
                    exact = exact and is_long(one)
                case float():
                    if math.isinf(one):
                        return False, False
                case list():
                    below += one
                case dict():
                    below += one
                    below += one.values()
        if not below:
            return True, exact
        level = below
    return False, False


def _strictly(wire: bytes) -> Any:
    """The one JSON object that the bytes are, by every reader of JSON; else ABSENT."""
    try:
        value = json.loads(wire.decode(), parse_constant=_refuse, object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        return ABSENT
    return value if isinstance(value, dict) else ABSENT


def _leniently(wire: bytes) -> Any:
    """What a reader finds that forgives all that any reader is known to forgive; None for a message of nothing."""
    text = wire.decode(errors="replace").lstrip("\ufeff \t\r\n")
    if not text:
        return None
    try:
        return json.JSONDecoder(strict=False).raw_decode(text)[0]
    except (ValueError, RecursionError):
        return ABSENT


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name comes twice")
    return fields


def _refuse(constant: str) -> None:
    raise ValueError(constant)
