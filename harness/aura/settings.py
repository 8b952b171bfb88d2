"""Aura's settings, under the names that the documents and the deployed system use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.environment import given, switch
from harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Settings:
    """Each can be given in the environment in upper case, as `CASE_ACTION_REDIS_CHANNEL` and so on."""

    jwt_secret: str = "harness-development-secret-of-32-bytes"
    workbench_alert_channel: str = "workbench:alert"
    workbench_rag_status_channel: str = "workbench:rag:status"
    case_action_redis_channel: str = "workbench:case:action"
    hitl_feedback_log_path: Path | None = None
    hitl_timeout_seconds: float = 300.0
    hitl_compares_request: bool = False
    """Whether only an answer that names the request resolves it. As deployed, the first on the channel does. In the
    environment `on`, `off`."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **arguments: object) -> Settings:
        """Arguments that are not None win over the environment. Raises UsageError for a value that cannot be used."""
        readers: dict[str, Callable[[Any], object]] = {
            "hitl_feedback_log_path": _appendable,
            "hitl_timeout_seconds": _seconds,
            "hitl_compares_request": partial(switch, "HITL_COMPARES_REQUEST"),
        }
        return cls(**given(cls, environment, arguments, readers))


def _appendable(value: object) -> Path:
    path = Path(str(value))
    try:
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise UsageError(f"HITL_FEEDBACK_LOG_PATH: {path} cannot be written ({error.strerror or error})") from error
    return path


def _seconds(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"HITL_TIMEOUT_SECONDS: {value!r} was found, a number of seconds above 0 was expected")
    return seconds
