"""JSON values as somebody may spell them, right and wrong: the pieces that mutations are made of.

What is odd is frequent here, because what is ordinary is in the corpus.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

Spell = Callable[[Random], bytes]

NUMBERS: Final = tuple(
    b"0 -0 1 -1 7 0.0 -0.0 0.5 -0.5 1e5 1E+5 1e-5 0e0 1.0 100.0 1e3 1e7 1e21 1e22 0.1 0.30000000000000004 0.001 "
    b"1e400 -1e400 1e-400 -1e-400 1e99999999999 1e-99999999999 0e99999999999 0.00099999999999999 9999999.999999999 "
    b"9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551616 "
    b"2147483647 2147483648 -2147483649 9007199254740993 1700000000000 1700000000.25 2e23 1e23 18026044633812728.0 "
    b"4.9e-324 1e-323 2.2250738585072014e-308 1.7976931348623157e308 1.7976931348623159e308 "
    b"123456789012345678901234567890.5".split()
)
WRONG_NUMBERS: Final = tuple(
    b"00 01 -01 +1 -+1 --1 - 1. .5 -.5 1e 1e+ 1E- 1.e5 1.5.5 0x10 1_0 1d 1L "
    b"NaN Infinity -Infinity -I -N +Infinity".split()
)
TEXTS: Final = (
    *"| |null|true| true |\u00a0true|TRUE|false|yes|0|1| 7 |+5|-5|+-5|12.7|1e3|1e30|-1e30|0x1p3|0x10|12d|12f|12L|5.|.5|"
    "1_0|NaN|Infinity|-Infinity|9223372036854775807|9223372036854775808|-9223372036854775808|00000000000000000000007|"
    "１２|\u0667|승인|😀|\x7f|\x80\x9f|\u2028\u2029|\ufeff|\uffff".split("|"),
    *("가" * 70, "t" * 255, "t" * 256, "😀" * 101),
)
PIECES: Final = tuple(
    (
        r"a| |한|é|😀|🏳️‍🌈|<&>'/|\"|\\|\/|\b\f\n\r\t|\u0000|\u001f|\u0041|\uac00|\u2028|\uFFFF|\ud83d\ude00|\uD83D|"
        r"\uDE00|\uDE00\uD83D|\ud83d\u0041|\ud83d\ud83d\ude00|\ud83d😀|😀\ude00|\u123笷|\u12𝄰|"
        "\x7f|\x85|\u2028"
    )
    .encode()
    .split(b"|")
)
WRONG_PIECES: Final = tuple(
    (r'"|\x41|\a|\'|\0|\U0041|\u12|\uZZZZ|\u+123|\u|\u00𝄰|\u12３4|\한|\|' + "\\\n|\0|\n|\x1f").encode().split(b"|")
)
MALFORMED: Final = (
    *b"\xff|\xfe|\x80|\xbf|\xc0\xaf|\xc1\xbf|\xc3|\xe0\x80\xaf|\xe0\xa0|\xed\x95|\xf0\x80\x80\x80|\xf0\x9f\x98|\xf0\x9f|"
    b"\xf0\x9fA|\xf4\x90\x80\x80|\xf5\x80\x80\x80|\xed\xa0\xbd|\xed\xa0|\xed\xa0A|\xed\xbf\xbf|\xed\xb8\x80|"
    b"\xed\xa0\xbd\xed\xb8\x80|\xed".split(b"|"),
    *("승인".encode("euc-kr"), "승인".encode("utf-16"), "승인".encode("utf-16-le"), "é".encode("latin-1")),
)
WORDS: Final = tuple(b'null null true false {} [] [null] {"a":null} [[]] {"":0} {"a":1,"b":2,"a":3}'.split())
WRONG_WORDS: Final = tuple(
    b"nul tru Null TRUE nullx true_ null1 null, true- None undefined ' /**/1 [1,] [,1] {,}".split()
)
WRONG: Final = 0.03
"""How often a value is spelled wrong: seldom, for one is enough to spoil a message."""

_YEARS: Final = tuple(
    "2026 2024 0000 -0001 -0000 +2026 9999 +10000 +999999999 +1000000000 -1000000000 +1000000001 10000 226 +226".split()
)
_DAYS: Final = tuple("01-01 02-11 02-28 02-29 02-30 04-31 12-31 13-01 00-10 06-00 1-1 W07-3 042".split())
_TIMES: Final = tuple(
    "14:30:00 00:00:00 23:59:59 23:59:60 22:59:60 24:00:00 24:00:01 25:00:00 12:60:00 12:00:61 "
    "14:30 1430 143000 14".split()
)
_FRACTIONS: Final = tuple("||.|.0|.1|.12|.123|.1234|.123456|.1234567|.123456789|.1234567891|,123|.000|.-1".split("|"))
_OFFSETS: Final = tuple(
    "Z|Z|Z|z|+00:00|+09:00|-03:30|-00:00|+18:00|-18:00|+18:00:01|+18:01|+19:00|+09:60|+09:00:30|+09:00:60|+0900|+09|"
    "+9:00|+00:00Z|[UTC]|Z[UTC]|GMT|+:00|++09:00|| Z|Z |\u221203:00".split("|")
)


def number(random: Random) -> bytes:
    return random.choice((_known_number, _whole, _double, _decimal, _bits))(random)


def _known_number(random: Random) -> bytes:
    return random.choice(_perhaps(random, WRONG_NUMBERS, NUMBERS))


def _perhaps(random: Random, wrong: Sequence[bytes], right: Sequence[bytes]) -> Sequence[bytes]:
    return wrong if random.random() < WRONG else right


def _whole(random: Random) -> bytes:
    digits = random.choice((random.randrange(1, 25), random.randrange(1, 25), 40, random.randrange(995, 1005)))
    return _sign(random) + str(random.randrange(1, 10)).encode() + _digits(random, digits - 1)


def _double(random: Random) -> bytes:
    """Any double at all, in one of its spellings."""
    (value,) = struct.unpack(">d", random.randbytes(8))
    return random.choice(("%r", "%.17e", "%.3E", "%.25g")).__mod__(value).encode()


def _decimal(random: Random) -> bytes:
    """What a program prints: few digits, a point somewhere, often an exponent that a double just holds or does not."""
    text = _sign(random) + (_digits(random, random.randrange(1, 20)).lstrip(b"0") or b"0")
    if random.random() < 0.7:
        text += b"." + _digits(random, random.choice((1, 2, 6, 17, random.randrange(980, 1005))))
    if random.random() < 0.5:
        text += random.choice((b"e", b"E")) + random.choice((b"", b"+", b"-"))
        text += str(random.choice((0, 1, 5, 7, 15, 16, 17, 21, 22, 23, 300, 308, 309, 324, 400))).encode()
    return text


def _bits(random: Random) -> bytes:
    """Beside a power of two, or of ten."""
    power = random.choice((2, 10)) ** random.randrange(70)
    value = random.choice((1, -1)) * power + random.choice((-1, 0, 1))
    return f"{value}{random.choice(('', '.0', 'e0', '.5'))}".encode()


def long_number(random: Random) -> bytes:
    """About as many digits as are read, in any of its parts."""
    digits = _digits(random, random.randrange(999, 1003))
    point = random.choice((0, 1, 1, 2, 500))
    whole, rest = digits[:point] or b"0", digits[point:]
    part = random.randrange(1, len(rest))
    spelled = (
        digits,
        b"%s.%s" % (whole, rest),
        b"%se%s" % (whole, rest),
        b"%s.%sE-%s" % (whole, rest[:part], rest[part:]),
    )
    return _sign(random) + random.choice(spelled)


def _sign(random: Random) -> bytes:
    return random.choice((b"", b"", b"", b"-"))


def _digits(random: Random, count: int) -> bytes:
    return bytes(random.choices(b"0123456789", k=count))


def text(random: Random) -> bytes:
    """With its quotes, most of the time the right ones."""
    choice = random.random()
    if choice < 0.4:
        inner = random.choice(TEXTS).encode()
    elif choice < 0.97:
        inner = b"".join(random.choices(PIECES, k=random.randrange(1, 6)))
    else:
        inner = random.choice(PIECES) * random.choice((100, 199, 200, 201))
    if random.random() < WRONG:
        inner += random.choice(WRONG_PIECES)
    return random.choices((b'"%s"', b"'%s'"), (99, 1))[0] % inner


def timestamp(random: Random) -> bytes:
    """A text with its quotes, now and then a number."""
    if random.random() < 0.15:
        return number(random)
    parts = [_mostly(random, kind) for kind in (_YEARS, ("-",), _DAYS, ("T", "T", "t", " ", "_", ""), _TIMES)]
    spelled = "".join([*parts, random.choice(_FRACTIONS), _mostly(random, _OFFSETS)])
    return f'"{spelled}"'.encode()


def _mostly(random: Random, choices: tuple[str, ...]) -> str:
    """The first half the time, so that not every timestamp has several faults."""
    return choices[0] if random.random() < 0.5 else random.choice(choices)


def value(random: Random) -> bytes:
    """Of any kind."""
    kinds: tuple[Spell, ...] = (number, number, text, text, text, word, timestamp, container)
    return random.choice(kinds)(random)


def word(random: Random) -> bytes:
    return random.choice(_perhaps(random, WRONG_WORDS, WORDS))


def container(random: Random) -> bytes:
    inner = [random.choice((number, text, word))(random) for _ in range(random.randrange(4))]
    if random.random() < 0.5:
        return b"[%s]" % b",".join(inner)
    return b"{%s}" % b",".join(text(random) + b":" + each for each in inner)


def nested(random: Random) -> bytes:
    """About as deep as is read, and as is written; sometimes with the wrong end, or none."""
    depth = random.choice((random.randrange(2, 50), *(random.randrange(997, 1003) for _ in range(4)), 2000))
    kinds = random.choice((((b"[", b"]"),), ((b'{"a":', b"}"),), ((b"[", b"]"), (b'{"a":', b"}"))))
    opened = random.choices(kinds, k=depth)
    closed = [closing for _, closing in reversed(opened)]
    kept = random.choice((*(depth,) * 7, depth - 1, depth + 1, 0))
    inner = random.choice((b"1", b"null", b"[]", b"{}", number(random)))
    return b"".join([*(opening for opening, _ in opened), inner, *closed[:kept], *([b"]"] if kept > depth else [])])
