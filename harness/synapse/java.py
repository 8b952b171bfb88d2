"""What Java 17 does differently from Python with text and whole numbers.

Java text is UTF-16: here it is a `str` in which half a surrogate pair stands as a lone code point, while a
complete pair is always the one character that it encodes.
"""

import codecs
import re
from typing import Final

LONG_MAX: Final = 2**63 - 1
LONG_MIN: Final = -(2**63)

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_BLANK = "".join(map(chr, range(0x21)))


def _replace_like_java(error: UnicodeError) -> tuple[str, int]:
    """Java replaces an encoded surrogate (ED A0..BF ..) once, Python for each byte; all else is equal."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data, start = error.object, error.start
    if data[start] == 0xED and b"\xa0" <= data[start + 1 : start + 2] <= b"\xbf":
        continued = b"\x80" <= data[start + 2 : start + 3] <= b"\xbf"
        return "\ufffd", start + (3 if continued else 2)
    return "\ufffd", error.end


codecs.register_error("harness.java", _replace_like_java)


def decode(body: bytes) -> str:
    """`new String(body, UTF_8)`: it never fails, and keeps a byte order mark."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("utf-8", "harness.java")


def units(text: str) -> str:
    """The text with one code point for each UTF-16 unit: complete pairs are taken apart."""
    return _ASTRAL.sub(lambda match: pair(match[0]), text)


def join(text: str) -> str:
    """The opposite of `units`: halves that stand beside each other become the character that they encode."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def pair(astral: str) -> str:
    """The two UTF-16 units of one character beyond U+FFFF."""
    high, low = divmod(ord(astral) - 0x10000, 0x400)
    return chr(0xD800 + high) + chr(0xDC00 + low)


def cut(text: str, length: int) -> str:
    """The text, or its first `length` UTF-16 units (which may end in half a pair) and an ellipsis."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    if len(encoded) <= 2 * length:
        return text
    return encoded[: 2 * length].decode("utf-16-le", "surrogatepass") + "…"


def trim(text: str) -> str:
    """`String.trim`: U+0000 to U+0020 go at both ends, and no other space."""
    return text.strip(_BLANK)


def wrap_long(value: int) -> int:
    """The low 64 bits, as `BigInteger.longValue` takes them."""
    return (value - LONG_MIN) % 2**64 + LONG_MIN
