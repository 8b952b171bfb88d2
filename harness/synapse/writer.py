"""JSON bytes as Jackson 2.18 writes them to a stream: no blanks, characters beyond U+FFFF as two escapes,
fractional numbers as Java prints them.
"""

import math
import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Final, TypeAlias

from harness.synapse import double
from harness.synapse.java import pair
from harness.synapse.node import Tree

MAX_DEPTH: Final = 1000

_Container: TypeAlias = dict[str, Tree] | list[Tree]

_ESCAPED = re.compile('["\\\\\x00-\x1f\ud800-\udfff\U00010000-\U0010ffff]')
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Unwritable(Exception):
    """Jackson throws on this value: `kind` names the exception."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


def write(value: dict[str, Tree]) -> bytes:
    """Raises `Unwritable` where objects and arrays are more than 1000 deep."""
    parts: list[str] = []
    # A stack, because a tree may be deeper than Python recurses.
    open_ = [_pieces(value)]
    while open_:
        for piece in open_[-1]:
            if isinstance(piece, str):
                parts.append(piece)
                continue
            if len(open_) == MAX_DEPTH:
                raise Unwritable("JsonMappingException", f"nesting: at most {MAX_DEPTH} is written")
            open_.append(_pieces(piece))
            break
        else:
            open_.pop()
    return "".join(parts).encode()


def quote(text: str) -> str:
    quoted = encode_basestring(text)
    if text.isascii() and len(quoted) == len(text) + 2:
        # Nothing was escaped.
        return quoted
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _pieces(container: _Container) -> Iterator[str | _Container]:
    """The text of a container, with the containers in it as they are."""
    if isinstance(container, dict):
        before = "{"
        for name, member in container.items():
            piece = _piece(member)
            if isinstance(piece, str):
                yield f"{before}{quote(name)}:{piece}"
            else:
                yield f"{before}{quote(name)}:"
                yield piece
            before = ","
        yield "}" if container else "{}"
    else:
        before = "["
        for member in container:
            yield before
            yield _piece(member)
            before = ","
        yield "]" if container else "[]"


def _piece(value: Tree) -> str | _Container:
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = double.to_text(value)
        return text if math.isfinite(value) else f'"{text}"'
    return value


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if short := _SHORT.get(character):
        return short
    halves = pair(character) if character > "\uffff" else character
    return "".join(f"\\u{ord(half):04X}" for half in halves)
