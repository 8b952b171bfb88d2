"""One stream of messages through both sides: what differs is found, shrunk, and told so that it can be seen again."""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from spring.answers import MAPPED, Answer, Message, shown, simulated
from spring.mutate import BLOCK, Mutant, block
from spring.shrink import shrunk

ENOUGH: Final = 3
"""Different differences, after which a run ends: more of them seldom say more."""
ALIKE: Final = 10
"""Differences that are shrunk to one that is known already, after which it ends too."""

ATTEMPTS: Final = 4000
"""To shrink a difference: enough for any but the largest messages, and half a minute for those."""

Ask = Callable[[Sequence[Message]], Sequence[Answer]]
Judged = list[tuple[Mutant, Answer]]
"""Messages, each with what the simulation answers."""


@dataclass(frozen=True, slots=True)
class Difference:
    place: int
    """Of the message in the stream, from 0."""
    mutant: Mutant
    smallest: Message
    spring: Answer
    simulated: Answer

    def told(self, seed: int) -> str:
        channel, body = self.smallest.channel, self.smallest.body
        lines = {
            "channel": shown(channel),
            "body": f"{shown(body)}  ({len(body)} bytes, shrunk from {len(self.mutant.message.body)})",
            "spring": str(self.spring),
            "simulated": str(self.simulated),
            "made by": ", ".join(self.mutant.families),
            "again": f"PYTHONPATH=tests python -m spring one {channel.hex() or '-'} {body.hex() or '-'}",
            "unshrunk": f"PYTHONPATH=tests python -m spring nth {seed} {self.place}",
        }
        return "\n".join([f"message {self.place:,} differs", *(f"  {name:<10}{text}" for name, text in lines.items())])


@dataclass(slots=True)
class Tally:
    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def messages(self) -> int:
        return self.outcomes.total()

    def told(self, seconds: float) -> str:
        refused = ", ".join(f"{count:,} {name}" for name, count in self.outcomes.most_common() if name != MAPPED)
        found = len(self.differences)
        return (
            f"seed {self.seed}: {self.messages:,} messages, {found} difference{'' if found == 1 else 's'}; "
            f"{self.outcomes[MAPPED]:,} mapped; {refused or 'none refused'}; "
            f"{seconds:.0f} s, {self.messages / seconds:,.0f} messages/s"
        )


def compare(
    seed: int,
    count: int,
    ask: Ask,
    *,
    simulate: Callable[[Message], Answer] = simulated,
    jobs: int = 1,
    attempts: int = ATTEMPTS,
    progress: Callable[[int], object] = lambda done: None,
) -> Tally:
    """`count` messages at least, in whole blocks, or as many as it takes to find enough differences."""
    tally = Tally(seed)
    alike = 0
    for judged in _stream(seed, -(-count // BLOCK), simulate, jobs):
        answers = ask([mutant.message for mutant, _ in judged])
        for (mutant, ours), theirs in zip(judged, answers, strict=True):
            place = tally.messages
            tally.outcomes[MAPPED if theirs.outcome == MAPPED else f"{theirs.data.decode()} ({theirs.outcome})"] += 1
            if ours == theirs:
                continue
            difference = _difference(place, mutant, ask, simulate, attempts)
            if any(difference.smallest == known.smallest for known in tally.differences):
                alike += 1
            else:
                tally.differences.append(difference)
            if len(tally.differences) == ENOUGH or alike == ALIKE:
                return tally
        progress(tally.messages)
    return tally


def _difference(
    place: int, mutant: Mutant, ask: Ask, simulate: Callable[[Message], Answer], attempts: int
) -> Difference:
    smallest = shrunk(mutant.message, lambda message: ask([message])[0] != simulate(message), attempts)
    return Difference(place, mutant, smallest, ask([smallest])[0], simulate(smallest))


def _stream(seed: int, blocks: int, simulate: Callable[[Message], Answer], jobs: int) -> Iterator[Judged]:
    """In order, whoever makes them."""
    if jobs == 1:
        for number in range(blocks):
            yield _judged(seed, number, simulate)
        return
    # Spawned, because a fork takes along what other threads hold.
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    waiting: deque[Future[Judged]] = deque()
    try:
        for number in range(blocks):
            waiting.append(pool.submit(_judged, seed, number, simulate))
            if len(waiting) > 2 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _judged(seed: int, number: int, simulate: Callable[[Message], Answer]) -> Judged:
    return [(mutant, simulate(mutant.message)) for mutant in block(seed, number)]
