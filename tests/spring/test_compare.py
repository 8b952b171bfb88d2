"""A comparison finds what is made wrong on one side: here the simulation stands for Spring, against a spoilt one.

Each fault is one that people make. So this also says that the messages are sharp enough to find it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from harness.synapse import double, instant, java, node, notification, reader, writer
from harness.synapse.instant import Instant
from harness.synapse.node import Node
from spring.answers import MAPPED, Answer, Message, simulated
from spring.compare import ALIKE, compare

COUNT = 10_000


@pytest.fixture(scope="module")
def spring() -> Callable[[Sequence[Message]], list[Answer]]:
    """Answers that were computed before anything is spoilt are what Spring would say."""
    known: dict[Message, Answer] = {}

    def ask(messages: Sequence[Message]) -> list[Answer]:
        for message in messages:
            if message not in known:
                with pytest.MonkeyPatch.context() as patch:
                    for module, name, value in DEPLOYED:
                        patch.setattr(module, name, value)
                    known[message] = simulated(message)
        return [known[message] for message in messages]

    return ask


def _from_iso_format(text: str) -> Instant | None:
    try:
        return Instant.of(datetime.fromisoformat(text).astimezone())
    except (ValueError, OverflowError):
        return None


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise reader.Unreadable("JsonParseException", str(error)) from error


def _text_value(value: Node) -> str:
    return value if isinstance(value, str) else ""


def _given_and_not_empty(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return None if value in (None, "") else node.as_text(value)


_of_epoch_milli = Instant.of_epoch_milli


def _of_epoch_second(seconds: int) -> Instant:
    return _of_epoch_milli(1000 * seconds)


FAULTS: dict[str, tuple[Any, str, Any]] = {
    "fromisoformat": (Instant, "parse", staticmethod(_from_iso_format)),
    "json.loads": (notification, "read_tree", _loads),
    "Python's own replacement of bytes": (notification, "decode", lambda body: body.decode("utf-8", "replace")),
    "str() of a float": (double, "to_text", str),
    "textValue instead of asText": (notification, "as_text", _text_value),
    "a fallback for an empty text": (notification, "_given", _given_and_not_empty),
    "seconds instead of milliseconds": (Instant, "of_epoch_milli", staticmethod(_of_epoch_second)),
    "len() for UTF-16 units": (notification, "cut", lambda text, length: text[:length] + "…" * (len(text) > length)),
    "strip() for trim()": (node, "trim", str.strip),
    "saturated instead of wrapped": (node, "wrap_long", lambda value: max(java.LONG_MIN, min(java.LONG_MAX, value))),
    "a number's limit one off": (reader, "MAX_NUMBER", 1001),
    "the depth that is written one off": (writer, "MAX_DEPTH", 1001),
    "the end as any other place": (reader, "_WHOLE", -1),
    "an offset up to a day": (instant, "_MAX_OFFSET", 86_400),
}  # fmt: skip
DEPLOYED = [(module, name, module.__dict__[name]) for module, name, _ in FAULTS.values()]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(
    fault: str, spring: Callable[[Sequence[Message]], list[Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*FAULTS[fault])
    # Shrinking well is tested by itself.
    tally = compare(1, COUNT, spring, attempts=100)
    assert tally.differences, tally.told(1)
    for difference in tally.differences:
        assert difference.spring != difference.simulated
        assert len(difference.smallest.body) <= len(difference.mutant.message.body)


def test_without_a_fault_no_difference_is_found_and_everything_is_counted(
    spring: Callable[[Sequence[Message]], list[Answer]],
) -> None:
    tally = compare(1, 1000, spring)
    assert (tally.messages, tally.differences) == (1000, [])
    assert "seed 1: 1,000 messages, 0 differences; " in tally.told(2)
    assert tally.told(2).endswith("2 s, 500 messages/s")


def test_several_processes_make_the_same_stream() -> None:
    asked: list[list[Message]] = [[], []]
    for jobs, seen in enumerate(asked, 1):
        compare(1, 2000, _remembering(seen), jobs=jobs)
    assert asked[0] == asked[1]


def _remembering(seen: list[Message]) -> Callable[[Sequence[Message]], list[Answer]]:
    def ask(messages: Sequence[Message]) -> list[Answer]:
        seen.extend(messages)
        return [simulated(message) for message in messages]

    return ask


def test_a_difference_is_told_with_both_answers_and_how_to_see_it_again() -> None:
    def deaf(messages: Sequence[Message]) -> list[Answer]:
        return [Answer(MAPPED, b"x") if b"1" in message.body else simulated(message) for message in messages]

    tally = compare(3, COUNT, deaf)
    told = tally.differences[0].told(3).splitlines()
    assert told[1:5] == [
        "  channel   workbench:",
        f"  body      1  (1 bytes, shrunk from {len(tally.differences[0].mutant.message.body)})",
        "  spring    mapped: x",
        "  simulated refused when read: IllegalArgumentException",
    ]
    assert told[6] == "  again     PYTHONPATH=tests python -m spring one 776f726b62656e63683a 31"
    assert told[7] == f"  unshrunk  PYTHONPATH=tests python -m spring nth 3 {tally.differences[0].place}"


def test_a_run_ends_when_it_finds_the_same_again_and_again() -> None:
    def silent(messages: Sequence[Message]) -> list[Answer]:
        return [Answer(MAPPED, b"") for _ in messages]

    tally = compare(1, COUNT, silent)
    assert len(tally.differences) == 1
    assert tally.messages == ALIKE + 1


def test_a_crash_of_the_simulation_is_a_difference(
    spring: Callable[[Sequence[Message]], list[Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    spring([Message(b"workbench:", b"")])
    monkeypatch.setattr(notification, "cut", lambda text, length: 1 / 0)
    (found, *_) = compare(1, COUNT, spring).differences
    assert str(found.simulated) == "crashed: ZeroDivisionError('division by zero')"
