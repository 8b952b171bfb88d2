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


def test_what_follows_a_decision_is_set_by_words() -> None:
    settings = Settings.from_environment(
        {
            "ACTION_FOLLOW_UP": "both",
            "ACTION_PUBLISH_COMPLETED": "on",
            "ACTION_APPROVED_STATUS": "FINALIZED",
            "NOTIFICATION_SSE_HEARTBEAT": "0.5",
        }
    )
    assert (settings.action_follow_up, settings.action_publish_completed) == ("both", True)
    assert (settings.action_approved_status, settings.notification_sse_heartbeat) == ("FINALIZED", 0.5)
    assert Settings.from_environment({"ACTION_PUBLISH_COMPLETED": "off"}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACTION_FOLLOW_UP", "none"),
        ("ACTION_PUBLISH_COMPLETED", "yes"),
        ("ACTION_APPROVED_STATUS", "approved"),
        ("NOTIFICATION_SSE_HEARTBEAT", "-1"),
        ("NOTIFICATION_SSE_HEARTBEAT", "nan"),
        ("NOTIFICATION_SSE_HEARTBEAT", "often"),
    ],
)
def test_a_word_that_is_not_known_is_told_with_its_setting(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        Settings.from_environment({name: value})
