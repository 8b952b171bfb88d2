"""The documents' messages and the older shape beside them, in turn, as small as they are or grown to a size."""

from __future__ import annotations

import json
from itertools import cycle, islice

from harness import agreement

OLDER = {
    "type": "case_action_completed",
    "case_id": "DEMO00001",
    "request_id": "req-abc123",
    "executor_id": "user-456",
    "action_type": "REJECT",
    "approved": False,
    "status_code": "REJECTED",
    "at": "2026-02-11T12:00:00.000Z",
    "tenant_id": 7,
}
SUBSCRIBERS = (1, 10, 100)
SIZES = {"300 B": 0, "4 KiB": 4 << 10, "64 KiB": 64 << 10}
"""Of a message; the documents' own are the smallest."""


def messages(number: int, size: int = 0) -> list[tuple[str, bytes]]:
    """Channel and bytes of each. What makes one longer is Korean, in a field that nobody knows."""
    known = [(each.channel, each.value) for each in agreement.load().samples.values() if each.channel]
    known.append(("workbench:case:action", OLDER))
    wires = [(str(channel), json.dumps(_grown(value, size), ensure_ascii=False).encode()) for channel, value in known]
    return list(islice(cycle(wires), number))


def _grown(value: dict[str, object], size: int) -> dict[str, object]:
    return value | {"note": "검토 " * (size // 7)} if size else value
