"""What reviewers post and what Aura would publish, and when: texts as people write them, ids that name run and worker,
at a steady rate."""

from __future__ import annotations

import json
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from harness.aura.publishers import Publishers
from harness.aura.settings import Settings
from harness.clock import Clock
from harness.errors import UsageError

TEXTS = 500
"""So many different comments: making one takes longer than sending it."""
PEOPLE = 50
MOST_BEHIND: Final = 1.0
"""Seconds that a user makes up for by sending at once; what it is late beyond that, it leaves out."""
_GOLDEN: Final = 0.6180339887
"""Multiples of it, without their whole part, lie evenly spread however many there are."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many actions are approved and how many rejected."""

    approve: int = 3
    reject: int = 2

    @classmethod
    def parse(cls, text: str) -> Ratio:
        parts = text.split(":")
        numbers = [int(part) if part.isascii() and part.isdigit() else -1 for part in parts]
        if len(numbers) != 2 or min(numbers) < 0 or not sum(numbers):
            raise UsageError(f"--decisions {text}: APPROVE:REJECT was expected, two whole numbers such as 3:2")
        return cls(*numbers)

    def approves(self, index: int) -> bool:
        """Spread evenly, so that a short run has the ratio, too."""
        whole = self.approve + self.reject
        return (index + 1) * self.approve // whole > index * self.approve // whole


class Traffic:
    """The same seed gives the same messages, their timestamps apart."""

    def __init__(self, seed: int, clock: Clock, ratio: Ratio, settings: Settings | None = None) -> None:
        from faker import Faker

        faker = Faker("ko_KR", use_weighting=False)
        faker.seed_instance(seed)
        self._random = random.Random(seed)
        self._reasons = [f"{faker.company()} 전표 검토: {faker.bs()}" for _ in range(TEXTS)]  # its sentences are Latin
        self._people = [faker.name() for _ in range(PEOPLE)]
        self._ratio = ratio
        self._actions = 0
        self.settings = settings or Settings()
        self._publishers = Publishers(self.settings, self._publish, clock)
        self._published = b""

    def action(self, id_: str) -> bytes:
        """The body of a record call for the request of this id."""
        number, self._actions = self._actions, self._actions + 1
        approved = self._ratio.approves(number)
        body: dict[str, Any] = {
            "case_id": f"{id_}-case",
            "request_id": id_,
            "executor_id": self._people[number % PEOPLE],
            "approved": approved,
            "comment": f"{self._reasons[number % TEXTS]}, {'승인' if approved else '거절'}합니다",
            "doc_key": f"1000-{1_900_000_001 + number}-2024",
        }
        return json.dumps(body, ensure_ascii=False).encode()

    def alert(self, id_: str) -> bytes:
        """As Aura publishes it for the case of this id."""
        return self._made(self._publishers.case_created(id_, "HIGH", round(self._random.random(), 2)))

    def rag_status(self, id_: str) -> bytes:
        """As Aura publishes it for the document of this id."""
        return self._made(self._publishers.rag_finished(id_, self._random.randrange(1, 100), True))

    async def _publish(self, channel: str, wire: bytes) -> int:
        self._published = wire
        return 0

    def _made(self, telling: Coroutine[Any, Any, None]) -> bytes:
        """What is told, by Aura's own code: all that it waits for is the publish, which is ours."""
        try:
            telling.send(None)
        except StopIteration:
            return self._published
        raise AssertionError("a publish waits")


class Pace:
    """When a user sends next: each at a moment of its own, for bursts measure the generator. A send that was late does
    not put off the next one, so that the rate is the one asked for."""

    def __init__(self, rate: float, user: int, now: float) -> None:
        self._period = 1 / rate
        self._due = now + user * _GOLDEN % 1 * self._period

    def wait(self, now: float) -> float:
        """Seconds until the next send."""
        due = max(self._due, now - MOST_BEHIND)
        self._due = due + self._period
        return max(0.0, due - now)
