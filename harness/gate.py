"""What a gate run drives: the samples of the documents, curated calls, generated traffic, and HTTP fuzzing.

It drives and records; what was kept and what was broken is said by the checks, from the history alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from redis.exceptions import RedisError

from harness import cases, messages, stories
from harness.agreement import Agreement, Sample
from harness.bus import Bus, open_bus, stop_if_cancelled
from harness.cases import DIRECT, RECORD_CALL, Call, Caller
from harness.clock import Clock, Ids, WallClock, time_of
from harness.errors import HarnessError
from harness.fuzz import Fuzz
from harness.generate import Detection, RagRun, Traffic
from harness.history import History, Recorder
from harness.http import across_loops, request
from harness.messages import Outgoing
from harness.outage import Gap
from harness.redaction import Redaction
from harness.runner import described, in_thread, quiet, to_its_end, together, unless_lost
from harness.seats import Seats, Settings, Targets, brought_up
from harness.stories import Answer, Expiry, Outcome, Pause, Story

REACH = Targets().reach
FEW = 4
"""Detections and RAG runs, where each leaves something behind."""
SENT_ALONE = 256 * 1024
"""Bytes of a message beyond which a live consumer gets it alone: where frames of more than 512 KB wait for a browser,
Spring closes its connection (ConcurrentWebSocketSessionDecorator)."""
TENANT = "7"
TOGETHER = 20
"""Calls that are under way at the same time."""

Progress = Callable[[str, int, int | None], None]
"""Told the phase, how much of it is done, and how much there is in all, if that is known."""


@dataclass(frozen=True, slots=True)
class Options:
    redis_url: str | None = None
    targets: Targets = field(default_factory=Targets)
    allow_writes: bool = False
    """Live systems keep what a run leaves behind; without this it is at most 20 actions at Aura, and 20 messages of the
    run's own."""
    redact: Redaction | None = None
    """Keep no text of people's."""
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
    clock: Clock | None = None,
    out: IO[str] | None = None,
    began: Callable[[Mapping[str, Any]], None] = lambda run: None,
    progress: Progress = lambda phase, done, total: None,
) -> History:
    """The history of a run, written to `out` as it grows. Without a `clock` it takes wall time.

    `began` is told what the run is before it does anything. A run that is interrupted, or loses one of the systems on
    its way, keeps what it recorded, is not `complete`, and says why. Raises HarnessError when it cannot even begin.
    """
    clock = clock or WallClock()
    recorder = Recorder(clock, out, options.redact.of_event) if options.redact else Recorder(clock, out)
    ids = run_ids(options)
    async with open_bus(options.redis_url) as bus:
        began(recorder.record("run", _described(agreement, options, bus, ids, clock)).data)
        with to_its_end(bus, recorder) as begun:
            seed, patient = options.seed, settings.waiting(options.patience)
            up = brought_up(options.targets, bus, recorder, clock, ids, seed, patient)
            async with up as seats:
                begun.driven = True
                caller = _caller(options.targets, settings, clock)
                driving = Gate(agreement, options, clock, recorder, bus, seats, caller, ids, progress).drive()
                await unless_lost(driving, [bus.lost, *seats.losses])
                bus.must_have_listened()
    return recorder.history()


def run_ids(options: Options) -> Ids:
    """The ids of a live run are its own, so that a second one is told from the first."""
    return Ids(f"h{options.seed}-{secrets.token_hex(3)}" if options.targets.live else f"h{options.seed}")


def _caller(targets: Targets, settings: Settings, clock: Clock) -> Caller:
    if targets.aura is None:
        return Caller(settings.aura.jwt_secret, TENANT, clock.now())
    return Caller(targets.aura.secret, targets.aura.tenant, clock.now(), targets.aura.token)


@dataclass(frozen=True, slots=True)
class Gate:
    """One run, set up: the seats, how to call them, and what to call them with."""

    agreement: Agreement
    options: Options
    clock: Clock
    recorder: Recorder
    bus: Bus
    seats: Seats
    caller: Caller
    ids: Ids
    progress: Progress

    async def drive(self) -> None:
        """What is simulated beside a live seat is driven only as far as that shows something of the live one, and what
        leaves something behind there only as much as is allowed."""
        ids, targets, seed, without = self.ids, self.options.targets, self.options.seed, self.options.without
        whole = self.options.allow_writes or not targets.live
        about_aura = whole or targets.aura is not None
        count = self.options.examples if whole else FEW
        traffic = Traffic(seed, ids)
        samples = [each for each in self.agreement.samples.values() if self._can_be_caused(each)]
        await self._phase("samples", len(samples), samples, self._sample)
        if about_aura:
            every = (cases.curated if whole else cases.representative)(traffic, self.caller)
            calls = [call for call in map(self._in_view, every) if call is not None]
            await self._phase("curated calls", len(calls), calls, self._call)
        if whole:
            await self._phase("generated calls", count, traffic.valid_calls(count), self._post)
            together = list(traffic.valid_calls(TOGETHER))
            await self._phase("calls at once", 1, [together], self._post_together)
        if about_aura and "detect" in targets.causes:
            await self._phase("detections", count, traffic.detections(count), self._detect)
        if about_aura and "rag" in targets.causes:
            await self._phase("RAG runs", count, traffic.rag_runs(count), self._rag)
        if self._asks() and "hitl" in targets.causes and "approvals" not in without:
            every_story = (stories.approval_stories if whole else stories.representative)(ids, self._patience)
            told = [story for story in every_story if targets.knows_timeout or not story.until_timeout]
            await self._phase("approvals", 1, [told], self._approvals)
        if "messages" not in without and (targets.aura is None or targets.synapse is not None):
            of_each = max(1, count // 5)
            ours = messages.consumer_messages(seed, ids, of_each) if whole else messages.representative(seed, ids)
            outgoing = list(ours)
            await self._phase("messages", len(outgoing), outgoing, self._publish)
        if "gap" not in without and self.seats.gap is not None:
            await self._gap(ids, self.seats.gap)
        if "schemathesis" not in without and whole and (targets.aura is not None or not targets.live):
            await self._fuzz(ids)
        self.progress("waiting for quiet", 0, None)
        await quiet(self.recorder, self.options.quiet)

    @property
    def _patience(self) -> float:
        targets = self.options.targets
        return self.options.patience if targets.aura is None else targets.waits

    def _asks(self) -> bool:
        """Beside a live consumer it shows nothing of it how the simulated Aura asks."""
        return self.options.targets.aura is not None or not self.options.targets.live

    def _can_be_caused(self, sample: Sample) -> bool:
        needs = {"alert": "detect", "rag-status": "rag"}.get(sample.schema)
        return needs is None or needs in self.options.targets.causes

    def _in_view(self, call: Call) -> Call | None:
        """A live Aura is seen by one of its paths; what says the same on the other is left out."""
        return self._ours(call) if self.options.targets.aura is None or call.path == DIRECT else None

    def _ours(self, call: Call) -> Call:
        aura = self.options.targets.aura
        return call if aura is None else dataclasses.replace(call, path=aura.prefix + RECORD_CALL)

    async def _gap(self, ids: Ids, gap: Gap) -> None:
        """Cut Synapse off while messages are published; what comes before and after must not suffer."""
        before, lost, after = (list(messages.ordinary(self.options.seed + part, ids, 1)) for part in (1, 2, 3))
        await self._phase("before the gap", len(before), before, self._publish)
        await quiet(self.recorder, self.options.settle)
        await self._phase("in the gap", 1, [lost], partial(self._lose, gap))
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
        value = sample.value if not self.options.targets.live else self._renamed(sample.value)
        match sample.schema:
            case "record-request":
                wire = sample.wire if value is sample.value else json.dumps(value, ensure_ascii=False).encode()
                await self._call(self._ours(Call(sample.name, wire, self.caller.headers())))
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
        await self._call(self._ours(Call("generated", wire, self.caller.headers())))

    async def _post_together(self, bodies: Sequence[Mapping[str, Any]]) -> None:
        """What one call leaves behind must not get into another."""
        await together(map(self._post, bodies))

    async def _call(self, call: Call) -> None:
        await request(self.seats.aura.app, call.method, call.path, call.body, call.headers)

    async def _detect(self, detection: Detection) -> None:
        data = {"do": "detect", **dataclasses.asdict(detection)}
        self.recorder.record("step", data, about={"case": detection.case_id})
        await self.seats.aura.publishers.case_created(detection.case_id, detection.severity, detection.score)

    async def _rag(self, rag: RagRun) -> None:
        self.recorder.record("step", {"do": "rag", **dataclasses.asdict(rag)})
        await self.seats.aura.publishers.rag_finished(rag.rag_document_id, rag.chunks_added, rag.succeeded)

    async def _approvals(self, several: Sequence[Story]) -> None:
        """All at once: what answers one request must not answer another."""
        await together(map(self._ask, several))

    async def _ask(self, story: Story) -> None:
        recorded = await self.seats.aura.approvals.ask(story.request)
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
        alone = self.options.targets.synapse is not None and len(outgoing.wire) > SENT_ALONE
        if alone:
            await quiet(self.recorder, self.options.settle)
        self._told(outgoing)
        await self._publish_bytes(outgoing.channel, outgoing.wire)
        if alone:
            await quiet(self.recorder, self.options.settle)

    async def _lose(self, gap: Gap, several: Sequence[Outgoing]) -> None:
        for outgoing in several:
            self._told(outgoing)
        await gap.lose([(outgoing.channel, outgoing.wire) for outgoing in several])

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
            app=across_loops(self.seats.aura.app, asyncio.get_running_loop()),
            headers={"X-Tenant-ID": self.caller.tenant},
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


def _described(agreement: Agreement, options: Options, bus: Bus, ids: Ids, clock: Clock) -> dict[str, Any]:
    told = described(agreement, bus, options.seed, REACH, options.command, time=time_of(clock))
    told |= {**options.targets.described(), "examples": options.examples}
    return told | ({"ids": f"{ids.run}-", "leaves": _leaves(options)} if options.targets.live else {})


def _leaves(options: Options) -> str:
    """What stays behind on the live systems, in words; said before anything is sent."""
    if options.allow_writes:
        return f"about {3 * options.examples + 50} actions and as many notifications (--allow-writes)"
    return "at most 20 actions, and 20 messages of the run's own (more with --allow-writes)"
