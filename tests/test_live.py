"""A live Synapse is seen over STOMP and REST only; here a simulated one stands in for it, over a real network."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import httpx2
import pytest
import redis
from serving import synapse

from harness import gate
from harness.agreement import Agreement
from harness.bus import open_bus
from harness.checks import judge
from harness.clock import WallClock
from harness.commands.judging import left_alone
from harness.errors import HarnessError
from harness.gate import Options
from harness.history import History, Recorder
from harness.http import App, Receive, Scope, Send
from harness.live.synapse import PAGE, PROBES, LiveSynapse, SynapseTarget
from harness.seats import Settings, Targets
from harness.stomp import Client, Frame
from harness.synapse import listener, notification
from harness.synapse.instant import Instant
from harness.synapse.notification import NotificationDto
from harness.synapse.notification_routes import NOTIFICATIONS
from harness.synapse.store import SqliteStore

NEEDS_A_TRIGGER = {"trigger:action"}


def options_for(redis_url: str, url: str, *without: str) -> Options:
    return Options(
        redis_url=redis_url,
        targets=Targets(synapse=SynapseTarget(url), may_cut=True),
        allow_writes=True,
        examples=3,
        without=frozenset({"approvals", "schemathesis", *without}),
        quiet=0.2,
    )


def gated(agreed: Agreement, redis_url: str) -> History:
    async def run() -> History:
        async with synapse(redis_url) as url:
            return await gate.run(agreed, options_for(redis_url, url), Settings())

    return asyncio.run(run())


def broken(agreed: Agreement, history: History) -> set[str]:
    assert history.complete
    return {verdict.clause for verdict in judge(agreed, history) if verdict.outcome == "broken"}


def test_a_live_consumer_keeps_every_clause_that_can_be_seen_from_outside(agreed: Agreement, real_redis: str) -> None:
    history = gated(agreed, real_redis)
    assert broken(agreed, history) == set()
    outcomes = {verdict.clause: verdict.outcome for verdict in judge(agreed, history) if verdict.seat == "synapse"}
    unproven = {clause for clause, outcome in outcomes.items() if outcome != "kept"}
    assert unproven == {name for name, clause in agreed.clauses.items() if NEEDS_A_TRIGGER & set(clause.needs)} & set(
        outcomes
    )


def test_no_sample_id_of_the_documents_is_sent_to_a_live_system(agreed: Agreement, real_redis: str) -> None:
    history = gated(agreed, real_redis)
    wires = [str(event.data["wire"]) for event in history.of("published")]
    assert not any("DEMO00001" in wire or "CASE-HIGH-001" in wire for wire in wires)
    assert any("DEMO00001" in str(sample.value) for sample in agreed.samples.values())


def test_a_live_consumer_that_takes_the_time_of_receipt_is_blamed_for_it(
    agreed: Agreement, real_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(channel: str, body: bytes, now: Instant) -> NotificationDto:
        return replace(notification.read(channel, body, now), occurred_at=now)

    monkeypatch.setattr(listener, "read", read)
    assert broken(agreed, gated(agreed, real_redis)) == {"mapping.occurred-at", "mapping.deployed"}


def test_notifications_of_others_are_left_alone(agreed: Agreement, real_redis: str) -> None:
    async def run() -> History:
        async with synapse(real_redis) as url, open_bus(real_redis, "somebody-else") as other:
            publish = other.publisher("somebody")

            def progress(phase: str, done: int, total: int | None) -> None:
                if (phase, done) == ("messages", 10):
                    alarm = b'{"type":"NOTIFICATION","message":"of somebody else","case_id":"theirs-1"}'
                    tasks.append(asyncio.ensure_future(publish("workbench:alert", alarm)))

            tasks: list[asyncio.Future[int]] = []
            chosen = options_for(real_redis, url, "gap")
            history = await gate.run(agreed, chosen, Settings(), progress=progress)
            assert await tasks[0] == 2
            return history

    history = asyncio.run(run())
    assert not any("theirs-1" in str(event.data) for kind in ("stored", "broadcast") for event in history.of(kind))


# ---- What cannot be verified is said in one line that names the setting


def refused(target: SynapseTarget, redis_url: str, agreed: Agreement) -> str:
    async def run() -> None:
        without = frozenset({"approvals", "schemathesis"})
        await gate.run(
            agreed,
            Options(
                redis_url=redis_url, targets=Targets(synapse=target, may_cut=True), allow_writes=True, without=without
            ),
            Settings(),
        )

    with pytest.raises(HarnessError) as caught:
        asyncio.run(run())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_synapse_that_is_not_there_is_told_at_once(agreed: Agreement, real_redis: str) -> None:
    said = refused(SynapseTarget("http://127.0.0.1:1"), real_redis, agreed)
    assert (
        "--synapse http://127.0.0.1:1: STOMP at ws://127.0.0.1:1/ws/notifications/websocket: cannot be reached" in said
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"stomp_path": "/nowhere"}, "/nowhere: cannot be reached"),
        ({"notifications_path": "/nowhere"}, "/nowhere: 404 was found, a page of notifications was expected"),
    ],
)
def test_a_wrong_path_is_told(change: dict[str, str], text: str, agreed: Agreement, real_redis: str) -> None:
    async def run() -> None:
        async with synapse(real_redis) as url:
            target = SynapseTarget(url, **change)  # type: ignore[arg-type]
            await gate.run(
                agreed,
                Options(redis_url=real_redis, targets=Targets(synapse=target, may_cut=True), allow_writes=True),
                Settings(),
            )

    with pytest.raises(HarnessError) as caught:
        asyncio.run(run())
    assert text in str(caught.value)


def test_a_redis_that_the_synapse_does_not_use_is_told(agreed: Agreement, real_redis: str) -> None:
    from harness.redis_server import private_server

    async def run(other: str) -> None:
        async with synapse(real_redis) as url:
            await gate.run(
                agreed,
                Options(redis_url=other, targets=Targets(synapse=SynapseTarget(url), may_cut=True), allow_writes=True),
                Settings(),
            )

    with private_server() as server, pytest.raises(HarnessError, match="nobody listens on workbench"):
        asyncio.run(run(server.url))


def test_a_synapse_that_broadcasts_nothing_is_told(
    agreed: Agreement, real_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.synapse.broker.SimpleBroker.send", lambda self, destination, body: 0)

    async def run() -> None:
        async with synapse(real_redis) as url:
            await gate.run(
                agreed,
                Options(
                    redis_url=real_redis,
                    targets=Targets(synapse=SynapseTarget(url, patience=0.5), may_cut=True),
                    allow_writes=True,
                ),
                Settings(),
            )

    with pytest.raises(HarnessError, match="no notification came on /topic/notifications"):
        asyncio.run(run())


def test_a_server_that_hangs_is_told_within_the_patience(agreed: Agreement, real_redis: str, unanswering: str) -> None:
    said = refused(SynapseTarget(unanswering.replace("redis://", "http://"), patience=0.3), real_redis, agreed)
    assert "no answer within 0.3 s" in said


def test_without_leave_few_messages_are_sent_and_still_every_clause_in_reach_is_kept(
    agreed: Agreement, real_redis: str
) -> None:
    async def run() -> History:
        async with synapse(real_redis) as url:
            options = Options(redis_url=real_redis, targets=Targets(synapse=SynapseTarget(url)), quiet=0.2)
            return await gate.run(agreed, options, Settings())

    history = asyncio.run(run())
    assert len([event for event in history.of("published") if event.seat == "harness"]) + PROBES <= 20
    unproven = {
        verdict.clause
        for verdict in judge(agreed, history)
        if verdict.outcome != "kept" and verdict.in_reach and verdict.seat == "synapse"
    }
    assert unproven == set()


def reading(rows: SqliteStore | None, pause: float, asked: list[str], agreed: Agreement, redis_url: str) -> History:
    """A live Synapse whose pages of rows take that long; `asked` gets the query of every page."""

    def around(app: App) -> App:
        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == NOTIFICATIONS:
                asked.append(scope["query_string"].decode())
                await asyncio.sleep(pause)
            await app(scope, receive, send)

        return slow

    async def run() -> History:
        async with synapse(redis_url, around=around, store=rows) as url:
            targets = Targets(synapse=SynapseTarget(url, patience=1.0))
            return await gate.run(agreed, Options(redis_url=redis_url, targets=targets, quiet=0.2), Settings())

    return asyncio.run(run())


def test_a_page_of_rows_may_take_as_long_as_any_answer(agreed: Agreement, real_redis: str) -> None:
    assert broken(agreed, reading(None, 0.1, [], agreed, real_redis)) == set()


def test_of_other_peoples_rows_no_more_is_read_than_the_run_needs(agreed: Agreement, real_redis: str) -> None:
    rows, asked, now = SqliteStore(), list[str](), Instant.of(datetime.now(UTC))
    for tenant in (0, 7):
        for number in range(4 * PAGE):
            old = notification.read("workbench:alert", f'{{"message":"알림 {number}"}}'.encode(), now)
            rows.save(replace(old, tenant_id=tenant), now)
    assert broken(agreed, reading(rows, 0, asked, agreed, real_redis)) == set()
    rows.close()
    assert {query.split("&")[0] for query in asked} <= {"page=0", "page=1"}


def test_a_connection_is_not_cut_where_it_cannot_be_told_whose_it_is(agreed: Agreement, real_redis: str) -> None:
    async def run() -> History:
        async with synapse(real_redis) as url, open_bus(real_redis, "another-listener") as other:
            listening = await other.subscribe("workbench:*")
            targets = Targets(synapse=SynapseTarget(url), may_cut=True)
            try:
                return await gate.run(agreed, Options(redis_url=real_redis, targets=targets, quiet=0.1), Settings())
            finally:
                await listening.close()

    history = asyncio.run(run())
    assert not history.complete
    assert "--may-cut: 2 connections listen on patterns" in history.why


def test_of_the_notifications_of_others_those_are_counted_that_are_not_late_probes() -> None:
    async def run() -> Recorder:
        recorder = Recorder(WallClock())
        async with httpx2.AsyncClient() as rest:
            live = LiveSynapse(SynapseTarget("http://synapse"), cast(Client, None), rest, recorder, "h1-abc")
            late = b'{"payload": {"message_id": "workbench:h1-abc:probe"}}'
            for body in (late, b'{"payload": {"case_id": "theirs"}}'):
                live._frames.put_nowait(Frame("MESSAGE", {}, body))
            live._frames.put_nowait(None)
            await live._observe()
            assert live.foreign == 1
        return recorder

    assert not asyncio.run(run()).history()


def test_a_run_tells_what_of_others_it_left_alone(
    agreed: Agreement, real_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the probe was seen to come through, both taps count."""
    begin = LiveSynapse.follow

    def follow(live: LiveSynapse) -> None:
        begin(live)
        with redis.Redis.from_url(real_redis) as client:
            client.publish("workbench:alert", b'{"type": "NOTIFICATION", "case_id": "theirs", "message": "m"}')

    monkeypatch.setattr(LiveSynapse, "follow", follow)
    assert left_alone([gated(agreed, real_redis)]) == {"messages": 1, "notifications": 1}
