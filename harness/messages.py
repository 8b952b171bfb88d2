"""Seeded messages that a run publishes to test a consumer: what conforms in every shape, and what nobody should send.

Each that can carry one has an id of the run, so that what becomes of it can be told from everything else.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness import hostile
from harness.clock import Ids
from harness.generate import AWKWARD

Json = dict[str, Any]

ALERT = "workbench:alert"
RAG_STATUS = "workbench:rag:status"
CASE_ACTION = "workbench:case:action"
CHANNELS = (ALERT, RAG_STATUS, CASE_ACTION)
_TELLING_HOSTILITIES = (4, 30, 60)
"""Places of a few hostile messages, each of another family."""
CUT = 200
"""UTF-16 units, beyond which a consumer shortens the raw text of a message."""

_COMMON = ("category", "message", "timestamp", "title", "at")
_ABSENT: Any = object()

# Every kind of JSON value, and what has been mistaken for something else.
EXTRAS: tuple[Json, ...] = (
    {"extra": None},
    {"extra": True},
    {"extra": False},
    {"extra": 0},
    {"extra": -1},
    {"extra": 2**53 + 1},
    {"extra": 2**63 - 1},
    {"extra": -(2**63)},
    {"extra": 2**64},
    {"extra": 10**30},
    {"extra": 0.5},
    {"extra": 1.0},
    {"extra": -0.0},
    {"extra": 1e10},
    {"extra": 1e-7},
    {"extra": 123456789.123},
    {"extra": 1.7976931348623157e308},
    {"extra": ""},
    {"extra": []},
    {"extra": {}},
    {"extra": [[], {}, "", None, 0, False]},
    {"extra": {"a": {"b": [{"c": {"d": [1, [2, [3]]]}}]}}},
    {"extra": list(range(1000))},
    {"extra": {f"key {index}": index for index in range(300)}},
    {"extra": "가나다 " * 4000},
    {"": "an empty name"},
    {" ": "a blank name"},
    {"이름": "값", "😀": "👍🏽", "\u2028": "\x7f"},
    {"a/b": 1, "a~b": 2, "a.b": 3, "$ref": "#", "__proto__": {"x": 1}, "constructor": None},
    {"id": 7, "userId": 8, "tenantId": 9, "channel": "workbench:alert", "readAt": None, "createdAt": "never"},
    {"payload": {"message": "an inner one"}, "content": "not this", "occurredAt": "2000-01-01T00:00:00Z"},
    {"Category": "X", "MESSAGE": "X", "time_stamp": "X", "TITLE": "X"},
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish. `readable` says whether the documents promise that it is handled."""

    channel: str
    wire: bytes
    about: str
    readable: bool


def consumer_messages(seed: int, ids: Ids, count: int) -> Iterator[Outgoing]:
    """All of them; `count` is how many ordinary ones there are of each shape. The hostile ones come last, so that
    a consumer that they stop has shown before what it takes."""
    yield from ordinary(seed, ids, count)
    for kind in (incomplete, extras, borders, twice, hostilities):
        yield from kind(seed, ids)


def representative(seed: int, ids: Ids) -> Iterator[Outgoing]:
    """Few, of every shape and kind: for a system on which each leaves something behind."""
    yield from ordinary(seed, ids, 1)
    bare = [each for each in incomplete(seed, ids) if each.about == _told(_COMMON, _ABSENT)]
    yield from bare[:3]
    yield from itertools.islice(twice(seed, ids), 3)
    for index, each in enumerate(hostilities(seed, ids)):
        if index // 2 in _TELLING_HOSTILITIES:
            yield each


def ordinary(seed: int, ids: Ids, count: int) -> Iterator[Outgoing]:
    """The three notifications, the older shape, and one on a channel that only the pattern knows, in turn."""
    maker = _Maker(seed, ids)
    for _ in range(count):
        for channel, make in maker.shapes:
            yield _good(channel, make(), f"an ordinary {make.__name__.replace('_', ' ')}")


def incomplete(seed: int, ids: Ids) -> Iterator[Outgoing]:
    """Every subset of the mapped fields, the rest of them once absent and once null."""
    maker = _Maker(seed, ids)
    for channel, make in maker.shapes:
        whole = maker.titled(make())
        for names in _subsets(_COMMON):
            for nothing in (_ABSENT, None) if names else (None,):
                yield _good(channel, _changed(maker.again(whole), dict.fromkeys(names, nothing)), _told(names, nothing))
    for fields in _products(case_id=(_ABSENT, None, ""), approved=(_ABSENT, None, True, False)):
        for make in (maker.case_action, maker.older_case_action):
            yield _good(CASE_ACTION, _changed(make(), {"message": _ABSENT, **fields}), f"a case action with {fields}")
    documents = {name: (_ABSENT, f"문서 {name}") for name in ("rag_document_id", "doc_id", "document_id")}
    for fields in _products(**documents, status=(_ABSENT, "", "FAILED")):
        message = maker.again(_changed(maker.rag_status(), {"message": _ABSENT, **fields}))
        yield _good(RAG_STATUS, message, "some of the documents")
    for name in documents:
        for value in ("", None) if name == "rag_document_id" else ("", None, 7, True):
            fields = {**dict.fromkeys(documents, _ABSENT), "document_id": "document", "message": None, name: value}
            message = maker.again(_changed(maker.rag_status(), fields))
            yield _good(RAG_STATUS, message, f"{name} is {json.dumps(value)}")
    for channel, make in maker.shapes:
        for name in ("category", "message", "title"):
            yield _good(channel, _changed(maker.titled(make()), {name: ""}), f"{name} is empty text")
        for tenant in (7, 0, -1, 2**63 - 1, None):
            yield _good(channel, make() | {"tenant_id": tenant}, f"tenant {tenant}")
        yield _good(channel, make() | {"timestamp": maker.milliseconds()}, "milliseconds")


def extras(seed: int, ids: Ids) -> Iterator[Outgoing]:
    """Fields that nobody named, of every kind of JSON, and every awkward text wherever a text may stand."""
    maker = _Maker(seed, ids)
    shapes = itertools.cycle(maker.shapes)
    for fields in EXTRAS:
        channel, make = next(shapes)
        yield _good(channel, make() | fields, f"the extra {' and '.join(map(json.dumps, fields))}"[:100])
    for text in AWKWARD:
        channel, make = next(shapes)
        texts = dict.fromkeys(("message", "title", "extra", "category"), text)
        yield _good(channel, make() | texts, f"the text {text!r}")
    channel, make = next(shapes)
    yield _good(channel, make() | {"extra": _nested(20)}, "twenty levels")


def borders(seed: int, ids: Ids) -> Iterator[Outgoing]:
    """Raw texts that are shown in place of a message, on both sides of the cut, and the longest texts that fit."""
    maker = _Maker(seed, ids)
    channels = itertools.cycle((ALERT, maker.other))
    for units in (CUT - 1, CUT, CUT + 1, CUT + 3, CUT + 4, 2 * CUT):
        for ending in ("x", "한", "😀"):
            for behind in (0, 1):
                wire = maker.filled(units, ending, behind)
                about = f"{units} UTF-16 units with {ending} before the last {behind + 2}"
                yield Outgoing(next(channels), wire, about, readable=True)
    for channel, make in maker.shapes:
        for title in ("t" * 255, "제" * 255, "😀" * 127):
            yield _good(channel, make() | {"title": title, "category": title[:32]}, "the longest title")
        yield _good(channel, make() | {"category": "C" * 64, "message": "긴 글 " * 2000}, "the longest category")


def twice(seed: int, ids: Ids) -> Iterator[Outgoing]:
    """The same bytes again, with another message behind them."""
    maker = _Maker(seed, ids)
    for channel, make in maker.shapes:
        once = _good(channel, make(), "a message that comes twice")
        yield from (once, once, _good(channel, make(), "the one after the same message twice"))


def hostilities(seed: int, ids: Ids) -> Iterator[Outgoing]:
    """What nobody should send, on all channels in turn, each with a good message behind it on another."""
    maker = _Maker(seed, ids)
    shapes = itertools.cycle(maker.shapes)
    for about, spoil in hostile.SPOILT.items():
        channel, make = next(shapes)
        yield Outgoing(channel, spoil(make()), about, readable=False)
        channel, make = next(shapes)
        yield _good(channel, make(), f"the one after {about}")


class _Maker:
    """Makes whole messages, each with ids of its own."""

    def __init__(self, seed: int, ids: Ids) -> None:
        from faker import Faker

        self._random = random.Random(seed)
        self._ids = ids
        self._faker = Faker(["ko_KR", "en_US"], use_weighting=False)
        self._faker.seed_instance(seed)
        self.other = f"workbench:{ids.run}:other"

    @property
    def shapes(self) -> tuple[tuple[str, Callable[[], Json]], ...]:
        return (
            (ALERT, self.alert),
            (RAG_STATUS, self.rag_status),
            (CASE_ACTION, self.case_action),
            (CASE_ACTION, self.older_case_action),
            (self.other, self.stranger),
        )

    def alert(self) -> Json:
        score = self._random.choice([0.0, 1, 0.85, 1e-9, self._random.random()])
        about = {"case_id": self._ids.next("case"), "score": score, "severity": "HIGH"}
        return self._notification("AI_DETECT") | about

    def rag_status(self) -> Json:
        chunks = self._random.choice([0, 1, 12, self._random.randrange(100_000)])
        about = {"rag_document_id": self._ids.next("document"), "chunks_added": chunks}
        return self._notification("RAG_STATUS") | about

    def case_action(self) -> Json:
        return self._notification("CASE_ACTION") | self._decision()

    def older_case_action(self) -> Json:
        message = {"type": "case_action_completed", **self._decision(), "at": self._timestamp()}
        more = {"history_id": self._random.randrange(10**6), "fi_doc_updated": True, "tenant_id": 7, "action_id": 3}
        return message | (more if self._random.random() < 0.5 else {})

    def stranger(self) -> Json:
        return self._notification("SOMETHING_ELSE") | {"message_id": self._ids.next("message")}

    def titled(self, message: Json) -> Json:
        """With all the fields that a notification's common ones are read from."""
        common = self._notification("CATEGORY") | {"title": self._faker.catch_phrase(), "at": self._timestamp()}
        return {**common, **message}

    def again(self, message: Json) -> Json:
        """The same with an id of its own."""
        return message | {"message_id": self._ids.next("message")}

    def milliseconds(self) -> int:
        return 1_770_000_000_000 + self._random.randrange(10**9)

    def filled(self, units: int, ending: str, behind: int) -> bytes:
        """A message of so many UTF-16 units, with this shortly before its end."""
        head, tail = (
            f'{{"type":"NOTIFICATION","message_id":"{self._ids.next("message")}","extra":"',
            "y" * behind + '"}',
        )
        around = len(f"{head}{tail}".encode("utf-16-le")) // 2 + len(ending.encode("utf-16-le")) // 2
        return f"{head}{'x' * (units - around)}{ending}{tail}".encode()

    def _notification(self, category: str) -> Json:
        make = self._random.choice([self._faker.sentence, self._faker.name, self._faker.catch_phrase])
        return {"type": "NOTIFICATION", "category": category, "message": make(), "timestamp": self._timestamp()}

    def _decision(self) -> Json:
        approved = self._random.random() < 0.6
        return {
            "case_id": self._ids.next("case"),
            "request_id": self._ids.next("request"),
            "executor_id": self._faker.user_name(),
            "action_type": "APPROVE" if approved else "REJECT",
            "approved": approved,
            "status_code": "APPROVED" if approved else "REJECTED",
        }

    def _timestamp(self) -> str:
        """A moment of the past, in every length that the fraction may have."""
        day, second = self._random.randrange(1, 29), self._random.randrange(60)
        digits = self._random.randrange(10)
        fraction = f".{self._random.randrange(10**digits):0{digits}}" if digits else ""
        offset = self._random.choice(["Z", "+00:00", "+00:00", "+09:00", "-03:30"])
        return f"2026-01-{day:02}T{self._random.randrange(24):02}:07:{second:02}{fraction}{offset}"


def _good(channel: str, message: Mapping[str, Any], about: str) -> Outgoing:
    return Outgoing(channel, json.dumps(message, ensure_ascii=False).encode(), about, readable=True)


def _changed(message: Json, changes: Mapping[str, Any]) -> Json:
    return {name: value for name, value in {**message, **changes}.items() if value is not _ABSENT}


def _told(names: tuple[str, ...], nothing: Any) -> str:
    return f"{' and '.join(names)} {'null' if nothing is None else 'absent'}" if names else "nothing absent"


def _subsets(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(names, size) for size in range(len(names) + 1))


def _products(**choices: tuple[Any, ...]) -> Iterator[Json]:
    return (dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))


def _nested(depth: int) -> Any:
    return [{"inner": _nested(depth - 1)}] if depth else "한"
