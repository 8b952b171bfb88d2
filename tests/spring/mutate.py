"""A seeded stream of messages, each a good one or a hostile one that was spoilt in one to three more ways.

A block of the stream depends on the seed and its own number only: so several processes make parts of one stream,
and a message is found again without those before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

from spring import spelling
from spring.answers import Message
from spring.corpus import corpus

BLOCK: Final = 500
"""Messages."""
LARGE: Final = 4096
"""Bytes, from which on a message of the corpus is taken seldom: there are few of them, but they cost a lot."""

MAPPED: Final = tuple(
    b"category message title timestamp at tenant_id case_id approved rag_document_id doc_id document_id status type "
    b"extra".split()
)
CHANNELS: Final = (
    *(b"workbench:case:action", b"workbench:rag:status", b"workbench:alert", b"workbench:", b"workbench:case:actio"),
    *(b"workbench:case:action ", "workbench:한글 😀".encode(), b'workbench:"\\\n', b"workbench:\xed\xa0\xbd\xff", b""),
)
_BLANKS: Final = (b"", b"", b"", b" ", b"\n", b"\t\r\n ", b"\x0c", b"\xc2\xa0", b"\0")
_TOKENS: Final = tuple(rb'{ } [ ] : , " \ // # NaN null true 0 - + . e E \u ; = < ( \0 "":0, ,"":[] "a":1'.split())
_BEHIND: Final = (
    *(b" ", b"\n", b"\0", b"x", b"garbage", b"{}", b"}", b"]", b",", b"1", b'"', b"// comment", b"/* */", b"null"),
    *(b"\xff", b"\xed\xa0", "한".encode(), b"\xef\xbb\xbf", b"$", b"_", b"-", b":", b"\x7f", "\u2028".encode()),
)
_BEFORE: Final = (
    *(
        b"\xef\xbb\xbf",
        b"\xfe\xff",
        b"\xff\xfe",
        b" ",
        b"\r\n\t",
        b"\x0c",
        b"\0",
        b"\xc2\xa0",
        "\u200b".encode(),
        b"\xff",
        b"[",
    ),
    *(b"+", b"-", b"//\n", b")]}',\n", b"data: ", b"\x1e"),
)
_MEMBER = re.compile(rb'"([a-zA-Z_]{1,30})"[ ]?:[ ]?("[^"\\]*"|[-+.0-9eE]+|true|false|null)')
"""A name and a value that is no container."""

Mutate = Callable[[Random, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Mutant:
    message: Message
    families: tuple[str, ...]


def block(seed: int, number: int) -> Iterator[Mutant]:
    """The messages number * BLOCK and on, BLOCK of them."""
    random = Random(f"{seed}/{number}")
    small, large = _bases(seed)
    for _ in range(BLOCK):
        base = random.choice(large if random.random() < 0.002 else small)
        yield _mutant(random, base)


@cache
def _bases(seed: int) -> tuple[list[Message], list[Message]]:
    bases = corpus(seed)
    return [base for base in bases if len(base.body) < LARGE], [base for base in bases if len(base.body) >= LARGE]


def _mutant(random: Random, base: Message) -> Mutant:
    channel, body = base.channel, base.body
    families = random.choices(_NAMES, _WEIGHTS, k=random.choice((1, 1, 1, 2, 2, 3)))
    for family in families:
        if family == CHANNEL:
            channel = random.choice(CHANNELS)
        else:
            body = FAMILIES[family](random, body)
    return Mutant(Message(channel, body), tuple(families))


# What the bytes mean.


def _fields(random: Random, body: bytes) -> bytes:
    """An object of the mapped fields alone, each there or not, with any kind of value."""
    names = random.sample(MAPPED, random.randrange(len(MAPPED)))
    return b"{%s}" % b",".join(b'"%s":%s' % (name, _value_of(random, name)) for name in names)


def _value_of(random: Random, name: bytes) -> bytes:
    if name in (b"timestamp", b"at") and random.random() < 0.7:
        return spelling.timestamp(random)
    return spelling.value(random)


def _value(random: Random, body: bytes) -> bytes:
    """Another value for a field that is there."""
    members = list(_MEMBER.finditer(body[:LARGE]))
    if not members:
        return _member(random, body)
    chosen = random.choice(members)
    return body[: chosen.start(2)] + _value_of(random, chosen[1]) + body[chosen.end(2) :]


def _member(random: Random, body: bytes) -> bytes:
    """One more field at either end: where the name is there already, it comes twice."""
    name = random.choice(MAPPED)
    member = b'"%s"%s:%s%s' % (name, random.choice(_BLANKS), random.choice(_BLANKS), _value_of(random, name))
    return _joined(random, body, member)


def _joined(random: Random, body: bytes, member: bytes) -> bytes:
    first, last = body.find(b"{") + 1, body.rfind(b"}")
    if first == 0 or last < first:
        return b"{%s}" % member
    comma = b"," if body[first:last].strip() else b""
    if random.random() < 0.5:
        return body[:first] + member + comma + body[first:]
    return body[:last] + comma + member + body[last:]


def _twice(random: Random, body: bytes) -> bytes:
    """A field that is there once more, with another value."""
    members = list(_MEMBER.finditer(body[:LARGE]))
    name = random.choice(members)[1] if members else b"message"
    return _joined(random, body, b'"%s":%s' % (name, _value_of(random, name)))


def _timestamp(random: Random, body: bytes) -> bytes:
    name = random.choice((b"timestamp", b"timestamp", b"at"))
    return _joined(random, body.replace(b'"%s"' % name, b'"was"', 1), b'"%s":%s' % (name, spelling.timestamp(random)))


def _number(random: Random, body: bytes) -> bytes:
    return _joined(random, body, b'"%s":%s' % (random.choice(MAPPED), spelling.number(random)))


def _nested(random: Random, body: bytes) -> bytes:
    deep = spelling.nested(random)
    return deep if random.random() < 0.3 else _joined(random, body, b'"%s":%s' % (random.choice(MAPPED), deep))


def _root(random: Random, body: bytes) -> bytes:
    """No object, or one with something at either side of it."""
    alone = random.choice((b"", spelling.value(random), spelling.number(random), spelling.word(random)))
    return random.choice(_BLANKS) + alone + random.choice((b"", random.choice(_BEHIND)))


def _long_name(random: Random, body: bytes) -> bytes:
    unit = random.choice((b"n", "한".encode(), "😀".encode(), rb"\ud83d"))
    units = 2 if len(unit) == 4 else 1
    return _joined(random, body, b'"%s":1' % (unit * (random.randrange(49_998, 50_003) // units)))


def _long_number(random: Random, body: bytes) -> bytes:
    """About as long as is read, in a field, alone, or the last thing that there is."""
    spelled = spelling.long_number(random)
    if random.random() < 0.5:
        return _joined(random, body, b'"%s":%s' % (random.choice(MAPPED), spelled))
    return random.choice((b"%s", b"[%s", b'{"a":%s', b" %s ")) % spelled


def _buffers(random: Random, body: bytes) -> bytes:
    """Longer than Jackson reads at once, so that anything may come to stand at the end of a buffer."""
    place = body.find(b"{") + 1
    return body[:place] + b" " * random.randrange(33_000, 37_000) + body[place:]


def _cut(random: Random, body: bytes) -> bytes:
    """About as long as a text is shown without being cut, and without a message of its own."""
    filler = random.choice((b"x", "한".encode(), "😀".encode(), b"\xff", b"\xed\xa0\xbd"))
    units = len(filler.decode("utf-8", "replace").encode("utf-16-le")) // 2
    count = max(0, random.randrange(180, 205) // units)
    return b'{%s"a":"%s"}' % (random.choice((b"", b" ")), filler * count + random.choice((b"", b"y", "😀".encode())))


# Bytes, whatever they mean.


def _at(random: Random, body: bytes, piece: bytes, instead: int = 0) -> bytes:
    place = random.randrange(len(body) + 1)
    return body[:place] + piece + body[place + instead :]


def _malformed(random: Random, body: bytes) -> bytes:
    piece = random.choice((random.choice(spelling.MALFORMED), bytes(random.choices(range(0x80, 0x100), k=3))))
    texts = [match.start(2) + 1 for match in _MEMBER.finditer(body[:LARGE]) if match[2][:1] == b'"']
    if texts and random.random() < 0.8:
        place = random.choice(texts)
        return body[:place] + piece + body[place:]
    return _at(random, body, piece)


def _flip(random: Random, body: bytes) -> bytes:
    spoilt = bytearray(body or b" ")
    for _ in range(random.choice((1, 1, 2, 5))):
        spoilt[random.randrange(len(spoilt))] ^= 1 << random.randrange(8)
    return bytes(spoilt)


def _splice(random: Random, body: bytes) -> bytes:
    """A piece of the message once more, elsewhere."""
    start = random.randrange(len(body) + 1)
    return _at(random, body, body[start : start + random.choice((1, 3, 20, 100))])


CHANNEL: Final = "another channel"
FAMILIES: Final[Mapping[str, Mutate]] = {
    "unchanged": lambda random, body: body,
    "the mapped fields": _fields,
    "another value": _value,
    "one more field": _member,
    "a field twice": _twice,
    "a timestamp": _timestamp,
    "a number": _number,
    "nesting": _nested,
    "no object": _root,
    "a long name": _long_name,
    "a long number": _long_number,
    "several buffers": _buffers,
    "about the cut": _cut,
    "malformed UTF-8": _malformed,
    "something before": lambda random, body: random.choice(_BEFORE) + body,
    "something behind": lambda random, body: body + random.choice(_BEHIND),
    "a token": lambda random, body: _at(random, body, random.choice(_TOKENS)),
    "a text's piece": lambda random, body: _at(random, body, random.choice(spelling.PIECES)),
    "a random byte": lambda random, body: _at(random, body, random.randbytes(1), random.randrange(2)),
    "flipped bits": _flip,
    "bytes left out": lambda random, body: _at(random, body, b"", random.choice((1, 1, 2, 10))),
    "cut off": lambda random, body: body[: random.randrange(len(body) + 1)],
    "spliced": _splice,
    CHANNEL: lambda random, body: body,
}
_SHARES: Final = {
    **{"the mapped fields": 40, "another value": 15, "a timestamp": 12, "a number": 10},
    # These cost the most.
    **{"a long number": 1, "nesting": 1, "several buffers": 0.5, "a long name": 0.05, "unchanged": 1},
}
"""How often, beside the others with 5 each."""
_NAMES: Final = tuple(FAMILIES)
_WEIGHTS: Final = tuple(_SHARES.get(name, 5) for name in FAMILIES)
