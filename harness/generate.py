"""Seeded traffic for a run: record calls, detections and RAG runs as people and systems would cause them.

The shapes are written by hand, because a schema does not know which values have broken software before; Faker
writes the people's texts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.clock import Ids

Json = dict[str, Any]

# Each has broken somebody's code: quotes and line ends, bidirectional text, joined emoji, combining marks, markup.
AWKWARD = (
    "",
    " ",
    "승인합니다 👍🏽 확인 완료",
    '그는 "승인"이라고 말했다',
    "첫 줄\n둘째 줄\r\n셋째 줄\t끝",
    "C:\\경로\\파일 \\u0041 \\n",
    "👨‍👩‍👧‍👦🏳️‍🌈🇰🇷",
    "가각힣 ㄱㄴㄷ 한글",
    "שלום עליכם ‏مرحبا",
    "e\u0301\u0302\u0303 Zürich naïve",
    "<script>alert('x')</script> & &amp;",
    '{"case_id": "other", "approved": false}',
    "null",
    "true",
    "0",
    "$HOME `id` %s {case_id} ${x}",
    "'; DROP TABLE case_action_history; --",
    "\u2028\u2029\u00a0\u200b\ufeff",
    "\x7f\x80\x9f",
    "\x01\x1f",
    "𝒳 𠮷野家 🂡",
)
AWKWARD_IDS = tuple(text for text in AWKWARD if text.strip())
OTHER_SEVERITIES = ("MEDIUM", "LOW", "CRITICAL", "INFO", "high", "High", "")
LONG = 64 * 1024


@dataclass(frozen=True, slots=True)
class Detection:
    case_id: str
    severity: str
    score: float


@dataclass(frozen=True, slots=True)
class RagRun:
    rag_document_id: str
    chunks_added: int
    succeeded: bool


class Traffic:
    """A stream of inputs that depends only on its seed. Every case, request and document id names the run."""

    def __init__(self, seed: int, ids: Ids) -> None:
        from faker import Faker

        self._random = random.Random(seed)
        self._ids = ids
        self._faker = Faker(["ko_KR", "en_US"], use_weighting=False)
        self._faker.seed_instance(seed)

    def valid_calls(self, count: int) -> Iterator[Json]:
        """Bodies of record calls that must be accepted."""
        for index in range(count):
            yield self.call(index)

    def call(self, index: int = 0) -> Json:
        """One valid body. Over a run of indexes every awkward text, a 64 KiB comment and each absence appears."""
        body: Json = {
            "case_id": self._id("case", index),
            "request_id": self._id("request", index + 1),
            "executor_id": self._person(index),
            "approved": self._random.random() < 0.6,
        }
        # What is promised to appear is not left to chance.
        promised = index % 3 == 0 or index % 100 == 99
        body |= self._optional("comment", partial(self._comment, index), always=promised)
        body |= self._optional("doc_key", self._doc_key)
        if self._random.random() < 0.1:
            body["client_version"] = self._random.choice(["1.4.2", 7, None, {"build": "한"}, [1, 2]])
        keys = list(body)
        self._random.shuffle(keys)
        return {key: body[key] for key in keys}

    def detections(self, count: int) -> Iterator[Detection]:
        """Every second one is HIGH; the others are whatever else a severity may be, and what only looks like HIGH."""
        for index in range(count):
            severity = "HIGH" if index % 2 == 0 else OTHER_SEVERITIES[index // 2 % len(OTHER_SEVERITIES)]
            score = self._random.choice([0.0, 1.0, 0.85, 1e-9, self._random.random()])
            yield Detection(self._id("case", index), severity, score)

    def rag_runs(self, count: int) -> Iterator[RagRun]:
        """Three of four succeed."""
        for index in range(count):
            chunks = self._random.choice([0, 1, 12, self._random.randrange(100_000)])
            yield RagRun(self._id("document", index), chunks, succeeded=index % 4 != 3)

    def _id(self, kind: str, index: int) -> str:
        """Ids are free text, too: every fourth ends with one that has broken somebody's code."""
        plain = self._ids.next(kind)
        return f"{plain} {AWKWARD_IDS[index // 4 % len(AWKWARD_IDS)]}" if index % 4 == 1 else plain

    def _person(self, index: int) -> str:
        if index % 4 == 2:
            return AWKWARD_IDS[index // 4 % len(AWKWARD_IDS)]
        makers: list[Callable[[], str]] = [self._faker.user_name, self._faker.name, self._faker.email]
        return self._random.choice(makers)()

    def _optional(self, name: str, make: Callable[[], str], *, always: bool = False) -> Json:
        choice = self._random.random()
        if choice < 0.2 and not always:
            return {} if choice < 0.1 else {name: None}
        return {name: make()}

    def _comment(self, index: int) -> str:
        if index % 100 == 99:
            filler = self._faker.sentence() + " 👍 "
            return (filler * (LONG // len(filler.encode()) + 1)).encode()[:LONG].decode(errors="ignore")
        if index % 3 == 0:
            return AWKWARD[index // 3 % len(AWKWARD)]
        makers: list[Callable[[], str]] = [self._faker.sentence, self._faker.text, self._faker.catch_phrase]
        return self._random.choice(makers)()

    def _doc_key(self) -> str:
        company, number = self._random.randrange(1000, 10_000), self._random.randrange(10**9, 10**10)
        return f"{company}-{number}-{self._random.randrange(2020, 2027)}"
