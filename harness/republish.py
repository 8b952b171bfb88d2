"""What Aura published in a recorded history, published again: the same bytes, at the same distances in time.

So a consumer can be shown yesterday's traffic without the Aura that made it.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from redis.exceptions import RedisError

from harness.bus import Publish
from harness.errors import HarnessError, UsageError
from harness.history import Event, History, decode

BACKENDS_OWN = "case_action_completed"
"""The `type` of what the deployed backend publishes itself, on a channel of Aura's."""
ANSWER_SECONDS = 5.0
"""How long a publish may take."""


@dataclass(frozen=True, slots=True)
class Message:
    """`at` is when it was recorded, in seconds from the start of its run."""

    at: float
    channel: str
    wire: bytes


def messages(history: History) -> tuple[Message, ...]:
    """Aura's, and those of an unknown seat that are not the backend's own. Raises UsageError for one that is none."""
    found = [(event, _message(event)) for event in history.of("published") if event.seat in ("aura", None)]
    return tuple(message for event, message in found if event.seat == "aura" or not _is_backends(message.wire))


async def republish(
    histories: Iterable[History], publish: Publish, speed: float, progress: Callable[[Message, int], None]
) -> int:
    """One history after another, each so many times faster than it was; infinity waits for nothing.

    `progress` is told each message that was published and how many received it. Answers how many messages had a
    receiver. A message that is under way when this is cancelled is still finished and told. Raises HarnessError when
    one cannot be published.
    """
    now, received, number = asyncio.get_running_loop().time, 0, 0
    for history in histories:
        first = now()
        found = messages(history)
        for message in found:
            # Counted from the first message, so that what publishing takes does not add up.
            await asyncio.sleep(max(0.0, first + (message.at - found[0].at) / speed - now()))
            sending = asyncio.create_task(_send(message, publish, number))
            try:
                await asyncio.shield(sending)
            finally:
                receivers = await sending
                progress(message, receivers)
            received += receivers > 0
            number += 1
    return received


async def _send(message: Message, publish: Publish, before: int) -> int:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await publish(message.channel, message.wire)
    except (RedisError, OSError) as error:
        why = str(error).rstrip(".") or f"no answer within {ANSWER_SECONDS:g} s"
        raise HarnessError(
            f"{message.channel}: a message could not be published ({why}); published before it: {before}"
        ) from error


def _message(event: Event) -> Message:
    try:
        channel, at = event.data["channel"], event.at
        channel.encode()
        if not math.isfinite(at):
            raise ValueError(f"at {at} was found, seconds were expected")
        return Message(at, channel, decode(event.data["wire"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"event {event.seq}: this is no published message ({error}); give a file that --history wrote"
        ) from error


def _is_backends(wire: bytes) -> bool:
    try:
        value = json.loads(wire)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("type") == BACKENDS_OWN
