"""How many messages a second the simulated Synapse decodes and maps, beside `json.loads` of the same run.

The ratio is what can be compared between machines and days: the rates of one run share whatever else went on.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

from harness.synapse.instant import Instant
from harness.synapse.notification import CASE_ACTION, RAG_STATUS, read, to_json

ROUNDS = 9
MESSAGES = 6_000
REQUIRED = 20_000
NOW = Instant(1_770_820_200)

COMMON = {"type": "NOTIFICATION", "timestamp": "2026-02-11T14:30:00.123456+00:00"}
ACTION = {"case_id": "DEMO00001", "request_id": "req-abc123", "executor_id": "user-456"}
SAMPLES: list[tuple[str, dict[str, object]]] = [
    (
        "workbench:alert",
        {
            **COMMON,
            "category": "AI_DETECT",
            "message": "신규 이상 징후 탐지",
            "case_id": "C1",
            "score": 0.85,
            "severity": "HIGH",
        },
    ),
    (
        RAG_STATUS,
        {
            **COMMON,
            "category": "RAG_STATUS",
            "message": "학습 완료",
            "rag_document_id": "reg-v1.2",
            "chunks_added": 12,
        },
    ),
    (
        CASE_ACTION,
        {
            **COMMON,
            "category": "CASE_ACTION",
            "message": "조치 승인됨 😀",
            **ACTION,
            "action_type": "APPROVE",
            "approved": True,
            "status_code": "APPROVED",
        },
    ),
    (
        CASE_ACTION,
        {
            "type": "case_action_completed",
            **ACTION,
            "action_type": "REJECT",
            "approved": False,
            "status_code": "REJECTED",
            "at": "2026-02-11T12:00:00.000Z",
            "tenant_id": 7,
        },
    ),
]
WIRE = [(channel, json.dumps(fields, ensure_ascii=False).encode()) for channel, fields in SAMPLES]


def loads() -> None:
    for _, body in WIRE:
        json.loads(body)


def decode_and_map() -> None:
    for channel, body in WIRE:
        read(channel, body, NOW)


def decode_map_and_write() -> None:
    for channel, body in WIRE:
        to_json(read(channel, body, NOW))


def rate(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    for _ in range(MESSAGES // len(WIRE)):
        work()
    return MESSAGES / (time.perf_counter() - start)


def main() -> int:
    subjects = {
        "json.loads": loads,
        "decode and map": decode_and_map,
        "decode, map and write": decode_map_and_write,
    }
    # Round by round, so that a busy moment of the machine hits all of them.
    rounds = [{name: rate(work) for name, work in subjects.items()} for _ in range(ROUNDS)]
    print(f"{ROUNDS} rounds of {MESSAGES} messages; medians")
    for name in subjects:
        median = statistics.median(result[name] for result in rounds)
        ratio = statistics.median(result[name] / result["json.loads"] for result in rounds)
        print(f"{name:22} {median:>9,.0f} messages/s   {ratio:.2f} of json.loads")
    reached = statistics.median(result["decode and map"] for result in rounds)
    print(f"decode and map, required {REQUIRED:,}: {'reached' if reached >= REQUIRED else 'missed'}")
    return 0 if reached >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())
