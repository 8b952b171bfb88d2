"""The seats of a run, each simulated or live, behind one face; and what a run can see and cause of them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from harness.aura.hitl import ApprovalRequest
from harness.aura.settings import Settings as AuraSettings
from harness.bus import Bus
from harness.cases import RECORD_CALL, Caller
from harness.clock import Clock, Ids
from harness.errors import HarnessError
from harness.history import Recorder
from harness.http import App, Tap, call
from harness.live.aura import AuraTarget, connection, feedback_reader, remote
from harness.live.synapse import SynapseTarget, live_synapse
from harness.live.triggers import Trigger, TriggeredAura, published
from harness.outage import CutGap, Gap, KilledGap
from harness.runner import AuraSeat, recorded_at, simulated_aura, simulated_synapse
from harness.synapse.settings import Settings as SynapseSettings

SEATS = ("aura", "synapse", "workbench")
TRIGGERS = ("detect", "rag", "hitl")
LIVE_TOLERANCE = 5.0
"""Seconds that the clocks of two machines may be apart."""
_SECRETIVE = "***"


class Tells(Protocol):
    """How Aura is made to do something of its own accord."""

    async def case_created(self, case_id: str, severity: str, score: float) -> None: ...

    async def rag_finished(self, rag_document_id: str, chunks_added: int, succeeded: bool) -> None: ...


class Asks(Protocol):
    async def ask(self, request: ApprovalRequest) -> Awaitable[object]:
        """Returns when Aura listens for the answer; what it gives is done when the outcome is recorded."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The live seats of a run; what is None is simulated. `may_cut` allows a run to end a live Synapse's connection to
    Redis once, where it has to be the only one that listens."""

    aura: AuraTarget | None = None
    synapse: SynapseTarget | None = None
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    may_cut: bool = False

    @property
    def live(self) -> bool:
        return self.aura is not None or self.synapse is not None

    @property
    def causes(self) -> frozenset[str]:
        """What Aura can be made to do besides answering a call."""
        return frozenset(TRIGGERS if self.aura is None else self.triggers)

    @property
    def reach(self) -> tuple[str, ...]:
        """What the run sees and can cause, in the words of the clauses' `needs`."""
        feedback = self.aura is None or self.aura.feedback is not None
        caused = (f"trigger:{event}" for event in TRIGGERS if event in self.causes)
        fault = self.may_cut if self.synapse is not None else self.aura is None
        seen = (("feedback", feedback), ("fault", fault))
        return ("http", "redis", "stomp", "rest", *(name for name, there in seen if there), *caused)

    def described(self) -> dict[str, Any]:
        """What the first event of a history says of them; no secret is in it."""
        live = {"aura": self.aura, "synapse": self.synapse, "workbench": None}
        seats = {seat: "simulated" if target is None else shown(target.url) for seat, target in live.items()}
        return {"seats": seats, "reach": list(self.reach), "tolerance": LIVE_TOLERANCE if self.live else 0.0}


@dataclass(frozen=True, slots=True)
class Seats:
    """What a run drives: Aura's HTTP side, tapped; what makes it act; and how the consumer beside it is cut off."""

    app: App
    tells: Tells
    asks: Asks
    gap: Gap | None


@asynccontextmanager
async def brought_up(
    targets: Targets,
    bus: Bus,
    recorder: Recorder,
    clock: Clock,
    ids: Ids,
    seed: int,
    aura: AuraSettings,
    synapse: SynapseSettings,
) -> AsyncIterator[Seats]:
    """Every seat up, tapped, and, where it is live, proven to be there.

    Raises HarnessError that names the setting to change where one cannot be verified.
    """
    if targets.live:
        mark = f"{ids.run}-".encode()
        before = _feedback(targets, recorder, mark)
        bus.leave_alone(lambda wire: mark in wire, before)
    async with AsyncExitStack() as held:
        gap: Gap | None = None
        if targets.synapse is not None:
            await held.enter_async_context(live_synapse(targets.synapse, bus, recorder, ids))
            gap = KilledGap(bus, recorder, targets.synapse.patience) if targets.may_cut else None
        else:
            await bus.tap(recorder)
        seat = await held.enter_async_context(_aura(targets, bus, recorder, clock, aura))
        if targets.synapse is None:
            authorization = partial(_authorization, targets, aura, clock)
            record = partial(recorded_at, seat.app, authorization)
            beside = await held.enter_async_context(simulated_synapse(bus, recorder, clock, seed, synapse, record))
            gap = CutGap(beside.link, bus.publisher("harness")) if targets.aura is None else None
        if targets.aura is not None:
            await _prove(targets.aura, seat.app, bus, recorder, clock, ids)
        yield dataclasses.replace(seat, gap=gap)
        if targets.aura is not None and targets.aura.feedback is not None:
            before()


@asynccontextmanager
async def _aura(
    targets: Targets, bus: Bus, recorder: Recorder, clock: Clock, settings: AuraSettings
) -> AsyncIterator[Seats]:
    target = targets.aura
    if target is None:
        async with simulated_aura(bus, recorder, clock, settings) as seat:
            yield _of(seat)
        return
    async with connection(target) as client:
        app = Tap(remote(target, client), recorder, clock, lambda text: target.inspect(text, clock.now()), "aura")
        triggered = TriggeredAura(targets.triggers, bus, recorder, target.hitl_timeout)
        yield Seats(app, triggered, triggered, None)


def _of(seat: AuraSeat) -> Seats:
    return Seats(seat.app, seat.publishers, seat.approvals, None)


def _authorization(targets: Targets, aura: AuraSettings, clock: Clock) -> str:
    if targets.aura is not None:
        return targets.aura.authorization(clock.now())
    return Caller(aura.jwt_secret, "7", clock.now()).authorization


async def _prove(target: AuraTarget, app: App, bus: Bus, recorder: Recorder, clock: Clock, ids: Ids) -> None:
    """One valid call: whoever cannot make it, or looks at another Redis, can verify nothing."""
    request = ids.next("request")
    body = {"case_id": ids.next("case"), "request_id": request, "executor_id": "aura-harness", "approved": True}
    headers = {"Authorization": target.authorization(clock.now()), "X-Tenant-ID": target.tenant}
    status, _ = await call(app, "POST", target.prefix + RECORD_CALL, body, headers)
    told = {
        401: "its token was refused; correct the secret (--secret, HARNESS_AURA_SECRET) or the token (--token)",
        403: f"tenant {target.tenant} was refused; correct --tenant (HARNESS_TENANT)",
        404: f"there is no record endpoint at {shown(target.url)}/action/record; correct the path of the URL",
    }
    if status in told:
        raise HarnessError(f"--aura {shown(target.url)}: a valid call was answered {status}: {told[status]}")
    if status != 200:
        return  # it is there; what it does is judged
    try:
        async with asyncio.timeout(target.patience):
            await published(recorder, request)
    except TimeoutError:
        if not await bus.others_connected():
            raise HarnessError(
                f"--redis {bus.description}: nobody but this run is connected, and nothing came of a recorded action; "
                f"give the Redis that the Aura at {shown(target.url)} uses (also HARNESS_REDIS_URL)"
            ) from None


def _feedback(targets: Targets, recorder: Recorder, mark: bytes) -> Any:
    if targets.aura is None or targets.aura.feedback is None:
        return lambda: None
    return feedback_reader(targets.aura.feedback, recorder, lambda line: mark in line)


def shown(url: str) -> str:
    """Without what only its owner may read."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{_SECRETIVE}@{host}" if "@" in parts.netloc else host).geturl()
