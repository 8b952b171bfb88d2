"""Brings the seats of a run up, each with its taps, and waits until what it caused has come to rest."""

from __future__ import annotations

import asyncio
import json
import platform
import threading
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from redis.exceptions import RedisError

from harness import __version__, tokens
from harness.agreement import SEATS, Agreement
from harness.asgi_websocket import open_asgi_websocket
from harness.aura.actions import Actions, Feedback, feedback_writer
from harness.aura.hitl import Approvals
from harness.aura.parts import AS_DEPLOYED as AURA_AS_DEPLOYED
from harness.aura.parts import Parts as AuraParts
from harness.aura.publishers import Publishers
from harness.aura.settings import Settings as AuraSettings
from harness.bus import CUT, HITL_CHANNEL, LOST, Bus, Link, Subscription
from harness.clock import Clock
from harness.errors import HarnessError
from harness.history import FINISHED, Recorder, encode, ids_of
from harness.http import App, Tap, call
from harness.stomp import Client, record
from harness.synapse.cases import Action, Cases, Decision
from harness.synapse.follow_ups import Record
from harness.synapse.instant import Instant
from harness.synapse.notification import NotificationDto, to_json
from harness.synapse.parts import AS_DEPLOYED as SYNAPSE_AS_DEPLOYED
from harness.synapse.parts import Parts as SynapseParts
from harness.synapse.seat import Synapse
from harness.synapse.settings import Settings as SynapseSettings
from harness.synapse.store import SqliteStore
from harness.synapse.writer import Unwritable

NOTIFICATIONS = "/topic/notifications"
STOMP_PATH = "/ws/notifications/websocket"
RECORD = "/aura/action/record"
BACKEND_TENANT = "7"

RESTLESS = 60.0
"""Seconds after which no run waits any longer for quiet."""

T = TypeVar("T")
Loss = Callable[[], Coroutine[Any, Any, None]]
"""Raises HarnessError once a system cannot be seen any more; else it never ends."""


@dataclass(frozen=True, slots=True)
class AuraSeat:
    """Aura, simulated, in this process."""

    app: App
    """Its HTTP side, tapped."""
    publishers: Publishers
    """What it does of its own accord."""
    approvals: Approvals
    """How it asks a person."""
    actions: Actions
    link: Link


@dataclass(frozen=True, slots=True)
class SynapseSeat:
    """Synapse, simulated, in this process."""

    system: Synapse
    app: App
    """Its HTTP side, tapped."""
    link: Link


@asynccontextmanager
async def simulated_aura(
    bus: Bus, recorder: Recorder, clock: Clock, settings: AuraSettings, parts: AuraParts = AURA_AS_DEPLOYED
) -> AsyncIterator[AuraSeat]:
    link = _link(bus, recorder, "aura")
    publishers = parts.publishers(settings, link.publish, clock)
    feedback = _tapped(feedback_writer(settings.hitl_feedback_log_path), recorder)
    actions = parts.actions(publishers, feedback, clock)
    app = _tapped_app(parts.app(settings, actions, clock), settings.jwt_secret, recorder, clock)
    async with tapped_approvals(settings, link, actions, recorder, clock, parts) as approvals:
        yield AuraSeat(app, publishers, approvals, actions, link)


@asynccontextmanager
async def tapped_approvals(
    settings: AuraSettings,
    link: Link,
    actions: Actions,
    recorder: Recorder,
    clock: Clock,
    parts: AuraParts = AURA_AS_DEPLOYED,
) -> AsyncIterator[Approvals]:
    """What is still waited for at the end is given up."""
    redis = TappedLink(link, recorder, settings.hitl_timeout_seconds)
    approvals = parts.approvals(settings, redis, actions, clock)
    try:
        yield approvals
    finally:
        await approvals.close()


@asynccontextmanager
async def simulated_synapse(
    bus: Bus,
    recorder: Recorder,
    clock: Clock,
    seed: int,
    settings: SynapseSettings,
    record: Record,
    parts: SynapseParts = SYNAPSE_AS_DEPLOYED,
) -> AsyncIterator[SynapseSeat]:
    """`record` calls Aura's record endpoint."""

    def failed(channel: str, wire: bytes, error: Exception) -> None:
        data = {"do": "listener-failed", "channel": channel, "wire": encode(wire), "error": repr(error)}
        recorder.record("fault", data, seat="synapse", about=ids_of(wire))

    link = _link(bus, recorder, "synapse")
    store = TappedStore(settings.notification_database_path, recorder)
    tapped = _tapped_cases(parts.cases, recorder)
    cases = tapped(settings.notification_database_path, settings.action_approved_status)
    system = Synapse(
        settings,
        partial(link.subscribe, settings.notification_redis_workbench_pattern),
        clock,
        seed,
        store=store,
        cases=cases,
        on_failure=failed,
        publish=link.publish,
        keep=link.store,
        fetch=link.fetch,
        record=record,
        parts=parts,
    )
    try:
        async with system, _watched(system, recorder):
            yield SynapseSeat(system, Tap(system.app, recorder, clock, lambda authorization: {}, "synapse"), link)
    finally:
        store.close()
        cases.close()


def _link(bus: Bus, recorder: Recorder, seat: str) -> Link:
    def changed(what: str) -> None:
        # What is lost is found to be so some time after it was.
        data = {"do": CUT, "noticed": True} if what == LOST else {"do": what}
        recorder.record("fault", data, seat=seat)

    return Link(bus, seat, changed)


def described(
    agreement: Agreement,
    bus: Bus,
    seed: int,
    reach: Sequence[str],
    command: Sequence[str],
    *,
    time: str,
    seats: Sequence[str] = SEATS,
) -> dict[str, Any]:
    """What the first event of a history says of its run. `time` is `wall` or `virtual`."""
    return {
        "harness": __version__,
        "agreement": agreement.version,
        "seats": dict.fromkeys(seats, "simulated"),
        "reach": list(reach),
        "redis": bus.description,
        "seed": seed,
        "tolerance": 0.0,
        "time": time,
        "command": list(command),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("starlette", "redis", "fakeredis", "schemathesis")},
        },
    }


class Begun:
    """Whether a run has begun to drive its seats: from then on, what it recorded is kept where it cannot go on."""

    driven = False


@contextmanager
def to_its_end(bus: Bus, recorder: Recorder) -> Iterator[Begun]:
    """Record how the run within ends, and of how many messages of others it kept away. An interruption ends with this
    block, and so does what keeps the run from going on once `driven` is set; before that, it is raised."""
    begun, end = Begun(), {"do": FINISHED}
    try:
        yield begun
    except asyncio.CancelledError:
        end = {"do": "interrupted"}
    except (HarnessError, RedisError, ConnectionError) as error:
        if not begun.driven or (isinstance(error, HarnessError) and not error.on_the_way):
            raise
        end = {"do": "interrupted", "why": str(error)}
    bus.tell_foreign(recorder)
    recorder.record("step", end)


async def quiet(recorder: Recorder, seconds: float, at_most: float = RESTLESS) -> None:
    """Returns when nothing was recorded for that long. Raises HarnessError where that has not come after `at_most`."""
    loop, recorded = asyncio.get_running_loop(), -1
    until = loop.time() + at_most
    while recorded != len(recorder):
        before, recorded = max(0, recorded), len(recorder)
        if loop.time() >= until:
            kinds = Counter(f"{event.kind} of {event.seat or 'a live system'}" for event in recorder.since(before))
            told = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common(3))
            raise HarnessError(
                f"waited {at_most:g} s and it was never quiet for {seconds:g} s, lately there came {told}; "
                "end what goes on with the ids of this run, and repeat it"
            )
        await asyncio.sleep(seconds)


async def together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All at the same time; the first that fails ends the others, too."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        await _ended(tasks)


async def unless_lost(work: Coroutine[Any, Any, None], losses: Iterable[Loss]) -> None:
    """What a run does, until one of the systems that it looks at is lost: what it did from then on would not be seen.
    Raises what either raises."""
    tasks = [asyncio.ensure_future(each) for each in (work, *(loss() for loss in losses))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        lost = [task for task in tasks[1:] if task.done()]
        await _ended(tasks)
    for task in (*lost, tasks[0]):
        task.result()


async def _ended(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # told already, or less than what is


async def in_thread(work: Callable[[], T]) -> T:
    """As `asyncio.to_thread`, but nobody waits at the end for a thread that was given up."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(deliver: Callable[[Any], None], outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if done.done() else deliver(outcome))

    def run() -> None:
        try:
            outcome = work()
        except BaseException as error:
            tell(done.set_exception, error)
        else:
            tell(done.set_result, outcome)

    threading.Thread(target=run, daemon=True).start()
    return await done


class TappedStore(SqliteStore):
    """Records each row once it is saved."""

    def __init__(self, path: Path | None, recorder: Recorder) -> None:
        super().__init__(path)
        self._recorder = recorder

    def save(self, dto: NotificationDto, now: Instant) -> NotificationDto:
        saved = super().save(dto, now)
        data = {"id": saved.id, "notification": _as_json(saved)}
        self._recorder.record("stored", data, seat="synapse", about=_ids(saved))
        return saved


class TappedLink:
    """Aura's Redis as its approval requests need it. Records what they store, and when they begin to wait."""

    def __init__(self, link: Link, recorder: Recorder, timeout: float) -> None:
        self.fetch = link.fetch
        self.link = link
        self._recorder = recorder
        self._timeout = timeout
        self._asked: defaultdict[str, deque[Mapping[str, str]]] = defaultdict(deque)
        self._heard: dict[str, Mapping[str, str]] = {}

    async def store(self, key: str, text: str, seconds: int) -> None:
        await self.link.store(key, text, seconds)
        kind, value = key.split(":")[1], json.loads(text)
        about = {
            "case": _case_of(value),
            "request": value.get("requestId"),
            "session": value.get("sessionId"),
        }
        data = {"do": "stored", "key": key, "ttl": seconds, kind: value}
        event = self._recorder.record("hitl_request", data, seat="aura", about=about)
        if kind == "request":
            self._asked[event.about.get("session", "")].append(event.about)

    async def listen(self, channel: str) -> Subscription:
        subscription = await self.link.listen(channel)
        session = channel.removeprefix(HITL_CHANNEL)
        data = {"do": "waiting", "channel": channel, "timeout": self._timeout}
        self._recorder.record("hitl_request", data, seat="aura", about=self._about(session))
        return subscription

    def _about(self, session: str) -> Mapping[str, str]:
        """The oldest request of the session that nobody listened for; else somebody subscribes again."""
        if self._asked[session]:
            self._heard[session] = self._asked[session].popleft()
        return self._heard.get(session, {"session": session})


def _case_of(request: Mapping[str, Any]) -> object:
    context = request.get("context")
    return (context.get("caseId") or context.get("case_id")) if isinstance(context, dict) else None


def _tapped_cases(kind: type[Cases], recorder: Recorder) -> type[Cases]:
    """Such that each decision is recorded once it is committed, with the documents of its case as they are then."""

    class TappedCases(kind):  # type: ignore[misc, valid-type]
        def decide(self, decision: Decision, now: Instant) -> Action:
            action: Action = super().decide(decision, now)
            documents = self.case(decision.tenant_id, decision.case_id).documents
            data = {
                "do": "decided",
                "case": decision.case_id,
                "document": decision.doc_key,
                "approved": decision.approved,
                "request": decision.request_id,
                "tenant": decision.tenant_id,
                "left": {document.doc_key: document.status for document in documents},
            }
            about = {"case": decision.case_id, "request": decision.request_id}
            recorder.record("step", data, seat="synapse", about=about)
            return action

    return TappedCases


def backend_headers(aura: AuraSettings, clock: Clock) -> dict[str, str]:
    """What the backend calls Aura with."""
    return {"Authorization": f"Bearer {tokens.mint(aura.jwt_secret, BACKEND_TENANT, clock.now(), user='backend')}"}


async def recorded_at(
    endpoint: App, headers: Callable[[], Mapping[str, str]], body: dict[str, object], path: str = RECORD
) -> int:
    """How the backend calls Aura's record endpoint. Gives the status."""
    status, _ = await call(endpoint, "POST", path, body, headers())
    return status


def _as_json(saved: NotificationDto) -> Any:
    """None for a row that cannot be written as JSON, which is stored all the same."""
    try:
        return json.loads(to_json(saved))
    except (Unwritable, RecursionError):
        return None


def _ids(saved: NotificationDto) -> dict[str, object]:
    payload = saved.payload or {}
    return {"case": payload.get("case_id"), "request": payload.get("request_id")}


@asynccontextmanager
async def _watched(seat: Synapse, recorder: Recorder) -> AsyncIterator[None]:
    """A browser's STOMP client records what is broadcast."""
    async with open_asgi_websocket(seat.app, STOMP_PATH) as socket:
        client = await Client.connect(socket, confirm=seat.broker.holds, name="browser")
        await client.subscribe(NOTIFICATIONS)
        watching = asyncio.create_task(record(client, recorder, "synapse"), name="stomp tap")
        try:
            yield
        finally:
            await client.disconnect()
            await watching


def _tapped_app(app: App, secret: str, recorder: Recorder, clock: Clock) -> App:
    def inspect(authorization: str | None) -> Mapping[str, str]:
        return tokens.inspect(authorization, secret, clock.now())

    return Tap(app, recorder, clock, inspect, "aura")


def _tapped(feedback: Feedback, recorder: Recorder) -> Feedback:
    def write(line: str) -> None:
        feedback(line)
        recorder.record("feedback", {"line": line}, seat="aura", about=ids_of(line.encode()))

    return write
