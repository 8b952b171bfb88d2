"""The simulated Synapse as a whole, from its subscription to its STOMP broker."""

from __future__ import annotations

from typing import Self

from harness.clock import Clock
from harness.synapse.app import create_app
from harness.synapse.broker import SimpleBroker
from harness.synapse.container import Connect, Dispatcher, ListenerContainer, OnFailure
from harness.synapse.listener import NotificationListener
from harness.synapse.settings import Settings
from harness.synapse.store import SqliteStore, Store


class Synapse:
    """Runs inside `async with`: entered when subscribed, left when every message that came in is handled.

    `connect` subscribes to the pattern of the settings. A `store` that is passed in is not closed.
    """

    def __init__(
        self,
        settings: Settings,
        connect: Connect,
        clock: Clock,
        seed: int,
        *,
        store: Store | None = None,
        on_failure: OnFailure = lambda channel, wire, error: None,
    ) -> None:
        self._own_store: SqliteStore | None = None
        if store is None:
            store = self._own_store = SqliteStore(settings.notification_database_path)
        self.store = store
        self.broker = SimpleBroker(heartbeat=settings.notification_stomp_heartbeat)
        dispatcher = Dispatcher(seed)
        listener = NotificationListener(self.store, self.broker, clock, dispatcher.give_way)
        self.container = ListenerContainer(connect, listener, dispatcher, on_failure)
        self.app = create_app(self.store, self.broker, clock)

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
        if self._own_store is not None:
            self._own_store.close()
