"""The seats of a run, each simulated or live, behind one face; and what a run can see and cause of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from harness.aura.hitl import ApprovalRequest
from harness.aura.parts import AS_DEPLOYED as AURA_AS_DEPLOYED
from harness.aura.parts import Parts as AuraParts
from harness.aura.settings import Settings as AuraSettings
from harness.backend import Backend, LiveBackend, SimulatedBackend
from harness.bus import Bus, Link, Publish
from harness.cases import RECORD_CALL
from harness.clock import Clock, Ids
from harness.errors import HarnessError
from harness.history import Recorder
from harness.http import App, Tap, call
from harness.live.address import shown
from harness.live.aura import CLOCKS_APART, DIRECT, AuraTarget, feedback_reader, remote, unreachable
from harness.live.forward import connection, forwarded
from harness.live.synapse import SynapseTarget, live_synapse
from harness.live.triggers import TOLD_TIMEOUT, Trigger, TriggeredAura, published
from harness.outage import CutGap, Gap, KilledGap
from harness.runner import AuraSeat, Loss, backend_headers, recorded_at, simulated_aura, simulated_synapse
from harness.synapse.parts import AS_DEPLOYED as SYNAPSE_AS_DEPLOYED
from harness.synapse.parts import Parts as SynapseParts
from harness.synapse.settings import Settings as SynapseSettings
from harness.workbench.viewer import Viewer

TRIGGERS = ("detect", "rag", "hitl")


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
        return frozenset(TRIGGERS) if self.aura is None else frozenset(self.triggers) & frozenset(TRIGGERS)

    @property
    def hitl_timeout(self) -> float | None:
        """How many seconds a live Aura waits for an answer: as was said, or as its trigger tells it; None where nobody
        knows."""
        if self.aura is None or self.aura.hitl_timeout is not None:
            return None if self.aura is None else self.aura.hitl_timeout
        asks = self.triggers.get("hitl")
        return TOLD_TIMEOUT if asks is not None and asks.takes("timeout") else None

    @property
    def waits(self) -> float:
        """The same, and where nobody knows, what a run reckons with."""
        return TOLD_TIMEOUT if self.hitl_timeout is None else self.hitl_timeout

    @property
    def knows_timeout(self) -> bool:
        """Whether anything can be said of what Aura does when nobody answers."""
        return self.aura is None or self.hitl_timeout is not None

    @property
    def reach(self) -> tuple[str, ...]:
        """What the run sees and can cause, in the words of the clauses' `needs`."""
        feedback = self.aura is None or self.aura.feedback is not None
        caused = (f"trigger:{event}" for event in TRIGGERS if event in self.causes)
        fault = self.may_cut if self.synapse is not None else self.aura is None
        seen = (("feedback", feedback), ("fault", fault), ("hitl-timeout", self.knows_timeout))
        return ("http", "redis", "stomp", "rest", *(name for name, there in seen if there), *caused)

    @property
    def record_path(self) -> str:
        """Where Aura's record endpoint is, as the documents name it."""
        return (DIRECT if self.aura is None else self.aura.prefix) + RECORD_CALL

    def described(self) -> dict[str, Any]:
        """What the first event of a history says of them; no secret is in it."""
        live = {"aura": self.aura, "synapse": self.synapse, "workbench": None}
        seats = {seat: "simulated" if target is None else shown(target.url) for seat, target in live.items()}
        return {"seats": seats, "reach": list(self.reach), "tolerance": CLOCKS_APART if self.live else 0.0}


@dataclass(frozen=True, slots=True)
class Parts:
    """What the simulated seats are made of."""

    aura: AuraParts = AURA_AS_DEPLOYED
    synapse: SynapseParts = SYNAPSE_AS_DEPLOYED
    viewer: type[Viewer] = Viewer


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the simulated seats."""

    aura: AuraSettings = field(default_factory=AuraSettings)
    synapse: SynapseSettings = field(default_factory=SynapseSettings)
    parts: Parts = field(default_factory=Parts)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        return cls(AuraSettings.from_environment(environment), SynapseSettings.from_environment(environment))

    def waiting(self, seconds: float) -> Self:
        """The same, where Aura waits so long for an answer."""
        return replace(self, aura=replace(self.aura, hitl_timeout_seconds=seconds))


class Tells(Protocol):
    """How Aura is made to do something of its own accord."""

    async def case_created(self, case_id: str, severity: str, score: float) -> None: ...

    async def rag_finished(self, rag_document_id: str, chunks_added: int, succeeded: bool) -> None: ...


class Asks(Protocol):
    async def ask(self, request: ApprovalRequest) -> Awaitable[object]:
        """Returns when Aura listens for the answer; what it gives is done when the outcome is recorded."""


@dataclass(frozen=True, slots=True)
class Aura:
    app: App
    """Its HTTP side, tapped."""
    publishers: Tells
    approvals: Asks
    link: Link | None
    """Of a simulated one: its way to Redis."""

    @classmethod
    def simulated(cls, seat: AuraSeat) -> Self:
        return cls(seat.app, seat.publishers, seat.approvals, seat.link)


@dataclass(frozen=True, slots=True)
class Seats:
    """Both systems of a run; how the run itself publishes; what one calls Aura with; how the consumer is cut off, where
    it may be."""

    aura: Aura
    backend: Backend
    publish: Publish
    headers: Callable[[], Mapping[str, str]]
    gap: Gap | None = None
    losses: tuple[Loss, ...] = ()
    """How each live one is found to be gone."""
    viewer: Callable[..., Viewer] = Viewer


@asynccontextmanager
async def brought_up(
    targets: Targets,
    bus: Bus,
    recorder: Recorder,
    clock: Clock,
    ids: Ids,
    seed: int,
    settings: Settings,
    *,
    prove: bool = True,
) -> AsyncIterator[Seats]:
    """Every seat up, tapped, and, where it is live, proven to be there; a live Aura only with `prove`, for it costs an
    action.

    Raises HarnessError that names the setting to change where one cannot be verified.
    """
    if targets.aura is not None:
        targets.aura.must_hold(clock.now())
    mark = f"{ids.run}-".encode()
    catch_up = _feedback(targets, recorder, mark)
    if targets.live:
        bus.leave_alone(lambda wire: mark in wire, catch_up)
    gap: Gap | None
    losses: list[Loss] = []
    async with AsyncExitStack() as held:
        if targets.synapse is None:
            await bus.tap(recorder)
        else:
            live = await held.enter_async_context(live_synapse(targets.synapse, bus, recorder, ids))
            losses.append(live.lost)
        parts = settings.parts
        seat = await held.enter_async_context(_aura(targets, bus, recorder, clock, settings.aura, parts.aura))
        headers = partial(_headers, targets, settings.aura, clock)
        if targets.synapse is None:
            record = partial(recorded_at, seat.app, headers, path=targets.record_path)
            synapse = simulated_synapse(bus, recorder, clock, seed, settings.synapse, record, parts.synapse)
            beside = await held.enter_async_context(synapse)
            gap = CutGap(beside.link, bus.publisher("harness")) if targets.aura is None else None
            backend: Backend = SimulatedBackend(beside)
        else:
            gap = KilledGap(bus, recorder, targets.synapse.patience) if targets.may_cut else None
            backend = await held.enter_async_context(_live_backend(targets.synapse, targets, recorder, clock))
        if targets.aura is not None:
            if prove:
                await _prove(targets.aura, seat.app, bus, recorder, clock, ids)
            losses.append(partial(unreachable, targets.aura))
        yield Seats(seat, backend, bus.publisher("harness"), headers, gap, tuple(losses), parts.viewer)
        catch_up()


@asynccontextmanager
async def _live_backend(
    target: SynapseTarget, targets: Targets, recorder: Recorder, clock: Clock
) -> AsyncIterator[LiveBackend]:
    base, where = urlsplit(target.url).path.rstrip("/"), f"--synapse {shown(target.url)}"
    async with connection(target.url, target.patience, target.verify, target.headers) as client:
        app = forwarded(client, where, target.patience, lambda path: base + path)
        tap = Tap(app, recorder, clock, lambda authorization: {}, "synapse")
        yield LiveBackend(target, tap, targets.triggers.get("case"))


@asynccontextmanager
async def _aura(
    targets: Targets, bus: Bus, recorder: Recorder, clock: Clock, settings: AuraSettings, parts: AuraParts
) -> AsyncIterator[Aura]:
    target = targets.aura
    if target is None:
        async with simulated_aura(bus, recorder, clock, settings, parts) as seat:
            yield Aura.simulated(seat)
        return
    async with connection(target.url, target.patience, target.verify, target.headers) as client:
        app = Tap(remote(target, client), recorder, clock, lambda text: target.inspect(text, clock.now()), "aura")
        triggered = TriggeredAura(targets.triggers, bus, recorder, targets.hitl_timeout)
        yield Aura(app, triggered, triggered, None)


def _headers(targets: Targets, aura: AuraSettings, clock: Clock) -> dict[str, str]:
    """What the backend calls Aura with."""
    if targets.aura is not None:
        return {"Authorization": targets.aura.authorization(clock.now()), "X-Tenant-ID": targets.aura.tenant}
    return backend_headers(aura, clock)


async def _prove(target: AuraTarget, app: App, bus: Bus, recorder: Recorder, clock: Clock, ids: Ids) -> None:
    """One valid call: whoever cannot make it, or looks at another Redis, can verify nothing."""
    request = ids.next("request")
    body = {"case_id": ids.next("case"), "request_id": request, "executor_id": "aura-harness", "approved": True}
    headers = {"Authorization": target.authorization(clock.now()), "X-Tenant-ID": target.tenant}
    status, answer = await call(app, "POST", target.prefix + RECORD_CALL, body, headers)
    _must_be_aura(target, status, answer)
    if status != 200:
        return  # it is there; what it does is judged
    try:
        async with asyncio.timeout(target.patience):
            await published(recorder, request)
    except TimeoutError:
        if any(event.kind == "published" for event in recorder.since(0)):
            return  # this is its Redis; what it publishes there is judged
        others = await bus.others_connected()
        who = "others are connected, and still" if others else "nobody but this run is connected, and"
        raise HarnessError(
            f"--redis {bus.description}: {who} nothing came of an action that was recorded: either the Aura at "
            f"{shown(target.url)} publishes nothing at all, or on another Redis; give that one (also HARNESS_REDIS_URL)"
        ) from None


def _must_be_aura(target: AuraTarget, status: int, answer: Any) -> None:
    """Of a wrong URL, or of what stands before an Aura that is down, nobody may say that it is Aura which answers. One
    that refuses the call or fails, and says so as it does, is there: what it does is judged."""
    if isinstance(answer, dict) and (status == 200 or (status in (422, 500) and "detail" in answer)):
        return
    told = {
        200: "a JSON object was expected; correct the URL",
        401: "its token was refused; correct the secret (--secret, HARNESS_AURA_SECRET) or the token (--token)",
        403: f"tenant {target.tenant} was refused; correct --tenant (HARNESS_TENANT)",
        404: f"there is no record endpoint at {shown(target.url)}/action/record; correct the path of the URL",
        **dict.fromkeys((502, 503, 504), "200 was expected; start the Aura behind it, or correct the URL"),
    }
    what = f"{status} without a JSON object" if status == 200 else str(status)
    hint = told.get(status, "200 was expected; is this Aura? Correct the URL")
    raise HarnessError(f"--aura {shown(target.url)}: a valid call was answered {what}: {hint}")


def _feedback(targets: Targets, recorder: Recorder, mark: bytes) -> Callable[[], None]:
    if targets.aura is None or targets.aura.feedback is None:
        return lambda: None
    return feedback_reader(targets.aura.feedback, recorder, lambda line: mark in line)
