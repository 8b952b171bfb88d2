"""`ObjectMapper.readTree(String)` of Jackson 2.18 with its defaults.

Python's C scanner reads the texts that mean the same to both; a parser that follows Jackson token by token
reads the rest and decides what is refused, and as what. So the scanner's refusal is never the last word, and
what it accepts but Jackson does not is kept away from it.
"""

import re
import unicodedata
from json import JSONDecoder
from typing import Final, NoReturn, TypeAlias

from harness.synapse.java import join, units
from harness.synapse.node import MISSING, Node, Tree

MAX_DEPTH: Final = 1000
MAX_NUMBER: Final = 1000
"""Digits."""
MAX_NAME: Final = 50_000
"""UTF-16 units, as is the next."""
MAX_STRING: Final = 20_000_000

_PLAIN_LENGTH: Final = MAX_NAME // 2
"""No shorter text can hold a name or a string that is too long: a character has at most two units."""

_WHOLE: Final = 0x8000
"""Units: Jackson reads a longer text in buffers of the next length."""
_BUFFER: Final = 4000

_CONTAINER = re.compile(r"[ \t\n\r]*(?=[{\[])")
_OF_NUMBERS: Final = frozenset("-+.eE0123456789")
_LONG_NUMBER = re.compile(rf"(?:\A|[^-+.eE0-9])[-+.eE0-9]{{{MAX_NUMBER + 1}}}")


class Unreadable(Exception):
    """The listener fails on this message: `kind` is the class of Java's exception, the text is ours."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


def read_tree(text: str) -> Node:
    """The first JSON value of the text: what follows an object or array is never looked at.

    Raises `Unreadable` (JsonParseException, JsonEOFException or StreamConstraintsException).
    """
    start = _CONTAINER.match(text)
    if start and _is_plain(text):
        try:
            node: Tree = _DECODER.raw_decode(text, start.end())[0]
        except (ValueError, RecursionError):
            pass
        else:
            return node
    return read_tree_exactly(text)


def _is_plain(text: str) -> bool:
    """No limit of Jackson can be exceeded in this text."""
    length = len(text)
    return length <= MAX_NUMBER or (
        length <= _PLAIN_LENGTH and text.count("{") + text.count("[") <= MAX_DEPTH and not _has_long_number(text)
    )


def _has_long_number(text: str) -> bool:
    # A number that is too long would be met at one of these places: most texts need not be searched.
    places = text[:: MAX_NUMBER + 1]
    return not _OF_NUMBERS.isdisjoint(places) and _LONG_NUMBER.search(text) is not None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = JSONDecoder(parse_constant=_refuse_constant)


def read_tree_exactly(text: str) -> Node:
    """The same by the own parser alone, for any text."""
    return _Parser(units(text)).document()


_BLANKS = re.compile(r"[ \t\n\r]*")
_PLAIN_TEXT = re.compile(r'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(r"[0-9]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS: Final[dict[str, tuple[str, Tree]]] = {
    "t": ("true", True),
    "f": ("false", False),
    "n": ("null", None),
}
_HEX: Final = "0123456789abcdefABCDEF"
_IDENTIFIER: Final = {"Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Nd", "Sc", "Pc", "Mn", "Mc", "Cf"}

_Container: TypeAlias = dict[str, Tree] | list[Tree]


class _Parser:
    """Reads text of UTF-16 units (`java.units`), without recursion."""

    __slots__ = ("_at", "_buffer", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._buffer = max(1, len(text)) if len(text) <= _WHOLE else _BUFFER

    def document(self) -> Node:
        if not self._next():
            return MISSING
        root = self._value(at_root=True)
        open_: list[_Container] = [root] if isinstance(root, dict | list) else []
        while open_:
            inner = open_[-1]
            node = self._entry(inner) if isinstance(inner, dict) else self._element(inner)
            if node is MISSING:
                open_.pop()
            elif isinstance(node, dict | list):
                open_.append(node)
                if len(open_) > MAX_DEPTH:
                    raise _too_much("nesting", len(open_), MAX_DEPTH)
        return root

    def _entry(self, inner: dict[str, Tree]) -> Node:
        """The next value, already in its object; MISSING where the object ends."""
        found = self._separated("}", bool(inner))
        if found == "}":
            return MISSING
        if found != '"':
            raise self._refused("a name in double quotes")
        name = self._string()
        if len(name) > MAX_NAME:
            raise _too_much("length of a name", len(name), MAX_NAME)
        if self._some("a colon") != ":":
            raise self._refused("a colon")
        self._at += 1
        self._some("a value")
        # A name that comes again keeps its place and gets the new value, in a dict as in an ObjectNode.
        inner[_joined(name)] = value = self._value()
        return value

    def _element(self, inner: list[Tree]) -> Node:
        """The next value, already in its array; MISSING where the array ends."""
        if self._separated("]", bool(inner)) == "]":
            return MISSING
        value = self._value()
        inner.append(value)
        return value

    def _separated(self, closing: str, after_another: bool) -> str:
        """The first character of the next entry, with the comma before it taken; or `closing`, taken."""
        found = self._some(f"a comma or {closing}" if after_another else f"an entry or {closing}")
        if found == closing:
            self._at += 1
        elif after_another:
            if found != ",":
                raise self._refused(f"a comma or {closing}")
            self._at += 1
            found = self._next()
            # Behind a comma Jackson calls the end of the text a parse error too.
            if found in ("", closing):
                raise self._refused("another entry")
        return found

    def _value(self, at_root: bool = False) -> Tree:
        found = self._text[self._at]
        if found == "{":
            self._at += 1
            return {}
        if found == "[":
            self._at += 1
            return []
        if found == '"':
            text = self._string()
            if len(text) > MAX_STRING:
                raise _too_much("length of a string", len(text), MAX_STRING)
            return _joined(text)
        if found in _LITERALS:
            return self._literal(*_LITERALS[found])
        if found == "-" or "0" <= found <= "9":
            return self._number(at_root)
        if found == "+":
            # Here too Jackson looks one further first.
            self._at += 1
            self._here("a value")
        raise self._refused("a value")

    def _literal(self, word: str, value: Tree) -> Tree:
        if not self._text.startswith(word, self._at):
            raise self._refused(word)
        self._at += len(word)
        if _continues_word(self._text[self._at : self._at + 1]):
            raise self._refused(f"the end of {word}")
        return value

    def _number(self, at_root: bool) -> int | float:
        start = self._at
        if self._text[start] == "-":
            self._at += 1
            if self._here("a digit") == "I":
                # The beginning of -Infinity: Jackson looks one further before it refuses it.
                self._at += 1
                self._here("a digit")
                raise self._refused("a digit")
        whole = self._digits("a digit")
        if len(whole) > 1 and whole[0] == "0":
            raise self._refused("no zero before other digits")
        fraction = exponent = ""
        if self._text.startswith(".", self._at):
            self._at += 1
            fraction = self._digits("a digit after the point")
        if self._text[self._at : self._at + 1] in ("e", "E"):
            self._at += 1
            if self._here("an exponent") in "+-":
                self._at += 1
                self._here("an exponent")
            exponent = self._digits("an exponent")
        interrupted = start // self._buffer != self._at // self._buffer
        if at_root and self._text[self._at : self._at + 1] not in ("", " ", "\t", "\r", "\n"):
            raise self._refused("a blank after a number that stands alone")
        return _to_number(self._text[start : self._at], whole, fraction, exponent, interrupted)

    def _digits(self, expected: str) -> str:
        digits = self._take(_DIGITS)
        if not digits:
            raise self._refused(expected)
        return digits

    def _string(self) -> str:
        """The units between two quotes, the first of which is next."""
        self._at += 1
        parts = [self._take(_PLAIN_TEXT)]
        while (found := self._here("a closing quote")) != '"':
            if found != "\\":
                raise self._refused("an escape in place of a control character")
            self._at += 1
            parts.append(self._escape())
            parts.append(self._take(_PLAIN_TEXT))
        self._at += 1
        return "".join(parts)

    def _escape(self) -> str:
        found = self._here("an escape")
        if found != "u":
            if found not in _ESCAPES:
                raise self._refused("an escape of JSON")
            self._at += 1
            return _ESCAPES[found]
        code = 0
        for _ in range(4):
            self._at += 1
            # Jackson looks a digit up by the low byte of its unit, so U+7B37 passes for U+0037.
            digit = chr(ord(self._here("a hexadecimal digit")) & 0xFF)
            if digit not in _HEX:
                raise self._refused("a hexadecimal digit")
            code = 16 * code + int(digit, 16)
        self._at += 1
        return chr(code)

    def _next(self) -> str:
        """The next character that is no blank, or nothing at the end."""
        self._take(_BLANKS)
        return self._text[self._at : self._at + 1]

    def _some(self, expected: str) -> str:
        self._take(_BLANKS)
        return self._here(expected)

    def _here(self, expected: str) -> str:
        if self._at >= len(self._text):
            raise Unreadable("JsonEOFException", f"offset {self._at}: found the end, expected {expected}")
        return self._text[self._at]

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return match[0]

    def _refused(self, expected: str) -> Unreadable:
        found = ascii(self._text[self._at]) if self._at < len(self._text) else "the end"
        return Unreadable("JsonParseException", f"offset {self._at}: found {found}, expected {expected}")


def _to_number(text: str, whole: str, fraction: str, exponent: str, interrupted: bool) -> int | float:
    """`interrupted`: the number reaches the end of Jackson's buffer."""
    if not fraction and not exponent:
        if len(whole) > MAX_NUMBER:
            raise _too_much("digits of a number", len(whole), MAX_NUMBER)
        return int(text)
    digits = len(whole) + len(fraction) + len(exponent)
    if interrupted or whole == "0":
        # Read by other code, for which a part that is not there counts as minus one.
        digits -= (not fraction) + (not exponent)
    if digits > MAX_NUMBER:
        raise _too_much("digits of a number", digits, MAX_NUMBER)
    return float(text)


def _continues_word(unit: str) -> bool:
    """`Character.isJavaIdentifierPart`, where Jackson asks it: behind a literal."""
    if unit < "0":
        return False
    return unicodedata.category(unit) in _IDENTIFIER or "\x7f" <= unit <= "\x9f"


def _joined(text: str) -> str:
    return join(text) if _SURROGATE.search(text) else text


def _too_much(what: str, found: int, limit: int) -> Unreadable:
    return Unreadable("StreamConstraintsException", f"{what}: found {found}, at most {limit} are read")
