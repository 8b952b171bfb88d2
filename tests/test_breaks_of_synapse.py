"""Breaking the simulated Synapse, whole and running, breaks exactly the clauses that were written down beforehand.

`tests/checks` holds many more deviations, on histories that are made without a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness import gate
from harness.agreement import Agreement
from harness.bus import Link, Subscription
from harness.checks import judge
from harness.gate import Options, Settings
from harness.synapse import listener, notification
from harness.synapse.broker import SimpleBroker
from harness.synapse.container import ListenerContainer
from harness.synapse.instant import Instant
from harness.synapse.listener import NotificationListener
from harness.synapse.notification import NotificationDto
from harness.synapse.settings import Settings as SynapseSettings

Patch = pytest.MonkeyPatch

# What a consumer that takes one channel only, or has stopped, gives no occasion to be judged for.
MAY_SLEEP = {"mapping.rag-content", "subscriber.older-shape", "subscriber.survives", "delivery.duplicates"}


def broken_by(agreed: Agreement, settings: Settings | None = None) -> set[str]:
    options = Options(examples=4, without=frozenset({"approvals", "schemathesis"}), quiet=0.05, settle=0.05)
    history = asyncio.run(gate.run(agreed, options, settings or Settings()))
    assert history.complete
    verdicts = judge(agreed, history)
    unproven = {
        verdict.clause
        for verdict in verdicts
        if verdict.outcome == "unproven" and verdict.in_reach and verdict.seat == "synapse"
    }
    assert unproven <= MAY_SLEEP, "a deviation may not put the clauses of others to sleep"
    return {verdict.clause for verdict in verdicts if verdict.outcome == "broken"}


def changed(patch: Patch, change: Callable[[NotificationDto, str, bytes, Instant], NotificationDto]) -> None:
    """Replace what becomes of a message."""

    def read(channel: str, body: bytes, now: Instant) -> NotificationDto:
        return change(notification.read(channel, body, now), channel, body, now)

    patch.setattr(listener, "read", read)


def type_from_type(patch: Patch) -> None:
    def change(dto: NotificationDto, *_: object) -> NotificationDto:
        found = (dto.payload or {}).get("type")
        return replace(dto, type=found) if isinstance(found, str) and len(found) <= 64 else dto

    changed(patch, change)


def time_of_receipt(patch: Patch) -> None:
    changed(patch, lambda dto, channel, body, now: replace(dto, occurred_at=now))


def fallback_on_empty(patch: Patch) -> None:
    def change(dto: NotificationDto, *_: object) -> NotificationDto:
        return dto if dto.content else replace(dto, content="알림이 도착했습니다")

    changed(patch, change)


def payload_loses_nulls(patch: Patch) -> None:
    def change(dto: NotificationDto, *_: object) -> NotificationDto:
        return replace(dto, payload={name: value for name, value in (dto.payload or {}).items() if value is not None})

    changed(patch, change)


def older_shape_rejected(patch: Patch) -> None:
    def change(dto: NotificationDto, *_: object) -> NotificationDto:
        if (dto.payload or {}).get("type") == "case_action_completed":
            raise ValueError("unknown type")
        return dto

    changed(patch, change)


def broadcast_before_saving(patch: Patch) -> None:
    """The frame knows the row that is about to be written, one message after the other."""
    turn = asyncio.Lock()

    async def call(self: NotificationListener, channel: str, wire: bytes) -> None:
        async with turn:
            dto = notification.read(channel, wire, self._now())
            rows = self.store._database.execute("SELECT count(*) FROM sys_notifications")  # type: ignore[attr-defined]
            self.broadcast(dto.stored(rows.fetchone()[0] + 1, self._now()))
            await _frame_is_out()
            self.store.save(dto, self._now())

    patch.setattr(NotificationListener, "__call__", call)


async def _frame_is_out() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def broadcast_twice(patch: Patch) -> None:
    send = SimpleBroker.send
    patch.setattr(SimpleBroker, "send", lambda self, *args: send(self, *args) + send(self, *args))


def stored_twice(patch: Patch) -> None:
    call = NotificationListener.__call__

    async def twice(self: NotificationListener, channel: str, wire: bytes) -> None:
        await call(self, channel, wire)
        self.store.save(notification.read(channel, wire, self._now()), self._now())

    patch.setattr(NotificationListener, "__call__", twice)


def stops_after_a_bad_message(patch: Patch) -> None:
    handle = ListenerContainer._handle

    async def once(self: ListenerContainer, channel: str, wire: bytes) -> None:
        if not self.failures:
            await handle(self, channel, wire)

    patch.setattr(ListenerContainer, "_handle", once)


def does_not_come_back(patch: Patch) -> None:
    subscribe = Link.subscribe

    async def only_once(self: Link, *patterns: str) -> Subscription:
        again = bool(self._missing)
        subscription = await subscribe(self, *patterns)
        if again:
            await subscription.close()  # it looks subscribed, and hears nothing
        return subscription

    patch.setattr(Link, "subscribe", only_once)


BREAKS: dict[str, tuple[Callable[[Patch], None], set[str]]] = {
    "type is mapped from type": (type_from_type, {"mapping.type", "mapping.deployed"}),
    "the time of receipt is occurredAt": (time_of_receipt, {"mapping.occurred-at", "mapping.deployed"}),
    "an empty message falls back": (fallback_on_empty, {"mapping.content"}),
    "nulls are lost from the payload": (payload_loses_nulls, {"mapping.payload"}),
    "the older shape is rejected": (older_shape_rejected, {"subscriber.older-shape"}),
    "a notification is broadcast before it is saved": (broadcast_before_saving, {"subscriber.stored-first"}),
    "a notification is broadcast twice": (broadcast_twice, {"subscriber.broadcast"}),
    "a notification is stored twice": (stored_twice, {"subscriber.stored"}),
    "a bad message stops the listener": (stops_after_a_bad_message, {"subscriber.survives"}),
    "the subscription does not come back": (does_not_come_back, {"delivery.gap"}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_deviation_of_the_consumer_breaks(name: str, agreed: Agreement, monkeypatch: Patch) -> None:
    apply, expected = BREAKS[name]
    apply(monkeypatch)
    assert broken_by(agreed) == expected


def test_an_exact_subscription_misses_the_other_channels(agreed: Agreement) -> None:
    synapse = SynapseSettings(notification_redis_workbench_pattern="workbench:case:action")
    assert broken_by(agreed, Settings(synapse=synapse)) == {"subscriber.channels"}
