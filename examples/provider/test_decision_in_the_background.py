"""An async suite (here anyio's; pytest-asyncio works the same): `async with` waits for what a task publishes later."""

import asyncio

import pytest
from your_aura import publish_decision

from harness.fixtures import HarnessRedis, Observe


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_decision_is_published_by_a_task(harness_redis: HarnessRedis, harness_observe: Observe) -> None:
    async with harness_redis.async_client() as client, harness_observe(messages=2):
        for approved in (True, False):
            task = asyncio.create_task(publish_decision(client, "case-1", "request-1", approved=approved))
            task.add_done_callback(lambda done: done.result())
