"""Jackson's `JsonNode` as plain Python values, and its coercions `asText`, `asBoolean` and `asLong`.

A Python `bool` is also an `int`, but a `BooleanNode` is no number: `bool` has to be asked first.
"""

from enum import Enum
from typing import Final, Literal, TypeAlias

from harness.synapse import double
from harness.synapse.java import LONG_MAX, LONG_MIN, trim, wrap_long


class Missing(Enum):
    """The `MissingNode`, which `readTree` answers for a text without any token."""

    MISSING = "MissingNode"


MISSING: Final = Missing.MISSING

Tree: TypeAlias = "bool | int | float | str | list[Tree] | dict[str, Tree] | None"
Node: TypeAlias = Tree | Literal[Missing.MISSING]


def is_number(node: Node) -> bool:
    return isinstance(node, int | float) and not isinstance(node, bool)


def as_text(node: Node) -> str:
    if isinstance(node, str):
        return node
    if node is None:
        return "null"
    if isinstance(node, bool):
        return "true" if node else "false"
    if isinstance(node, int):
        return str(node)
    if isinstance(node, float):
        return double.to_text(node)
    return ""


def as_boolean(node: Node) -> bool:
    """Whole numbers but zero are true, and text only when it is `true`; a fractional number never is."""
    if isinstance(node, bool):
        return node
    if isinstance(node, str):
        return trim(node) == "true"
    return isinstance(node, int) and node != 0


def as_long(node: Node) -> int:
    if isinstance(node, int):
        return wrap_long(node)
    if isinstance(node, float):
        return double.to_long(node)
    if isinstance(node, str):
        return _text_as_long(trim(node))
    return 0


def _text_as_long(text: str) -> int:
    """Digits are a long, or 0 when they overflow; anything else is tried as a double, which saturates."""
    text = text.removeprefix("+")
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit():
        # Nineteen digits are enough for any long; leading zeros do not count.
        significant = digits.lstrip("0") or "0"
        value = int(significant) if len(significant) <= 19 else 0
        value = -value if text[0] == "-" else value
        return value if LONG_MIN <= value <= LONG_MAX else 0
    return double.to_long(double.parse(text) or 0.0)
