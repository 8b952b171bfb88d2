"""Settings come from the environment under the names of the documents, or from arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.aura.actions import feedback_writer
from harness.aura.settings import Settings
from harness.errors import UsageError


def test_the_defaults_are_the_channels_of_the_document() -> None:
    settings = Settings.from_environment({})
    assert settings.workbench_alert_channel == "workbench:alert"
    assert settings.workbench_rag_status_channel == "workbench:rag:status"
    assert settings.case_action_redis_channel == "workbench:case:action"


def test_the_environment_is_read_in_upper_case() -> None:
    environment = {"CASE_ACTION_REDIS_CHANNEL": "조치", "HITL_TIMEOUT_SECONDS": "2.5", "JWT_SECRET": ""}
    settings = Settings.from_environment(environment)
    assert settings.case_action_redis_channel == "조치"
    assert settings.hitl_timeout_seconds == 2.5
    assert settings.jwt_secret == Settings().jwt_secret


def test_an_argument_wins_over_the_environment() -> None:
    settings = Settings.from_environment({"JWT_SECRET": "a"}, jwt_secret="b", hitl_feedback_log_path=None)
    assert settings.jwt_secret == "b"


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_timeout_that_is_no_time_is_told(value: str) -> None:
    with pytest.raises(UsageError, match="HITL_TIMEOUT_SECONDS"):
        Settings.from_environment({"HITL_TIMEOUT_SECONDS": value})


def test_feedback_is_appended_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    write = feedback_writer(Settings.from_environment({"HITL_FEEDBACK_LOG_PATH": str(path)}).hitl_feedback_log_path)
    write('{"comment": "검토 👍"}')
    write("{}")
    assert path.read_text(encoding="utf-8") == '{"comment": "검토 👍"}\n{}\n'


@pytest.mark.parametrize(("text", "compares"), [("on", True), ("off", False), ("", False)])
def test_whether_requests_are_compared_is_on_or_off(text: str, compares: bool) -> None:
    assert Settings.from_environment({"HITL_COMPARES_REQUEST": text}).hitl_compares_request is compares


def test_a_switch_that_is_neither_is_told_by_its_name() -> None:
    with pytest.raises(UsageError, match="HITL_COMPARES_REQUEST: '예' was found, on or off was expected"):
        Settings.from_environment({"HITL_COMPARES_REQUEST": "예"})
