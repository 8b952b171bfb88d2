"""The schemas of the agreement, compiled. A violation names the one field that is wrong, so that a finding
can point at it; any value that JSON can express gets an answer and never an exception."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonschema_rs

from harness.agreement import Agreement
from harness.errors import AgreementError

_BASE = "contracts:///schemas/"


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is not as its schema says. `pointer` is that of the field, also where it is missing or
    extra; `reason` reads on after it: `is "case_action", expected "CASE_ACTION"`."""

    pointer: str
    keyword: str
    reason: str
    value: Any


@dataclass(frozen=True, slots=True)
class Validator:
    """One compiled schema (draft 2020-12, formats asserted)."""

    name: str
    compiled: jsonschema_rs.Draft202012Validator

    def is_valid(self, value: Any) -> bool:
        """Whether the value conforms."""
        try:
            return self.compiled.is_valid(_bearable(value))
        except (RecursionError, ValueError):
            return False

    def violations(self, value: Any) -> tuple[Violation, ...]:
        """Every field that is wrong, once, the most telling first; empty when the value conforms."""
        try:
            errors = list(self.compiled.iter_errors(_bearable(value)))
        except (RecursionError, ValueError):
            return (Violation("", "depth", "is nested too deeply to be judged", None),)
        ranked = sorted(
            ((_rank(error), violation) for error in errors for violation in _violations(error, value)),
            key=lambda pair: (pair[0], pair[1].pointer),
        )
        first: dict[str, Violation] = {}
        for _, violation in ranked:
            first.setdefault(violation.pointer, violation)
        return tuple(first.values())


@lru_cache(maxsize=8)
def compile_schemas(agreement: Agreement) -> Mapping[str, Validator]:
    """A validator for each schema, by its name. Raises AgreementError for one that cannot be compiled."""
    registry = jsonschema_rs.Registry(
        [(f"{_BASE}{name}.json", schema) for name, schema in agreement.schemas.items()],
        draft=jsonschema_rs.Draft202012,
    )
    return {name: _compile(agreement, name, registry) for name in agreement.schemas}


def _compile(agreement: Agreement, name: str, registry: jsonschema_rs.Registry) -> Validator:
    try:
        compiled = jsonschema_rs.Draft202012Validator(
            agreement.schemas[name],
            registry=registry,
            base_uri=f"{_BASE}{name}.json",
            validate_formats=True,
            offline=True,
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise AgreementError(
            f"{agreement.root.name}/schemas/{name}.json:1:1: {error.message}, expected a JSON Schema"
        ) from None
    return Validator(name, compiled)


# The compiled validator cannot take lone surrogates, and takes numbers beyond its range for null. Each gets a
# stand-in of the same type and length, and a violation shows the value that was really there.
_SURROGATE = re.compile("[\ud800-\udfff]")
_STAND_IN = 0xF0000 - 0xD800
_HUGE = 10**400


def _bearable(value: Any) -> Any:
    return _replaced(value) if _has_odd(value) else value


def _has_odd(value: Any) -> bool:
    open_values = [value]
    while open_values:
        one = open_values.pop()
        kind = type(one)
        if kind is str:
            if not one.isascii() and _SURROGATE.search(one):
                return True
        elif kind is int:
            if not -_HUGE <= one <= _HUGE:
                return True
        elif kind is float:
            if math.isinf(one):
                return True
        elif kind is list:
            open_values += one
        elif kind is dict:
            open_values += one
            open_values += one.values()
    return False


def _replaced(value: Any) -> Any:
    match value:
        case str():
            return _SURROGATE.sub(lambda found: chr(ord(found[0]) + _STAND_IN), value)
        case int() if abs(value) > _HUGE:
            return _HUGE if value > 0 else -_HUGE
        case float() if math.isinf(value):
            return math.copysign(1.7e308, value)
        case list():
            return [_replaced(item) for item in value]
        case dict():
            return {_replaced(key): _replaced(item) for key, item in value.items()}
    return value


_RANKS = ("type", "required", "const", "enum")


def _rank(error: jsonschema_rs.ValidationError) -> int:
    """A field that is wrong in itself tells more than one that disagrees with another, or is too much."""
    keyword = error.kind.name
    if keyword == "additionalProperties":
        return len(_RANKS) + 2
    if "then" in error.schema_path or "then" in error.evaluation_path:
        return len(_RANKS) + 1
    return _RANKS.index(keyword) if keyword in _RANKS else len(_RANKS)


def _violations(error: jsonschema_rs.ValidationError, whole: Any) -> Iterator[Violation]:
    keyword, path = error.kind.name, error.instance_path
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Required(property=name):
            yield Violation(_pointer([*path, name]), keyword, "is missing", None)
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(unexpected=names):
            for name in names:
                extra = [*path, name]
                yield Violation(_pointer(extra), keyword, "is not allowed here", _found(whole, extra))
        case _:
            value = _found(whole, path)
            yield Violation(_pointer(path), keyword, f"is {in_brief(value)}, expected {_expected(error)}", value)


_WORDS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "the form {}",
    "format": "a {}",
}
_ARTICLES = {"object": "an object", "array": "an array", "integer": "an integer", "null": "null"}


def _expected(error: jsonschema_rs.ValidationError) -> str:
    limit = error.kind.value
    match error.kind.name:
        case "const":
            return in_brief(limit)
        case "enum":
            return "one of " + ", ".join(map(in_brief, limit))
        case "type":
            return " or ".join(_ARTICLES.get(name, f"a {name}") for name in limit)
        case "minLength" if limit == 1:
            return "text that is not empty"
        case keyword if keyword in _WORDS:
            return _WORDS[keyword].format(limit)
    return f"what the schema says at /{'/'.join(map(str, error.schema_path))}"


def in_brief(value: Any) -> str:
    """A value as JSON in at most some sixty characters, safe to print; collections only by their kind."""
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case int() if abs(value) > _HUGE:
            return "a number of more than 400 digits"
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > 60:
        text = text[:57] + "…" + text[-1:]
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _found(whole: Any, path: list[str | int]) -> Any:
    """The value at the path, as it really was."""
    for step in path:
        whole = whole.get(_original(str(step))) if isinstance(whole, dict) else whole[int(step)]
    return whole


def _original(name: str) -> str:
    if name.isascii():
        return name
    return "".join(chr(ord(c) - _STAND_IN) if 0xF0000 <= ord(c) < 0xF0800 else c for c in name)


def _pointer(path: list[str | int]) -> str:
    return "".join("/" + _original(str(step)).replace("~", "~0").replace("/", "~1") for step in path)
