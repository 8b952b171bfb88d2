"""One worker of a load run: it knows what its users sent, sees what comes of it, and accounts for its own ids."""

from __future__ import annotations

import json
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

import httpx2

from harness import __version__, tokens
from harness.agreement import Agreement
from harness.clock import Clock
from harness.errors import HarnessError
from harness.history import encode, wall
from harness.ledger import BROADCAST, DELIVERY, MAPPED, SHOWN, Ledger, Marks, Result
from harness.live.address import shown, trusted
from harness.live.aura import CLOCKS_APART, AuraTarget
from harness.live.synapse import TOPIC, SynapseTarget
from harness.load.recording import Spool
from harness.load.redis_link import Publisher, RefusedError, Server, Subscriber, UnansweredError
from harness.load.screen import Screen
from harness.load.traffic import Traffic
from harness.schema import Validator, compile_schemas
from harness.stomp import Frame, as_event
from harness.synapse.instant import Instant
from harness.synapse.notification import Unstorable, check_columns, read
from harness.synapse.reader import Unreadable

RECORD_PATH: Final = "/action/record"
CONNECTION: Final = "aura-harness-load"
"""Begins the names of its connections to Redis."""
TICK: Final = 0.05
QUIET: Final = 1.0
"""Seconds without an arrival after which nothing more comes, when everything is there; it is up to the options how long
what is missing is waited for."""
MOST_DRAIN: Final = 120.0
"""Seconds of draining beyond that after which it is given up, although messages still come."""
TRIES: Final = 3
TOKEN_SECONDS: Final = tokens.LIFETIME.total_seconds() / 4
PROBE: Final = b"-probe"
_MADE_OF = {"workbench:alert": "alert", "workbench:rag:status": "rag-status", "workbench:case:action": "case-action"}

Fire = Callable[[str, float | None, int, Exception | None], None]
"""Tells a hop, the seconds that it took, the bytes, and what went wrong."""


class LostError(Exception):
    """A message that was due at a hop did not come."""


class MalformedError(Exception):
    """What came is nothing that Synapse can read, or does not conform to the schema of its channel or of a DTO."""


class NotAcceptedError(Exception):
    """A record call was answered 200, and not as the document has it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is loaded. Without `synapse` nobody looks at a screen."""

    redis_url: str
    aura: AuraTarget
    synapse: SynapseTarget | None
    embedded: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A record call that is about to be made."""

    seq: int
    body: bytes
    began: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Load:
    def __init__(
        self,
        run: str,
        worker: int,
        target: Target,
        traffic: Traffic,
        agreement: Agreement,
        clock: Clock,
        fire: Fire,
        spool: Spool | None = None,
        *,
        still: float = 3.0,
    ) -> None:
        """`still` is how many seconds without an arrival what is missing is waited for at the end."""
        self.ledger = Ledger(run, worker, screen=target.synapse is not None)
        self._target = target
        self._traffic = traffic
        self._clock = clock
        self._fire = fire
        self._spool = spool
        self._still = still
        self._marks = Marks(run)
        self._worker = worker
        self._validators: Mapping[str, Validator] = compile_schemas(agreement)
        self._server = Server(target.redis_url)
        name = f"{CONNECTION}-{run}-w{worker}"
        self._publisher_name = f"{name}-publisher"
        self._subscriber = Subscriber(self._server, name, self.take, self._listens, self._lost)
        self._screen = Screen(target.synapse, self.show, self._screen_lost) if target.synapse is not None else None
        self._dark = False
        """Whether the screen was cut off and has shown nothing since."""
        self._lanes = 0
        self._under_way = 0
        self.stopping = False
        """Whether no user may begin anything any more."""
        self._probe = f"{run}-w{worker}".encode() + PROBE
        self._probe_came, self._probe_shown = threading.Event(), threading.Event()
        self._headers: Mapping[str, str] = {}
        self._headers_until = 0.0

    @property
    def url(self) -> str:
        return f"{self._target.aura.url.rstrip('/')}{RECORD_PATH}"

    @property
    def headers(self) -> Mapping[str, str]:
        """Of a record call. A token does not last as long as a run may."""
        if self._clock.elapsed() >= self._headers_until:
            self._headers_until = self._clock.elapsed() + TOKEN_SECONDS
            self._headers = {
                **self._target.aura.headers,
                "Authorization": self._target.aura.authorization(self._clock.now()),
                "X-Tenant-ID": self._target.aura.tenant,
                "Content-Type": "application/json",
            }
        return self._headers

    def start(self) -> None:
        """Returns when everything is listened to and one action has come through. Raises HarnessError that says what
        does not work."""
        self.listen()
        if self._screen is not None:
            self._screen.start()
        self._prove()
        if self._screen is not None:
            self.ledger.listening(BROADCAST, self._clock.elapsed())

    def listen(self) -> None:
        """To Redis alone."""
        self._subscriber.start()

    def settle(self) -> None:
        """Let nobody begin anything, and wait until what was begun has its answer, or no more patience."""
        self.stopping = True
        ends = self._clock.elapsed() + self._target.aura.patience
        while self._under_way and self._clock.elapsed() < ends:
            time.sleep(TICK)

    def drain(self) -> bool:
        """Returns when it is quiet, or after `MOST_DRAIN` although it is not."""
        began = since = self._clock.elapsed()
        seen = -1
        while (now := self._clock.elapsed()) - began < MOST_DRAIN + self._still:
            if self.ledger.arrivals != seen:
                seen, since = self.ledger.arrivals, now
            if now - since >= (QUIET if self.ledger.complete else self._still):
                return True
            time.sleep(TICK)
        return False

    def stop(self, *, drained: bool = True) -> Result:
        """What became of everything. What is lost is told as a failure of its hop, too."""
        self._subscriber.stop()
        if self._screen is not None:
            self._screen.stop()
        for hop in (DELIVERY, BROADCAST) if self._screen is not None else (DELIVERY,):
            for _ in self.ledger.lost(hop):
                self._fire(hop, None, 0, LostError("lost"))
        return self.ledger.result(drained=drained)

    def history(self) -> Iterator[Sequence[str]]:
        """Of a stopped one."""
        if self._spool is not None:
            yield from self._spool.chunks(self.ledger.unclear())
            self._spool.close()

    # ---- What users do ----------------------------------------------------------------------------------------------

    def lane(self) -> int:
        """For one user, who does one thing after the other."""
        self._lanes += 1
        return self._lanes

    @contextmanager
    def sending(self) -> Iterator[None]:
        """A user is about a message."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def publisher(self) -> Publisher:
        return Publisher(self._server, self._publisher_name)

    def call(self, lane: int) -> Call:
        seq = self.ledger.send(self._traffic.settings.case_action_redis_channel, lane, self._clock.elapsed())
        return Call(seq, self._traffic.action(self.ledger.id(seq)), self._clock.now())

    def answered(self, call: Call, answer: Answer) -> Exception | None:
        """What is wrong with an answer. 502 and 504 are a gateway's, which does not know what became of the call."""
        now = self._clock.elapsed()
        wrong: Exception | None = None
        if answer.status == 200:
            self.ledger.accepted(call.seq, now)
            wrong = _not_accepted(answer.body)
        elif answer.status not in (502, 504):
            self.ledger.refused(call.seq, now)
        if self._spool is not None:
            self._keep_call(self._spool, call, answer)
        return wrong

    def failed(self, call: Call, error: BaseException) -> None:
        """No answer came. Where nobody took the connection it was refused, else nobody knows."""
        if isinstance(error, ConnectionRefusedError):
            self.ledger.refused(call.seq, self._clock.elapsed())

    def alert(self, publisher: Publisher, lane: int) -> None:
        self._publish(publisher, lane, self._traffic.settings.workbench_alert_channel, self._traffic.alert)

    def rag_status(self, publisher: Publisher, lane: int) -> None:
        self._publish(publisher, lane, self._traffic.settings.workbench_rag_status_channel, self._traffic.rag_status)

    def _publish(self, publisher: Publisher, lane: int, channel: str, made: Callable[[str], bytes]) -> None:
        seq = len(self.ledger)
        wire = made(self.ledger.id(seq))
        self.ledger.send(channel, lane, self._clock.elapsed())
        try:
            publisher.publish(channel, wire)
        except RefusedError as error:
            self.ledger.refused(seq, self._clock.elapsed())
            self._fire(DELIVERY, None, len(wire), error)
        except UnansweredError as error:
            self._fire(DELIVERY, None, len(wire), error)
        else:
            self.ledger.accepted(seq, self._clock.elapsed())

    # ---- What comes -------------------------------------------------------------------------------------------------

    def take(self, channel: str, wire: bytes) -> None:
        """Off Redis. Whatever goes wrong here is told at the end, and the next message is taken."""
        try:
            self._take(channel, wire)
        except Exception as error:
            self.ledger.failed(DELIVERY, error)

    def show(self, frame: Frame) -> None:
        """A MESSAGE frame on the screen; as `take`."""
        try:
            self._show(frame)
        except Exception as error:
            self.ledger.failed(BROADCAST, error)

    def _take(self, channel: str, wire: bytes) -> None:
        came = self._clock.elapsed()
        found = self._marks.of(wire)
        if found is None:
            self._take_unknown(channel, wire)
            return
        worker, seq = found
        if worker != self._worker:
            return
        first = self.ledger.delivered(seq)
        if seq >= len(self.ledger):
            return
        if first:
            self._fire(DELIVERY, came - self.ledger.sent_at(seq), len(wire), None)
            self._map(channel, wire, seq, came)
        if self._spool is not None:
            self._keep_message(self._spool, seq, channel, wire)

    def _show(self, frame: Frame) -> None:
        came = self._clock.elapsed()
        if self._dark:
            self._dark = False
            self.ledger.listening(BROADCAST, came)
        found = self._marks.of(frame.body)
        if found is None:
            if self._probe in frame.body:
                self._probe_shown.set()
            return
        worker, seq = found
        if worker != self._worker or frame.headers.get("destination", TOPIC) != TOPIC:
            return
        if self.ledger.broadcast(seq):
            wrong = self._not_conforming("notification-dto", frame.body)
            if wrong is not None:
                self.ledger.misshown(seq)
            self._fire(BROADCAST, None if wrong else came - self.ledger.sent_at(seq), len(frame.body), wrong)
        if self._spool is not None:
            data = as_event(frame) | {"subscription": "load"}  # each worker has its own, and keeps its own messages
            self._spool.keep(seq, "broadcast", data, "synapse", {})

    def _take_unknown(self, channel: str, wire: bytes) -> None:
        worker = self._marks.worker(wire)
        if self._probe in wire:
            self._probe_came.set()
        elif worker is None:
            self.ledger.foreign(channel, wire[:SHOWN].decode(errors="backslashreplace"))
        elif worker == self._worker and PROBE not in wire:
            self.ledger.garbled(channel, wire[:SHOWN].decode(errors="backslashreplace"))
            if self._spool is not None:
                self._spool.keep(None, "published", {"channel": channel, "wire": encode(wire)}, None, {})

    def _map(self, channel: str, wire: bytes, seq: int, came: float) -> None:
        """As Synapse does, up to what it would store; then whether it is what the channel is for."""
        try:
            check_columns(read(channel, wire, Instant.of_epoch_nano(time.time_ns())))
        except (Unreadable, Unstorable) as error:
            wrong: Exception | None = MalformedError(str(error))
        else:
            took = self._clock.elapsed() - came
            wrong = self._misplaced(channel, seq) or self._not_conforming(_MADE_OF.get(channel, "notification"), wire)
        if wrong is not None:
            self.ledger.malformed(seq)
            self._fire(MAPPED, None, len(wire), wrong)
        else:
            self._fire(MAPPED, took, len(wire), None)

    def _misplaced(self, channel: str, seq: int) -> Exception | None:
        due = self.ledger.channel(seq)
        return None if channel == due else MalformedError(f"came on {channel}, {due} was expected")

    def _not_conforming(self, schema: str, wire: bytes) -> Exception | None:
        validator = self._validators[schema]
        try:
            value = json.loads(wire)
        except (ValueError, RecursionError) as error:
            return MalformedError(f"no JSON, {schema} was expected ({error})")
        if validator.is_valid(value):
            return None
        return MalformedError(f"does not conform to {validator.name}: {validator.violations(value)[0].reason}")

    # ---- Connections ------------------------------------------------------------------------------------------------

    def _listens(self) -> None:
        self.ledger.listening(DELIVERY, self._clock.elapsed())

    def _lost(self, why: str) -> None:
        self.ledger.cut(DELIVERY, why)

    def _screen_lost(self, why: str) -> None:
        self._dark = True
        self.ledger.cut(BROADCAST, why)

    def _prove(self) -> None:
        """STOMP does not confirm a subscription, so that it may take more than one action to see one there."""
        for _ in range(TRIES):
            self._must_be_recorded()
            if not self._probe_came.wait(self._target.aura.patience):
                raise HarnessError(
                    f"--redis-url {self._server.shown}: an action was accepted at {shown(self.url)} and nothing of it "
                    "came on workbench:*; give the Redis that this Aura publishes on (also HARNESS_REDIS_URL)"
                )
            if self._target.synapse is None or self._probe_shown.wait(self._target.synapse.patience / TRIES):
                return
        assert self._target.synapse is not None
        raise HarnessError(
            f"--synapse {shown(self._target.synapse.url)}: {TRIES} messages were published and no notification of them "
            f"came on {TOPIC}; give the Synapse that uses this Redis (also HARNESS_SYNAPSE_URL)"
        )

    def _must_be_recorded(self) -> None:
        target = self._target.aura
        secure = self.url.startswith("https")
        try:
            with httpx2.Client(verify=trusted(target.verify) if secure else False, trust_env=False) as client:
                answer = client.post(
                    self.url,
                    content=self._traffic.action(self._probe.decode()),
                    headers=self.headers,
                    timeout=target.patience,
                )
        except httpx2.TransportError as error:
            raise HarnessError(f"--host {shown(target.url)}: cannot be reached ({error}); correct the URL") from error
        if answer.status_code != 200:
            hint = {401: "correct the secret (HARNESS_AURA_SECRET) or the token", 404: "correct the path of the URL"}
            raise HarnessError(
                f"--host {shown(target.url)}: a valid call was answered {answer.status_code}, 200 was expected; "
                f"{hint.get(answer.status_code, 'see its log')}"
            )

    # ---- What is kept for the history -------------------------------------------------------------------------------

    def _keep_call(self, spool: Spool, call: Call, answer: Answer) -> None:
        target = self._target.aura
        id_ = self.ledger.id(call.seq)
        data = {
            "method": "POST",
            "path": f"{target.prefix}{RECORD_PATH}",
            "query": "",
            "headers": {
                name.lower(): "***" if name == "Authorization" else value for name, value in self.headers.items()
            },
            "auth": {"token": "valid", "tenant": target.tenant},
            "body": encode(call.body),
            "began_wall": wall(call.began),
            "status": answer.status,
            "answer_headers": {name.lower(): value for name, value in answer.headers.items()},
            "answer": encode(answer.body),
        }
        spool.keep(call.seq, "http", data, "aura", {"case": f"{id_}-case", "request": id_})

    def _keep_message(self, spool: Spool, seq: int, channel: str, wire: bytes) -> None:
        """An action's is Aura's; the others are published by the load itself, and no promise of Aura's."""
        of_aura = self.ledger.channel(seq) == self._traffic.settings.case_action_redis_channel
        id_ = self.ledger.id(seq)
        about = {"case": f"{id_}-case", "request": id_} if of_aura else {}
        spool.keep(seq, "published", {"channel": channel, "wire": encode(wire)}, None if of_aura else "harness", about)


def described(target: Target, agreement: Agreement, seed: int, redis: str, command: Sequence[str]) -> dict[str, Any]:
    """What the first event of a history says. Seats in processes of their own have clocks of their own."""
    seats = {"aura": "simulated" if target.embedded else shown(target.aura.url)}
    if target.synapse is not None:
        seats["synapse"] = "simulated" if target.embedded else shown(target.synapse.url)
    return {
        "harness": __version__,
        "agreement": agreement.version,
        "seats": seats,
        "reach": ["http", "redis", *(["stomp"] if target.synapse is not None else [])],
        "redis": redis,
        "seed": seed,
        "tolerance": 0.1 if target.embedded else CLOCKS_APART,
        "time": "wall",
        "command": list(command),
        "load": True,
        "versions": {"python": platform.python_version(), "redis": version("redis")},
    }


def _not_accepted(body: bytes) -> Exception | None:
    try:
        data = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        return NotAcceptedError("200, and no envelope with data")
    return None if data == {"ok": True, "logged": True} else NotAcceptedError(f"200, and data {data}")
