"""What a story needs of Synapse beside its messages: cases, decisions by REST, and what its screens listen to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.asgi_stream import open_asgi_stream
from harness.asgi_websocket import open_asgi_websocket
from harness.bus import Link
from harness.http import App
from harness.live.synapse import SynapseTarget
from harness.live.triggers import Trigger
from harness.runner import STOMP_PATH, SynapseSeat
from harness.workbench.sources import Source, polling, sse, stomp

STREAM = "/api/synapse/notifications/stream"


class Backend(Protocol):
    @property
    def app(self) -> App:
        """Its HTTP side, tapped."""

    @property
    def link(self) -> Link | None:
        """Its way to Redis, where that can be cut."""

    @property
    def takes_cases(self) -> bool:
        """Whether `give` works; without it there is nothing to decide about, and nothing that a screen could show."""

    async def give(self, tenant: int, case: str, documents: Sequence[str]) -> None:
        """Let there be an open case with these documents."""

    def source(self, by: str, name: str) -> Source:
        """How a screen of this name listens: by `stomp`, `sse` or `polling`."""


@dataclass(frozen=True, slots=True)
class SimulatedBackend:
    seat: SynapseSeat
    takes_cases: bool = True

    @property
    def app(self) -> App:
        return self.seat.app

    @property
    def link(self) -> Link:
        return self.seat.link

    async def give(self, tenant: int, case: str, documents: Sequence[str]) -> None:
        self.seat.system.cases.create(tenant, case, documents)

    def source(self, by: str, name: str) -> Source:
        system = self.seat.system
        if by == "stomp":
            return stomp(lambda: open_asgi_websocket(system.app, STOMP_PATH), name=name, confirm=system.broker.holds)
        return sse(lambda: open_asgi_stream(system.app, STREAM)) if by == "sse" else polling()


@dataclass(frozen=True, slots=True)
class LiveBackend:
    """`case` is the trigger that makes a case."""

    target: SynapseTarget
    app: App
    case: Trigger | None
    link: None = None

    @property
    def takes_cases(self) -> bool:
        return self.case is not None

    async def give(self, tenant: int, case: str, documents: Sequence[str]) -> None:
        if self.case is not None:
            await self.case.pull({"case": case, "documents": list(documents), "tenant": tenant})

    def source(self, by: str, name: str) -> Source:
        """STOMP does not confirm a subscription, and the deployed Synapse has no event stream."""
        return polling() if by == "polling" else stomp(self.target.opened, name=name, confirm=None)
