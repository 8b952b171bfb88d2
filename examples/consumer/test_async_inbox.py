"""A consumer on an event loop of yours (here anyio's): Aura publishes in process or from its server's thread."""

import asyncio
from typing import Any

import pytest
from your_inbox import listen

from harness.fixtures import HarnessRedis, SimulatedAura


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_two_decisions_arrive(harness_redis: HarnessRedis, harness_aura: SimulatedAura) -> None:
    entries: list[dict[str, Any]] = []
    async with harness_redis.async_client() as client:
        listening = asyncio.create_task(listen(client, entries, wanted=2))
        while not await client.pubsub_numpat():  # noqa: ASYNC110
            await asyncio.sleep(0)
        harness_aura.record_action("case-1", "request-1", approved=True)
        await asyncio.to_thread(harness_aura.record_action, "case-1", "request-2", approved=False)
        await asyncio.wait_for(listening, 5)
    assert [entry["status_code"] for entry in entries] == ["APPROVED", "REJECTED"]
