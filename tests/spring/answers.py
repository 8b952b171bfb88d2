"""What is compared: a message, and what one side answers to it. What the simulation answers is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.synapse.instant import Instant
from harness.synapse.java import decode
from harness.synapse.notification import read, to_json
from harness.synapse.reader import Unreadable
from harness.synapse.writer import Unwritable

MAPPED: Final = "mapped"
UNREAD: Final = "refused when read"
UNWRITTEN: Final = "refused when written"
CRASHED: Final = "crashed"
"""Neither of the deployed outcomes: a fault of the simulation, whatever the other side answers."""

NOW: Final = "2026-02-11T14:30:00.123456789Z"
"""The time of receipt on both sides, so that answers are compared whole; no message has it by chance."""


@dataclass(frozen=True, slots=True)
class Message:
    channel: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: str
    data: bytes
    """The JSON that is broadcast, or the simple class name of the exception."""

    def __str__(self) -> str:
        return f"{self.outcome}: {shown(self.data)}"


def simulated(message: Message) -> Answer:
    now = Instant.parse(NOW)
    assert now is not None
    try:
        dto = read(decode(message.channel), message.body, now)
        return Answer(MAPPED, to_json(dto.stored(1, now)))
    except Unreadable as error:
        return Answer(UNREAD, error.kind.encode())
    except Unwritable as error:
        return Answer(UNWRITTEN, error.kind.encode())
    except Exception as error:
        return Answer(CRASHED, repr(error).encode())


def shown(data: bytes, most: int = 2000) -> str:
    """As text where that can be seen, otherwise as Python writes bytes."""
    if not data:
        return "nothing"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    whole = text if text and text.isprintable() else repr(data)
    return whole if len(whole) <= most else f"{whole[: most // 2]} … {whole[-most // 2 :]}"
