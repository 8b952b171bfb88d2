"""Synapse's settings. The pattern has the name of the deployed property; the others have no counterpart there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from harness.environment import given, switch
from harness.errors import UsageError

FollowUps = Literal["signal", "record", "both", "neither"]
ApprovedStatus = Literal["APPROVED", "FINALIZED"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Each can be given in the environment in upper case, as `NOTIFICATION_DATABASE_PATH` and so on."""

    notification_redis_workbench_pattern: str = "workbench:*"
    notification_database_path: Path | None = None
    """None keeps the rows in memory."""
    notification_stomp_heartbeat: tuple[int, int] = (0, 0)
    """Milliseconds: how often the server sends one, and wants one. In the environment `10000,10000`."""
    notification_sse_heartbeat: float = 15.0
    """Seconds of quiet after which an event stream gets a comment; 0 for none."""
    action_follow_up: FollowUps = "record"
    """Whom the backend tells of an action that was decided by its own endpoint: the HITL session that asked for it,
    Aura's record endpoint, both or neither. The answer to a HITL request is signalled whatever stands here, and
    recorded besides with `both`.
    """
    action_publish_completed: bool = False
    """Whether it publishes `case_action_completed` itself, as the deployed one does. In the environment `on`, `off`."""
    action_approved_status: ApprovedStatus = "APPROVED"
    """What an approved document's row says; the deployed backend says FINALIZED."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **arguments: object) -> Settings:
        """Arguments that are not None win over the environment. Raises UsageError for a value that cannot be used."""
        readers: dict[str, Callable[[Any], object]] = {
            "notification_database_path": lambda value: Path(str(value)),
            "notification_stomp_heartbeat": lambda value: _heartbeat(value) if isinstance(value, str) else value,
            "notification_sse_heartbeat": _seconds,
            "action_follow_up": lambda value: _one_of("ACTION_FOLLOW_UP", get_args(FollowUps), value),
            "action_publish_completed": partial(switch, "ACTION_PUBLISH_COMPLETED"),
            "action_approved_status": lambda value: _one_of("ACTION_APPROVED_STATUS", get_args(ApprovedStatus), value),
        }
        return cls(**given(cls, environment, arguments, readers))


def _heartbeat(value: str) -> tuple[int, int]:
    numbers = re.fullmatch(r"([0-9]{1,9}),([0-9]{1,9})", value)
    if numbers is None:
        raise UsageError(
            f"NOTIFICATION_STOMP_HEARTBEAT: {value!r} was found, two numbers of "
            "milliseconds were expected, as 10000,10000"
        )
    return int(numbers[1]), int(numbers[2])


def _seconds(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"NOTIFICATION_SSE_HEARTBEAT: {value!r} was found, a number of seconds from 0 was expected")
    return seconds


def _one_of(name: str, choices: tuple[str, ...], value: object) -> object:
    if value not in choices:
        raise UsageError(f"{name}: {value!r} was found, one of {', '.join(choices)} was expected")
    return value
