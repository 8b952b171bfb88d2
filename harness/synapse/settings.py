"""Synapse's settings. The pattern has the name of the deployed property; the others have no counterpart there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.environment import given
from harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Settings:
    """Each can be given in the environment in upper case, as `NOTIFICATION_DATABASE_PATH` and so on."""

    notification_redis_workbench_pattern: str = "workbench:*"
    notification_database_path: Path | None = None
    """None keeps the rows in memory."""
    notification_stomp_heartbeat: tuple[int, int] = (0, 0)
    """Milliseconds: how often the server sends one, and wants one. In the environment `10000,10000`."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **arguments: object) -> Settings:
        """Arguments that are not None win over the environment. Raises UsageError for a value that cannot be used."""
        readers = {
            "notification_database_path": lambda value: Path(str(value)),
            "notification_stomp_heartbeat": lambda value: _heartbeat(value) if isinstance(value, str) else value,
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
