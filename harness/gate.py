"""What a gate run drives: the samples of the documents, curated calls, generated traffic, and HTTP fuzzing.

It drives and records; what was kept and what was broken is said by the checks, from the history alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Any

import httpx2
from redis.exceptions import RedisError

from harness.agreement import Agreement, Sample
from harness.aura.settings import Settings as AuraSettings
from harness.bus import Bus, open_bus
from harness.cases import Call, Caller, curated
from harness.clock import Clock, Ids, WallClock
from harness.errors import HarnessError
from harness.fuzz import BASE_URL, Fuzz
from harness.generate import Detection, RagRun, Traffic
from harness.history import FINISHED, History, Recorder
from harness.http import across_loops
from harness.live import Target, live_synapse
from harness.messages import Outgoing, consumer_messages, ordinary
from harness.outage import CutGap, Gap, KilledGap
from harness.runner import AuraSeat, described, in_thread, quiet, simulated, simulated_aura, stop_if_cancelled
from harness.stories import Answer, Expiry, Outcome, Pause, Story, approval_stories
from harness.synapse.settings import Settings as SynapseSettings

SEATS = ("aura", "synapse", "workbench")
REACH = ("http", "redis", "stomp", "rest", "feedback", "trigger:detect", "trigger:rag", "trigger:hitl")
LIVE_TOLERANCE = 5.0
"""Seconds that the clocks of two machines may be apart."""
SENT_ALONE = 256 * 1024
"""Bytes of a message beyond which a live consumer gets it alone: where frames of more than 512 KB wait for a browser,
Spring closes its connection (ConcurrentWebSocketSessionDecorator)."""
TENANT = "7"
TOGETHER = 20
"""Calls that are under way at the same time."""

Progress = Callable[[str, int, int | None], None]
"""Told the phase, how much of it is done, and how much there is in all, if that is known."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the simulated seats."""

    aura: AuraSettings = field(default_factory=AuraSettings)
    synapse: SynapseSettings = field(default_factory=SynapseSettings)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        return cls(AuraSettings.from_environment(environment), SynapseSettings.from_environment(environment))


@dataclass(frozen=True, slots=True)
class Options:
    redis_url: str | None = None
    synapse: Target | None = None
    """A live one, the only other listener on that Redis, where its connection is ended once; else it is simulated."""
    seed: int = 1
    examples: int = 200
    """Generated inputs of each kind; Schemathesis gets a quarter, and each shape of a message a fifth."""
    without: frozenset[str] = frozenset()
    """Parts to leave out: `approvals`, `messages` of our own, the `gap`, `schemathesis`."""
    patience: float = 0.3
    """How many seconds Aura waits for the answer to an approval request."""
    quiet: float = 1.0
    """How many seconds without a message are taken for the end of what the run caused."""
    settle: float = 0.1
    """The same, in the middle of a run: before a connection is cut."""
    command: Sequence[str] = ("aura-harness", "gate")
    """What repeats this run."""


async def run(
    agreement: Agreement,
    options: Options,
    settings: Settings,
    *,
    out: IO[str] | None = None,
    began: Callable[[Mapping[str, Any]], None] = lambda run: None,
    progress: Progress = lambda phase, done, total: None,
) -> History:
    """The history of a run, written to `out` as it grows.

    `began` is told what the run is before it does anything. An interrupted run keeps what it recorded, and is not
    `complete`. Raises HarnessError when Redis or Schemathesis cannot be worked with.
    """
    clock = WallClock()
    recorder = Recorder(clock, out)
    async with open_bus(options.redis_url) as bus:
        began(recorder.record("run", _described(agreement, options, bus)).data)
        try:
            ids = Ids(f"h{options.seed}" if options.synapse is None else f"h{options.seed}-{secrets.token_hex(3)}")
            async with _seats(bus, recorder, clock, ids, options, settings) as (aura, gap):
                caller = Caller(settings.aura.jwt_secret, TENANT, clock.now())
                await Gate(agreement, options, clock, recorder, bus, aura, gap, caller, ids, progress).drive()
                bus.must_have_listened()
            recorder.record("step", {"do": FINISHED})
        except asyncio.CancelledError:
            recorder.record("step", {"do": "interrupted"})
    return recorder.history()


@asynccontextmanager
async def _seats(
    bus: Bus, recorder: Recorder, clock: Clock, ids: Ids, options: Options, settings: Settings
) -> AsyncIterator[tuple[AuraSeat, Gap]]:
    """What is driven, and how the consumer beside it is cut off."""
    aura = dataclasses.replace(settings.aura, hitl_timeout_seconds=options.patience)
    if options.synapse is None:
        async with simulated(bus, recorder, clock, options.seed, aura, settings.synapse) as pair:
            yield pair.aura, CutGap(pair.synapse.link, bus.publisher("harness"))
        return
    async with live_synapse(options.synapse, bus, recorder, ids), simulated_aura(bus, recorder, clock, aura) as seat:
        yield seat, KilledGap(bus, recorder, options.synapse.patience)


@dataclass(frozen=True, slots=True)
class Gate:
    """One run, set up: the seats, how to call them, and what to call them with."""

    agreement: Agreement
    options: Options
    clock: Clock
    recorder: Recorder
    bus: Bus
    aura: AuraSeat
    gap: Gap
    caller: Caller
    ids: Ids
    progress: Progress

    async def drive(self) -> None:
        examples, ids = self.options.examples, self.ids
        traffic = Traffic(self.options.seed, ids)
        samples, calls = self.agreement.samples.values(), list(curated(traffic, self.caller))
        await self._phase("samples", len(samples), samples, self._sample)
        await self._phase("curated calls", len(calls), calls, self._call)
        await self._phase("generated calls", examples, traffic.valid_calls(examples), self._post)
        together = list(traffic.valid_calls(TOGETHER))
        await self._phase("calls at once", 1, [together], self._post_together)
        await self._phase("detections", examples, traffic.detections(examples), self._detect)
        await self._phase("RAG runs", examples, traffic.rag_runs(examples), self._rag)
        if "approvals" not in self.options.without:
            stories = list(approval_stories(ids, self.options.patience))
            await self._phase("approvals", 1, [stories], self._approvals)
        if "messages" not in self.options.without:
            outgoing = list(consumer_messages(self.options.seed, ids, max(1, examples // 5)))
            await self._phase("messages", len(outgoing), outgoing, self._publish)
        if "gap" not in self.options.without:
            await self._gap(ids)
        if "schemathesis" not in self.options.without:
            await self._fuzz(ids)
        self.progress("waiting for quiet", 0, None)
        await quiet(self.recorder, self.options.quiet)

    async def _gap(self, ids: Ids) -> None:
        """Cut Synapse off while messages are published; what comes before and after must not suffer."""
        before, lost, after = (list(ordinary(self.options.seed + part, ids, 1)) for part in (1, 2, 3))
        await self._phase("before the gap", len(before), before, self._publish)
        await quiet(self.recorder, self.options.settle)
        await self._phase("in the gap", 1, [lost], self._lose)
        await self._phase("after the gap", len(after), after, self._publish)

    async def _phase(self, name: str, total: int, items: Iterable[Any], play: Callable[[Any], Awaitable[None]]) -> None:
        for done, item in enumerate(items):
            self.progress(name, done, total)
            await play(item)
            stop_if_cancelled()
            self.bus.must_have_listened()
        self.progress(name, total, total)

    async def _sample(self, sample: Sample) -> None:
        """Cause what the sample shows: its call, or the event that Aura tells with its message."""
        value = sample.value if self.options.synapse is None else self._renamed(sample.value)
        match sample.schema:
            case "record-request":
                wire = sample.wire if value is sample.value else json.dumps(value, ensure_ascii=False).encode()
                await self._call(Call(sample.name, wire, self.caller.headers()))
            case "case-action":
                await self._post({name: value[name] for name in ("case_id", "request_id", "executor_id", "approved")})
            case "alert":
                await self._detect(Detection(value["case_id"], value["severity"], value["score"]))
            case "rag-status":
                await self._rag(RagRun(value["rag_document_id"], value["chunks_added"], succeeded=True))

    def _renamed(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """With ids of this run: on live systems those of the documents may be somebody's."""
        ours = {"case_id": "case", "request_id": "request", "rag_document_id": "document"}
        return {name: self.ids.next(ours[name]) if name in ours else each for name, each in value.items()}

    async def _post(self, body: Mapping[str, Any]) -> None:
        wire = json.dumps(body, ensure_ascii=False).encode()
        await self._call(Call("generated", wire, self.caller.headers()))

    async def _post_together(self, bodies: Sequence[Mapping[str, Any]]) -> None:
        """What one call leaves behind must not get into another."""
        await asyncio.gather(*map(self._post, bodies))

    async def _call(self, call: Call) -> None:
        transport = httpx2.ASGITransport(app=self.aura.app)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            await client.request(call.method, call.path, content=call.body, headers=dict(call.headers))

    async def _detect(self, detection: Detection) -> None:
        data = {"do": "detect", **dataclasses.asdict(detection)}
        self.recorder.record("step", data, about={"case": detection.case_id})
        await self.aura.publishers.case_created(detection.case_id, detection.severity, detection.score)

    async def _rag(self, rag: RagRun) -> None:
        self.recorder.record("step", {"do": "rag", **dataclasses.asdict(rag)})
        await self.aura.publishers.rag_finished(rag.rag_document_id, rag.chunks_added, rag.succeeded)

    async def _approvals(self, stories: Sequence[Story]) -> None:
        """All at once: what answers one request must not answer another."""
        await asyncio.gather(*map(self._ask, stories))

    async def _ask(self, story: Story) -> None:
        recorded = await self.aura.approvals.ask(story.request)
        for move in story.moves:
            match move:
                case Answer():
                    await self._publish_bytes(move.channel, move.wire(self.clock.now().timestamp()))
                case Pause():
                    await asyncio.sleep(move.seconds)
                case Outcome():
                    await recorded
                case Expiry():
                    self.recorder.record("step", {"do": "expire", "key": move.key})
                    await self.bus.delete(move.key)
        await recorded

    async def _publish(self, outgoing: Outgoing) -> None:
        alone = self.options.synapse is not None and len(outgoing.wire) > SENT_ALONE
        if alone:
            await quiet(self.recorder, self.options.settle)
        self._told(outgoing)
        await self._publish_bytes(outgoing.channel, outgoing.wire)
        if alone:
            await quiet(self.recorder, self.options.settle)

    async def _lose(self, several: Sequence[Outgoing]) -> None:
        for outgoing in several:
            self._told(outgoing)
        await self.gap.lose([(outgoing.channel, outgoing.wire) for outgoing in several])

    def _told(self, outgoing: Outgoing) -> None:
        self.recorder.record("step", {"do": "publish", "about": outgoing.about, "readable": outgoing.readable})

    async def _publish_bytes(self, channel: str, wire: bytes) -> None:
        try:
            await self.bus.publisher("harness")(channel, wire)
        except (RedisError, OSError) as error:
            raise HarnessError(f"the connection to {self.bus.description} was lost during the run: {error}") from error

    async def _fuzz(self, ids: Ids) -> None:
        calls = 0

        def counted() -> None:
            nonlocal calls
            calls += 1
            self.progress("Schemathesis", calls, None)

        fuzz = Fuzz(
            specification=self.agreement.root / "openapi.yaml",
            app=across_loops(self.aura.app, asyncio.get_running_loop()),
            headers={"X-Tenant-ID": TENANT},
            token=self.caller.authorization.removeprefix("Bearer "),
            ids=ids,
            seed=self.options.seed,
            examples=max(1, self.options.examples // 4),
            on_case=counted,
        )
        try:
            failures = await in_thread(fuzz.run)
        except asyncio.CancelledError:
            fuzz.stop()
            raise
        self.progress("Schemathesis", calls, calls)
        for failure in failures:
            self.recorder.record("fuzz", {"tool": "schemathesis", **dataclasses.asdict(failure)})


def _described(agreement: Agreement, options: Options, bus: Bus) -> dict[str, Any]:
    told = described(agreement, bus, options.seed, SEATS, REACH, options.command, time="wall")
    if options.synapse is not None:
        seats = {**told["seats"], "synapse": options.synapse.url}
        told |= {"seats": seats, "tolerance": LIVE_TOLERANCE}
    return {**told, "examples": options.examples}
