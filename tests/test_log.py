"""One line for what happens: who told whom what, and the ids that are not in it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.history import Event
from harness.report.log import line

WALL = "2026-02-11T14:30:00.123456+00:00"
CASE = "사건-1"


@pytest.mark.parametrize(
    ("kind", "seat", "about", "data", "told"),
    [
        (
            "http",
            "aura",
            {"case": CASE, "request": "r-1"},
            {"method": "POST", "path": "/api/aura/action/record", "status": 200},
            "→ aura  POST /api/aura/action/record → 200  case 사건-1 request r-1",
        ),
        (
            "published",
            "aura",
            {"case": CASE, "request": "r-1"},
            {"channel": "workbench:alert", "wire": '{"message":"탐지 👍","case_id":"사건-1"}'},
            "aura → redis  workbench:alert 탐지 👍 사건-1  request r-1",
        ),
        (
            "published",
            None,
            {},
            {"channel": "workbench:alert", "wire": {"base64": "/v8="}},
            "→ redis  workbench:alert \\xfe\\xff",
        ),
        (
            "broadcast",
            "synapse",
            {},
            {
                "destination": "/topic/notifications",
                "body": '{"type":"CASE_ACTION","content":"조치 승인됨","payload":{"case_id":"사건-1","request_id":7}}',
            },
            "synapse → workbench  notifications CASE_ACTION 조치 승인됨  case 사건-1",
        ),
        (
            "broadcast",
            "synapse",
            {},
            {"destination": "/topic/notifications", "body": "{"},
            "synapse → workbench  notifications {",
        ),
        ("fault", "synapse", {}, {"do": "cut"}, "synapse  cut"),
        ("step", None, {"case": "\x1b[2J"}, {"do": "detect"}, "detect  case \\u001b[2J"),
    ],
)
def test_a_line_says_who_told_whom_what(
    kind: str, seat: str | None, about: dict[str, str], data: dict[str, Any], told: str
) -> None:
    assert line(Event(0, 0.0, WALL, kind, seat, about, data)) == f"14:30:00.123 {told}"


@pytest.mark.parametrize("data", [{"do": "finished"}, {"do": "expect publish", "step": 1}])
def test_what_nobody_told_anybody_is_no_line(data: dict[str, Any]) -> None:
    assert line(Event(0, 0.0, WALL, "step", None, {}, data)) is None
