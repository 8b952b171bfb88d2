"""The messages that are mutated: the documents' samples, what a gate run publishes, and what Aura would."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path

import yaml

from harness.aura.publishers import Action, Publishers
from harness.aura.settings import Settings
from harness.clock import BEGAN, Ids
from harness.generate import Traffic
from harness.messages import consumer_messages
from spring.answers import Message

SAMPLES = Path(__file__).parents[2] / "contracts" / "samples"


def corpus(seed: int) -> list[Message]:
    return [*_samples(), *_published(seed), *_sent(seed)]


def _samples() -> list[Message]:
    index = yaml.safe_load((SAMPLES / "index.yaml").read_text(encoding="utf-8"))["samples"]
    return [
        Message(entry["channel"].encode(), json.dumps(json.loads(file.read_bytes()), ensure_ascii=False).encode())
        for name, entry in index.items()
        if "channel" in entry
        for file in [SAMPLES / f"{name}.json"]
    ]


def _sent(seed: int) -> list[Message]:
    """All that a gate run sends to a consumer, the hostile messages included."""
    return [Message(each.channel.encode(), each.wire) for each in consumer_messages(seed, Ids("h1"), 20)]


def _published(seed: int) -> list[Message]:
    """What Aura makes of generated calls and events."""
    messages: list[Message] = []

    async def publish(channel: str, wire: bytes) -> int:
        messages.append(Message(channel.encode(), wire))
        return 1

    async def everything() -> None:
        aura = Publishers(Settings(), publish, _Still())
        traffic = Traffic(seed, Ids("h2"))
        for call in traffic.valid_calls(100):
            await aura.action_recorded(
                Action(call["case_id"], call["request_id"], call["executor_id"], call["approved"])
            )
        for detection in traffic.detections(20):
            await aura.case_created(detection.case_id, detection.severity, detection.score)
        for run in traffic.rag_runs(20):
            await aura.rag_finished(run.rag_document_id, run.chunks_added, run.succeeded)

    asyncio.run(everything())
    return messages


class _Still:
    """A clock that does not go, so that the corpus depends on the seed alone."""

    def now(self) -> datetime:
        return BEGAN

    def elapsed(self) -> float:
        return 0.0
