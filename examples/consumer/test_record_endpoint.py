"""Aura on a port of its own: your client records an action by HTTP, and the notification comes over Redis."""

import json
import urllib.error
import urllib.request

import pytest
from your_inbox import Inbox

from harness.fixtures import HarnessRedis, SimulatedAura

BODY = {"case_id": "case-1", "request_id": "request-1", "executor_id": "김검토", "approved": True, "comment": "확인 👍"}


def record(aura: SimulatedAura, headers: dict[str, str]) -> int:
    request = urllib.request.Request(
        f"{aura.url}/aura/action/record",
        json.dumps(BODY).encode(),
        {"Content-Type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        status: int = answer.status
        return status


def test_a_recorded_action_is_told(harness_redis: HarnessRedis, harness_aura: SimulatedAura) -> None:
    inbox = Inbox(harness_redis.client())
    assert record(harness_aura, harness_aura.headers(tenant="7")) == 200
    found = inbox.take()
    assert found is not None
    assert (found["text"], found["executor_id"]) == ("조치 승인됨", "김검토")
    assert harness_aura.feedback[0]["comment"] == "확인 👍"


def test_without_a_token_nothing_is_recorded(harness_aura: SimulatedAura) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        record(harness_aura, {})
    assert harness_aura.sent == []
