"""The simulated Synapse as a whole: from its subscription to what browsers hear, and from a decision to its signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from harness.clock import Clock
from harness.synapse.app import create_app, push_routes
from harness.synapse.broadcast import TOPIC
from harness.synapse.broker import SimpleBroker
from harness.synapse.cases import Cases
from harness.synapse.container import Connect, Dispatcher, OnFailure
from harness.synapse.decision_routes import case_routes, decision_routes
from harness.synapse.decisions import Decisions
from harness.synapse.follow_ups import FollowUp, PublishCompletion, Record, RecordAtAura, Signal
from harness.synapse.hitl import Fetch, Hitl, Keep, Publish
from harness.synapse.notification_routes import notification_routes
from harness.synapse.parts import AS_DEPLOYED, Parts
from harness.synapse.settings import Settings
from harness.synapse.sse import EventStreams
from harness.synapse.store import SqliteStore, Store


class Synapse:
    """Runs inside `async with`: entered when subscribed, left when every message that came in is handled.

    `connect` subscribes to the pattern of the settings. `store` and `cases` that are passed in are not closed.
    Without `publish`, `keep` and `fetch` there is no HITL, without `record` no call of Aura's endpoint, whatever the
    settings say. `parts` are what it is made of.
    """

    def __init__(
        self,
        settings: Settings,
        connect: Connect,
        clock: Clock,
        seed: int,
        *,
        store: Store | None = None,
        cases: Cases | None = None,
        on_failure: OnFailure = lambda channel, wire, error: None,
        publish: Publish | None = None,
        keep: Keep | None = None,
        fetch: Fetch | None = None,
        record: Record | None = None,
        parts: Parts = AS_DEPLOYED,
    ) -> None:
        self._own: list[SqliteStore | Cases] = []
        if store is None:
            store = SqliteStore(settings.notification_database_path)
            self._own.append(store)
        if cases is None:
            cases = Cases(settings.notification_database_path, settings.action_approved_status)
            self._own.append(cases)
        self.store = store
        self.cases = cases
        self.broker = SimpleBroker(heartbeat=settings.notification_stomp_heartbeat)
        self.streams = EventStreams(settings.notification_sse_heartbeat)
        hitl = Hitl(fetch, keep, publish) if fetch and keep and publish else None
        self.decisions = _decisions(settings, cases, clock, hitl, publish, record, parts.decisions)
        broadcast = parts.broadcast(lambda dto, body: self.broker.send(TOPIC, body), self.streams.send)
        dispatcher = Dispatcher(seed)
        listener = parts.listener(store, broadcast, clock, dispatcher.give_way)
        self.container = parts.container(connect, listener, dispatcher, on_failure)
        self.app = create_app(
            clock,
            *push_routes(self.broker, self.streams, seed),
            *notification_routes(store, clock),
            *case_routes(cases, clock),
            *decision_routes(self.decisions, clock),
        )

    async def __aenter__(self) -> Self:
        try:
            await self.container.start()
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(self, *raised: object) -> None:
        try:
            await self.container.stop()
        finally:
            self._close()

    def _close(self) -> None:
        self.broker.close_sessions()
        self.streams.close()
        for own in self._own:
            own.close()


def _decisions(
    settings: Settings,
    cases: Cases,
    clock: Clock,
    hitl: Hitl | None,
    publish: Publish | None,
    record: Record | None,
    make: Callable[..., Decisions],
) -> Decisions:
    wanted = settings.action_follow_up
    completion: list[FollowUp] = [PublishCompletion(publish)] if settings.action_publish_completed and publish else []
    signal: list[FollowUp] = [Signal(hitl, clock)] if hitl else []
    recording: list[FollowUp] = [RecordAtAura(record)] if record else []
    return make(
        cases,
        clock,
        after_action=[
            *completion,
            *(signal if wanted in ("signal", "both") else []),
            *(recording if wanted in ("record", "both") else []),
        ],
        # Aura records by itself what it is signalled, so that only who wants both calls it as well.
        after_answer=[*completion, *signal, *(recording if wanted == "both" else [])],
        hitl=hitl,
    )
