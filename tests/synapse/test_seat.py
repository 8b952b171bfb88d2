"""The simulated Synapse as a whole: what is published on Redis is stored, then received over STOMP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness.asgi_websocket import open_asgi_websocket
from harness.bus import open_bus
from harness.stomp import Client
from harness.synapse.app import WEBSOCKET
from harness.synapse.broadcast import TOPIC
from harness.synapse.container import Subscription
from harness.synapse.instant import Instant
from harness.synapse.notification import NotificationDto
from harness.synapse.seat import Synapse
from harness.synapse.settings import Settings
from harness.synapse.store import SqliteStore
from harness.virtual import run
from synapse.feeds import ALERT, Feed, Stopped, always

APPROVED = (
    '{"type":"NOTIFICATION","category":"CASE_ACTION","message":"조치 승인됨 👍",'
    '"timestamp":"2026-02-11T14:30:00.123456+00:00","case_id":"DEMO00001","approved":true}'
).encode()
OLDER = (
    b'{"type":"case_action_completed","case_id":"DEMO00001","approved":false,"at":"2026-02-11T12:00:00.000Z",'
    b'"tenant_id":7}'
)
HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"message":NaN}',
    b'{"message":"\\u0000"}',
    b'{"title":"' + b"x" * 256 + b'"}',
    b'{"a":' * 1001 + b"1" + b"}" * 1001,
    b'{"timestamp":1e400}',
    '{"message":"잘린 이모지'.encode() + b'\xf0\x9f"}',
]


class Told(SqliteStore):
    """A store that says when it has saved: how a tap wraps one."""

    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self._told = told

    def save(self, dto: NotificationDto, now: Instant) -> NotificationDto:
        saved = super().save(dto, now)
        self._told.append(f"stored {saved.id}")
        return saved


@asynccontextmanager
async def browser(synapse: Synapse) -> AsyncIterator[Client]:
    async with open_asgi_websocket(synapse.app, WEBSOCKET) as websocket:
        client = await Client.connect(websocket, confirm=synapse.broker.holds)
        await client.subscribe(TOPIC)
        yield client
        await client.disconnect()


def test_a_message_on_redis_reaches_the_browser(redis_url: str | None) -> None:
    async def scene() -> list[dict[str, Any]]:
        async with open_bus(redis_url) as bus, asyncio.timeout(10):

            async def connect() -> Subscription:
                return await bus.subscribe(Settings().notification_redis_workbench_pattern)

            async with Synapse(Settings(), connect, Stopped(), seed=1) as synapse, browser(synapse) as client:
                bodies = []
                for wire in (APPROVED, OLDER):
                    await bus.publisher("aura")("workbench:case:action", wire)
                    bodies.append(json.loads((await anext(client)).body))
                return bodies

    approved, older = asyncio.run(scene())
    assert approved == {
        "id": 1,
        "tenantId": 0,
        "title": "조치 완료",
        "content": "조치 승인됨 👍",
        "type": "CASE_ACTION",
        "channel": "workbench:case:action",
        "occurredAt": "2026-02-11T14:30:00.123456Z",
        "createdAt": "2026-02-11T14:30:00.123456Z",
        "payload": json.loads(APPROVED),
    }
    assert (older["id"], older["tenantId"], older["content"]) == (2, 7, "케이스 DEMO00001 거절")


def test_each_hostile_message_stops_nothing(redis_url: str | None) -> None:
    failed: list[bytes] = []

    async def scene() -> tuple[list[str], int]:
        async with open_bus(redis_url) as bus, asyncio.timeout(10):

            async def connect() -> Subscription:
                return await bus.subscribe("workbench:*")

            def on_failure(channel: str, wire: bytes, error: Exception) -> None:
                failed.append(wire)

            synapse = Synapse(Settings(), connect, Stopped(), seed=1, on_failure=on_failure)
            async with synapse, browser(synapse) as client:
                good = []
                for number, wire in enumerate(HOSTILE):
                    await bus.publisher("aura")(ALERT, wire)
                    await bus.publisher("aura")(ALERT, b'{"category":"good","message":"%d"}' % number)
                    while True:
                        body = json.loads((await anext(client)).body)
                        if body["type"] == "good":
                            good.append(body["content"])
                            break
                await synapse.container.idle()
                return good, synapse.container.failures

    good, failures = asyncio.run(scene())
    assert good == [str(number) for number in range(len(HOSTILE))]
    assert sorted(failed) == sorted(HOSTILE[index] for index in (2, 3, 4, 5, 6, 7, 8, 9, 10))
    assert failures == len(failed)


def events(*messages: bytes, seed: int = 1) -> list[str]:
    """What the store and the browser saw, in order."""
    told: list[str] = []

    async def scene() -> None:
        feed = Feed()
        synapse = Synapse(Settings(), always(feed), Stopped(), seed, store=Told(told))
        send = synapse.broker.send

        def sending(destination: str, body: bytes) -> int:
            told.append(f"sent {json.loads(body)['id']}")
            return send(destination, body)

        synapse.broker.send = sending  # type: ignore[method-assign, assignment]
        async with synapse:
            feed.feed(*messages)
            await feed.drained()

    run(scene())
    return told


def test_a_notification_is_stored_before_it_is_sent() -> None:
    assert events(APPROVED) == ["stored 1", "sent 1"]


def test_of_a_burst_each_is_stored_before_it_is_sent_though_not_sent_in_the_order_of_the_ids() -> None:
    told = events(*[APPROVED] * 20)
    sent = [int(event.split()[1]) for event in told if event.startswith("sent")]
    assert sent != sorted(sent)
    assert sorted(sent) == list(range(1, 21))
    assert all(told.index(f"stored {number}") < told.index(f"sent {number}") for number in sent)
    assert told == events(*[APPROVED] * 20)


def test_a_message_that_cannot_be_stored_is_not_sent() -> None:
    assert events(b'{"message":"\\u0000"}') == []


def test_a_dto_that_is_too_deep_to_send_stays_stored() -> None:
    assert events(b'{"a":' * 1000 + b"1" + b"}" * 1000) == ["stored 1"]


def test_leaving_handles_what_came_in_and_closes_the_browsers() -> None:
    async def scene() -> tuple[int, int]:
        feed = Feed()
        store = SqliteStore()
        synapse = Synapse(Settings(), always(feed), Stopped(), seed=1, store=store)
        async with synapse:
            feed.feed(APPROVED)
            await feed.drained()
        return store.page(0, 0, 20).total, synapse.broker.sessions

    assert run(scene()) == (1, 0)


def test_without_a_subscription_it_does_not_start() -> None:
    async def refused() -> Subscription:
        raise ConnectionRefusedError

    async def scene() -> None:
        async with Synapse(Settings(), refused, Stopped(), seed=1):
            raise AssertionError("it started")

    with pytest.raises(ConnectionRefusedError):
        run(scene())
