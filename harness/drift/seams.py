"""Where a deviation takes hold of a seat: a wrapper for each seam, which leaves everything else as it is."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.aura.actions import Actions, Feedback
from harness.aura.app import create_app
from harness.aura.hitl import Approvals, Redis
from harness.aura.parts import Parts as AuraParts
from harness.aura.publishers import Action, Encode, Publish, Publishers, encoded
from harness.aura.settings import Settings as AuraSettings
from harness.clock import Clock
from harness.http import headers_of, read_body, replay
from harness.seats import Parts
from harness.synapse.broadcast import Broadcast
from harness.synapse.instant import Instant
from harness.synapse.listener import Broadcasts, GiveWay, NotificationListener
from harness.synapse.notification import NotificationDto, to_tree
from harness.synapse.parts import Parts as SynapseParts
from harness.synapse.store import Store
from harness.synapse.writer import write

Json = dict[str, Any]

COMMON = ("type", "category", "message", "timestamp")


def aura(**parts: Any) -> Parts:
    return Parts(aura=AuraParts(**parts))


def synapse(**parts: Any) -> Parts:
    return Parts(synapse=SynapseParts(**parts))


# ---- What Aura publishes ---------------------------------------------------------------------------------------------


def payload(change: Callable[[Json], Json]) -> Parts:
    """A notification before it is encoded."""
    return bytes_of(lambda notification: encoded(change(notification)))


def bytes_of(encode: Encode) -> Parts:
    """A notification as it is encoded."""
    return aura(publishers=lambda settings, publish, clock: Publishers(settings, publish, clock, encode))


def publishing(wrap: Callable[[Publish], Publish]) -> Parts:
    """The bytes before they are published, with their channel."""
    return aura(publishers=lambda settings, publish, clock: Publishers(settings, wrap(publish), clock))


def told_at(change: Callable[[Clock], Clock]) -> Parts:
    """The clock that timestamps are taken from."""
    return aura(publishers=lambda settings, publish, clock: Publishers(settings, publish, change(clock)))


# ---- What Aura does about an action ----------------------------------------------------------------------------------


def feedback(wrap: Callable[[Feedback], Feedback]) -> Parts:
    """A feedback line before it is written."""
    return aura(actions=lambda publishers, write, clock: Actions(publishers, wrap(write), clock))


def logged_as(change: Callable[[Json], Json]) -> Parts:
    """What stands in a feedback line."""

    def wrap(write: Feedback) -> Feedback:
        return lambda line: write(json.dumps(change(json.loads(line)), ensure_ascii=False))

    return feedback(wrap)


@dataclass(frozen=True, slots=True)
class Recording(Actions):
    """Records what becomes of an action instead of it."""

    change: Callable[[Action], Sequence[Action]] = lambda action: (action,)

    async def record(self, action: Action) -> None:
        for each in self.change(action):
            await Actions.record(self, each)


def recorded_by(make: Callable[[Publishers, Feedback, Clock], Actions]) -> Parts:
    """Who records a person's answer, or a timeout."""

    def made(settings: AuraSettings, redis: Redis, actions: Actions, clock: Clock) -> Approvals:
        recording = make(actions.publishers, actions.feedback, actions.clock)
        return Approvals(settings, redis, recording, clock)

    return aura(approvals=made)


def outcomes(change: Callable[[], Callable[[Action], Sequence[Action]]]) -> Parts:
    """What is recorded of them; a change for each Aura, for it may remember."""
    return recorded_by(lambda publishers, feedback, clock: Recording(publishers, feedback, clock, change()))


def patience(part: float) -> Parts:
    """Waits for this part of the time that it was told to wait."""

    def made(settings: AuraSettings, redis: Redis, actions: Actions, clock: Clock) -> Approvals:
        changed = replace(settings, hitl_timeout_seconds=part * settings.hitl_timeout_seconds)
        return Approvals(changed, redis, actions, clock)

    return aura(approvals=made)


# ---- Aura's request handler ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of the record endpoint; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def without(self, name: str) -> dict[str, str]:
        return {key: value for key, value in self.headers.items() if key != name}

    @property
    def json(self) -> Json:
        """Empty where the body is no object."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, status: int, value: object) -> Answered:
        return cls(status, {"content-type": "application/json"}, json.dumps(value, ensure_ascii=False).encode())

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"null")

    def saying(self, value: object) -> Answered:
        return replace(self, body=json.dumps(value, ensure_ascii=False).encode())


@dataclass(frozen=True, slots=True)
class Handler:
    """Stands before Aura's application. Without an answer of its own it passes the call on, perhaps as another."""

    settings: AuraSettings
    actions: Actions
    clock: Clock
    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Asked(scope["method"], scope["path"], headers_of(scope["headers"]), await read_body(receive))
        passed = self.ask(asked)
        answered = passed if isinstance(passed, Answered) else await self._pass_on(scope, passed)
        changed = await self.answer(asked, answered)
        headers = {**changed.headers, "content-length": str(len(changed.body))}
        await send({"type": "http.response.start", "status": changed.status, "headers": _raw(headers)})
        await send({"type": "http.response.body", "body": changed.body})

    def ask(self, asked: Asked) -> Asked | Answered:
        return asked

    async def answer(self, asked: Asked, answered: Answered) -> Answered:
        return answered

    async def _pass_on(self, scope: Scope, asked: Asked) -> Answered:
        status, headers, body = 500, dict[str, str](), b""

        async def keep(message: Message) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], headers_of(message["headers"])
            else:
                body += message.get("body", b"")

        headers_asked = {**asked.headers, "content-length": str(len(asked.body))}
        changed = {**scope, "method": asked.method, "headers": _raw(headers_asked)}
        await self.app(changed, replay(asked.body), keep)
        return Answered(status, headers, body)


def handled_by(kind: type[Handler]) -> Parts:
    def made(settings: AuraSettings, actions: Actions, clock: Clock) -> ASGIApp:
        return kind(settings, actions, clock, create_app(settings, actions, clock))

    return aura(app=made)


def asking(change: Callable[[Asked, Handler], Asked | Answered]) -> Parts:
    class Asking(Handler):
        def ask(self, asked: Asked) -> Asked | Answered:
            return change(asked, self)

    return handled_by(Asking)


def answering(change: Callable[[Answered], Answered]) -> Parts:
    class Answering(Handler):
        async def answer(self, asked: Asked, answered: Answered) -> Answered:
            return change(answered)

    return handled_by(Answering)


def accepted_as(change: Callable[[Json], object]) -> Parts:
    """The body of the answer to a call that was accepted."""
    return answering(lambda answered: answered.saying(change(answered.json)) if answered.status == 200 else answered)


def refused_as(status: int, change: Callable[[Answered], Answered]) -> Parts:
    """The answer to a call that was refused so."""
    return answering(lambda answered: change(answered) if answered.status == status else answered)


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


# ---- What Synapse does with a message --------------------------------------------------------------------------------

Handle = Callable[[str, bytes], Awaitable[None]]
Remap = Callable[[NotificationDto, str, bytes, Instant], NotificationDto]


def listening(make: Callable[[NotificationListener], Handle]) -> Parts:
    """Everything that is done with what was received; made for each Synapse, for it may remember."""

    def made(store: Store, broadcast: Broadcasts, clock: Clock, give_way: GiveWay) -> Handle:
        return make(NotificationListener(store, broadcast, clock, give_way))

    return synapse(listener=made)


def only(takes: Callable[[str, bytes], bool]) -> Parts:
    """What is handled of all that was received."""

    def make(listener: NotificationListener) -> Handle:
        async def handle(channel: str, wire: bytes) -> None:
            if takes(channel, wire):
                await listener(channel, wire)

        return handle

    return listening(make)


def mapping(change: Remap) -> Parts:
    """What a message becomes, given what it should become, the message, and the time."""

    class Mapping(NotificationListener):
        def read(self, channel: str, wire: bytes) -> NotificationDto:
            return change(NotificationListener.read(self, channel, wire), channel, wire, self.now())

    return synapse(listener=Mapping)


def remapped(change: Callable[[NotificationDto], NotificationDto]) -> Parts:
    """The same, where the message itself is not asked again."""
    return mapping(lambda dto, channel, wire, now: change(dto))


def in_payload(change: Callable[[Json], Any]) -> Parts:
    return remapped(lambda dto: dto if dto.payload is None else replace(dto, payload=change(dto.payload)))


def broadcast_as(change: Callable[[Json], Json]) -> Parts:
    """A notification as it is sent to browsers."""

    class Changed(Broadcast):
        def written(self, dto: NotificationDto) -> bytes:
            return write(change(to_tree(dto)))

    return synapse(broadcast=Changed)
