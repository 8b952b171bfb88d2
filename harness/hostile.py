"""Messages that nobody should send: each takes a good one and spoils it in one way.

Some of them a real consumer reads all the same, some it refuses, some its database refuses; it goes on after all.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

Json = dict[str, Any]
Spoil = Callable[[Json], bytes]

MEBIBYTE = 2**20


def _json(message: Json) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _with(fields: Json, message: Json) -> bytes:
    """Escaped, because not everything here can be encoded."""
    return json.dumps({**message, **fields}).encode()


def _just(wire: bytes, message: Json) -> bytes:
    return wire


def _behind(more: bytes, message: Json) -> bytes:
    return _json(message) + more


def _before(more: bytes, message: Json) -> bytes:
    return more + _json(message)


def _field(text: bytes, message: Json) -> bytes:
    """One more field, as it is written here."""
    return _json(message)[:-1] + b"," + text + b"}"


def _deep(opening: bytes, closing: bytes, depth: int, message: Json) -> bytes:
    return _field(b'"deep":' + opening * depth + b"1" + closing * depth, message)


def _spoilt() -> dict[str, Spoil]:
    return {
        **_not_an_object(),
        **_not_json(),
        **_not_utf8(),
        **_too_much(),
        **_not_text(),
        **_wrong_types(),
        **{f"the timestamp {stamp!r}": partial(_with, {"timestamp": stamp}) for stamp in TIMESTAMPS},
        **{f"the at {stamp!r}": partial(_with, {"timestamp": None, "at": stamp}) for stamp in TIMESTAMPS[:3]},
    }


def _not_an_object() -> dict[str, Spoil]:
    wires = (
        b"",
        b" ",
        b"\r\n",
        b"null",
        b"true",
        b"7",
        b"-0.5",
        b'"text"',
        b'""',
        b"[]",
        b'[{"case_id":"C"}]',
        b"PING",
    )
    return {f"the bytes {wire!r}": partial(_just, wire) for wire in wires} | {
        "an array around it": lambda message: b"[" + _json(message) + b"]",
        "JSON in a JSON text": lambda message: json.dumps(_json(message).decode()).encode(),
        "a form": partial(_just, b"case_id=C&approved=true"),
        "XML": partial(_just, b"<?xml version='1.0'?><message>C</message>"),
        "random bytes": partial(_just, bytes(index * 167 % 256 for index in range(1024))),
        "gzip": lambda message: gzip.compress(_json(message), mtime=0),
    }


def _not_json() -> dict[str, Spoil]:
    numbers = (b"NaN", b"Infinity", b"-Infinity", b"01", b"+1", b".5", b"1.", b"0x10", b"1_0", b"--1", b"1e")
    return {f"the number {number.decode()}": partial(_field, b'"extra":' + number) for number in numbers} | {
        "nothing after the first half": lambda message: _json(message)[: len(_json(message)) // 2],
        "no closing brace": lambda message: _json(message)[:-1],
        "text behind it": partial(_behind, b"garbage"),
        "another object behind it": partial(_behind, b'{"case_id":"another"}'),
        "a brace behind it": partial(_behind, b"}"),
        "a zero byte behind it": partial(_behind, b"\0"),
        "a comment behind it": partial(_behind, b"// comment"),
        "a comment in it": partial(_field, b'/* comment */ "extra":1'),
        "a comma too many": partial(_field, b'"extra":1,'),
        "single quotes": lambda message: _json(message).replace(b'"', b"'"),
        "a name without quotes": partial(_field, b"extra:1"),
        "a line end in a text": partial(_field, b'"extra":"a\nb"'),
        "a zero byte in a text": partial(_field, b'"extra":"a\0b"'),
        "an escape that is none": partial(_field, b'"extra":"\\x41"'),
        "half an escape": partial(_field, b'"extra":"\\u12"'),
        "Python's words": partial(_field, b'"extra":None,"other":True'),
        "a form feed before it": partial(_before, b"\x0c"),
        "a byte order mark": partial(_before, b"\xef\xbb\xbf"),
    }


def _not_utf8() -> dict[str, Spoil]:
    broken = {
        "a byte that is never UTF-8": b"\xff",
        "a lone continuation": b"\x80",
        "an overlong slash": b"\xc0\xaf",
        "half a character": b"\xed\x95",
        "a surrogate in UTF-8": b"\xed\xa0\xbd",
        "an emoji in CESU-8": b"\xed\xa0\xbd\xed\xb8\x80",
        "a code point too high": b"\xf5\x80\x80\x80",
        "EUC-KR": "승인".encode("euc-kr"),
    }
    return {about: partial(_field, b'"extra":"' + wire + b'"') for about, wire in broken.items()} | {
        "UTF-16 with a mark": lambda message: _json(message).decode().encode("utf-16"),
        "UTF-16 without a mark": lambda message: _json(message).decode().encode("utf-16-le"),
        "a broken byte before it": partial(_before, b"\xff"),
        "a broken byte behind it": partial(_behind, b"\xff"),
    }


def _too_much() -> dict[str, Spoil]:
    return {
        "2000 arrays": partial(_deep, b"[", b"]", 2000),
        "2000 objects": partial(_deep, b'{"a":', b"}", 2000),
        "150 arrays": partial(_deep, b"[", b"]", 150),
        "100000 arrays that never end": partial(_deep, b"[", b"", 100_000),
        "a text of one MiB": partial(_with, {"message": "a" * MEBIBYTE}),
        "a name of 60000 characters": partial(_with, {"n" * 60_000: 1, "extra": "e" * 6000}),
        "1100 digits": partial(_field, b'"extra":1' + b"0" * 1100),
        "1e400": partial(_field, b'"extra":1e400'),
        "-1e400": partial(_field, b'"extra":-1e400'),
        "1e400 as the timestamp": partial(_field, b'"timestamp":1e400'),
        "a title of 256 characters": partial(_with, {"title": "t" * 256}),
        "a category of 65 characters": partial(_with, {"category": "C" * 65}),
    }


def _not_text() -> dict[str, Spoil]:
    return {
        "the first half of a pair": partial(_with, {"extra": "a\ud83d"}),
        "the second half of a pair": partial(_with, {"extra": "\ude00b"}),
        "a pair the wrong way round": partial(_with, {"message": "\ude00\ud83d"}),
        "half a pair in a name": partial(_with, {"\ud83d": 1}),
        "U+0000 in the message": partial(_with, {"message": "a\0b"}),
        "U+0000 in a name": partial(_with, {"a\0b": 1}),
        "a name twice": partial(_field, b'"extra":1,"extra":2'),
        "the message twice": partial(_field, b'"message":"first","message":"second"'),
    }


def _wrong_types() -> dict[str, Spoil]:
    values: Mapping[str, tuple[Any, ...]] = {
        "category": (7, True, ["CASE_ACTION"], {"name": "CASE_ACTION"}),
        "message": (7, 1e10, False, [], {"ko": "승인"}),
        "title": (7, [], {}),
        "timestamp": (True, [], {}, 1770820200.25, 2**63),
        "tenant_id": ("7", 7.9, True, [], 2**63),
    }
    return {
        f"{name} is {json.dumps(value, ensure_ascii=False)}": partial(_with, {name: value})
        for name, several in values.items()
        for value in several
    }


TIMESTAMPS = (
    "",
    "yesterday",
    "1770820200",
    "2026-02-11",
    "2026-02-11T14:30:00",
    "2026-02-11T14:30:00.123456",
    "2026-02-11 14:30:00+00:00",
    "2026-02-11T14:30Z",
    "2026-02-11T14:30:00+0000",
    "2026-02-11T14:30:00+09",
    "2026-02-11T14:30:00,123Z",
    "2026-02-11T14:30:00.1234567891Z",
    "2026-02-11T14:30:00+00:00Z",
    "2026-02-11T14:30:00Z ",
    " 2026-02-11T14:30:00Z",
    "2026-02-30T14:30:00Z",
    "2026-02-11T25:00:00Z",
    "2026-02-11T14:30:61Z",
    "2026-02-11T14:30:00+19:00",
    "20260211T143000Z",
    "2026-W07-3T14:30:00Z",
    "Wed, 11 Feb 2026 14:30:00 GMT",
    "null",
)

SPOILT: Mapping[str, Spoil] = _spoilt()
"""What to do with a good message, by what comes of it."""
