"""Settings come from the environment, or from arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.synapse.settings import Settings


def test_the_default_pattern_is_that_of_the_document() -> None:
    settings = Settings.from_environment({})
    assert settings.notification_redis_workbench_pattern == "workbench:*"
    assert settings.notification_database_path is None


def test_the_environment_is_read_in_upper_case() -> None:
    settings = Settings.from_environment(
        {
            "NOTIFICATION_REDIS_WORKBENCH_PATTERN": "작업대:*",
            "NOTIFICATION_DATABASE_PATH": "rows.db",
            "NOTIFICATION_STOMP_HEARTBEAT": "10000,0",
        }
    )
    assert settings == Settings("작업대:*", Path("rows.db"), (10000, 0))


def test_an_argument_wins_over_the_environment() -> None:
    settings = Settings.from_environment(
        {"NOTIFICATION_DATABASE_PATH": "a"}, notification_database_path="b", notification_stomp_heartbeat=(1, 2)
    )
    assert settings.notification_database_path == Path("b")
    assert settings.notification_stomp_heartbeat == (1, 2)


@pytest.mark.parametrize("value", ["10000", "-1,0", "1, 2", "a,b"])
def test_a_heartbeat_that_is_none_is_told(value: str) -> None:
    with pytest.raises(UsageError, match="NOTIFICATION_STOMP_HEARTBEAT"):
        Settings.from_environment({"NOTIFICATION_STOMP_HEARTBEAT": value})
