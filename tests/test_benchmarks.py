"""What `make bench` compares does the same work, and its ratios are of rounds, not of their medians."""

from __future__ import annotations

import asyncio
import json
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from serving import serving

from benchmarks import load
from benchmarks.__main__ import BEGIN, END, README
from benchmarks.measure import Rounds, growth, table
from benchmarks.servers import KINDS
from harness import tokens
from harness.aura.settings import Settings
from harness.bus import open_bus
from harness.clock import WallClock


def test_a_ratio_is_of_one_round() -> None:
    rates = {"slow": iter((10.0, 1.0, 10.0)), "fast": iter((20.0, 8.0, 40.0))}
    rounds = Rounds(3, {name: rates[name].__next__ for name in rates})
    compared = rounds.compared("fast", "slow", required=4.5)
    assert (compared.rate, compared.ratios, compared.ratio, compared.is_missed) == (20.0, [2.0, 8.0, 4.0], 4.0, True)
    assert "| fast | 20 | slow | **4.00** | 2.00 to 8.00 | ≥ 4.5: missed |" in table([compared])
    assert "| fast | slow | **4.00** (20/s) | **4.00** (20/s) |" in growth("by", {"1": [compared], "2": [compared]})


def test_the_readme_has_a_place_for_the_tables() -> None:
    before, begin, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    assert (before != "", begin, END in rest) == (True, BEGIN, True)


@pytest.mark.parametrize("kind", ["record", "tapped", "fastapi"])
def test_each_candidate_that_records_writes_one_line_and_publishes_one_message(
    kind: str, real_redis: str, tmp_path: Path
) -> None:
    async def scene() -> tuple[str, bytes]:
        token = tokens.mint(Settings().jwt_secret, "7", WallClock().now())
        async with open_bus(real_redis) as bus, KINDS[kind](real_redis, tmp_path / "feedback") as app:
            listening = await bus.subscribe("workbench:*")
            async with serving(app) as port:
                assert await asyncio.to_thread(load.rate, port, cycle([load.request(token)]), 0.0) > 0
            async for received in listening:
                await listening.close()
                return received
        raise AssertionError

    channel, wire = asyncio.run(scene())
    message: dict[str, Any] = json.loads(wire)
    lines = [json.loads(line) for line in (tmp_path / "feedback").read_text(encoding="utf-8").splitlines()]
    ids = {"case_id": "DEMO00001", "request_id": "req-abc123", "executor_id": "user-456"}
    assert (channel, message.pop("timestamp")[-6:], len(lines)) == ("workbench:case:action", "+00:00", load.CONNECTIONS)
    assert message == {
        "type": "NOTIFICATION",
        "category": "CASE_ACTION",
        "message": "조치 승인됨",
        **ids,
        "action_type": "APPROVE",
        "approved": True,
        "status_code": "APPROVED",
    }
    assert lines[0].pop("at")[-6:] == "+00:00"
    assert lines[0] == {
        "event": "hitl_feedback",
        **ids,
        "action_type": "APPROVE",
        "approved": True,
        "comment": "검토 후 승인",
        "doc_key": "1000-1900000001-2024",
    }


@pytest.mark.parametrize("kind", ["record", "fastapi"])
def test_a_call_that_is_refused_ends_the_measuring(kind: str, real_redis: str, tmp_path: Path) -> None:
    async def scene() -> None:
        async with KINDS[kind](real_redis, tmp_path / "feedback") as app, serving(app) as port:
            await asyncio.to_thread(load.rate, port, cycle([load.request("no.token.this")]), 1.0)

    with pytest.raises(AssertionError, match=r"a call was not answered 200: .*401"):
        asyncio.run(scene())
