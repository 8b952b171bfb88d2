"""How Aura's approval requests drift: what is stored, whose answer is taken, when time is up, and what is recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from harness.aura.actions import Actions
from harness.aura.hitl import TIMED_OUT, ApprovalRequest, Approvals, Listening, Redis, channel_of
from harness.aura.publishers import Action
from harness.aura.settings import Settings as AuraSettings
from harness.clock import Clock
from harness.drift.deviation import Deviation
from harness.drift.seams import Json, aura, outcomes, patience, recorded_by
from harness.runner import TappedLink
from harness.seats import Parts, Settings

_of = partial(Deviation.of, "aura")

Change = Callable[[Action], Sequence[Action]]


def _on_timeout(change: Change) -> Parts:
    return outcomes(lambda: lambda action: change(action) if action.comment == TIMED_OUT else (action,))


def _on_answer(change: Change) -> Parts:
    return outcomes(lambda: lambda action: (action,) if action.comment == TIMED_OUT else change(action))


def _with(**fields: object) -> Change:
    return lambda action: (replace(action, **fields),)  # type: ignore[arg-type]


def _remembered(name: str) -> Parts:
    """A field of the request before."""

    def change() -> Change:
        values: list[object] = ["h-nobody"]

        def one(action: Action) -> Sequence[Action]:
            values.append(getattr(action, name))
            return _with(**{name: values[-2]})(action)

        return one

    return outcomes(change)


def _any_request(settings: Settings) -> Settings:
    return replace(settings, aura=replace(settings.aura, hitl_compares_request=False))


class Untold(Actions):
    async def record(self, action: Action) -> None:
        self.feedback(self.line(action))


class StoredLast(Approvals):
    """Listens before it stores, so that an answer that comes at once is not missed."""

    async def ask(self, request: ApprovalRequest) -> asyncio.Task[Action | None]:
        listening = await self.listen(request)
        await self.store(request)
        return self.wait(request, listening)


@dataclass(frozen=True, slots=True)
class Storing:
    """Redis, with something else stored as the request."""

    redis: Redis
    change: Callable[[Json], Json]

    async def store(self, key: str, text: str, seconds: int) -> None:
        told = (
            json.dumps(self.change(json.loads(text)), ensure_ascii=False) if key.startswith("hitl:request:") else text
        )
        await self.redis.store(key, told, seconds)

    async def fetch(self, key: str) -> str | None:
        return await self.redis.fetch(key)

    async def listen(self, channel: str) -> Listening:
        return await self.redis.listen(channel)


def _stored_as(change: Callable[[Json], Json]) -> Parts:
    def made(settings: AuraSettings, redis: Redis, actions: Actions, clock: Clock) -> Approvals:
        return Approvals(settings, Storing(redis, change), actions, clock)

    return aura(approvals=made)


@dataclass(frozen=True, slots=True)
class Everywhere:
    """Hears what comes on its own channel, and on those of other sessions what names its request."""

    own: Listening
    all: Listening
    channel: str
    request: bytes

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        async for channel, wire in self.all:
            if channel == self.channel or self.request in wire:
                yield self.channel, wire

    async def close(self) -> None:
        await self.all.close()
        await self.own.close()


class AnySession(Approvals):
    """Subscribes to the pattern, and looks for its request only."""

    async def listen(self, request: ApprovalRequest) -> Listening:
        assert isinstance(self._redis, TappedLink)  # an Aura alone subscribes to no pattern
        everything = await self._redis.link.subscribe("hitl:channel:*")
        own, request_id = await Approvals.listen(self, request), request.request_id.encode()
        return Everywhere(own, everything, channel_of(request.session_id), request_id)


DEVIATIONS = (
    _of(
        "outcomes-untold",
        "An outcome is logged; whoever answered knows it already.",
        "hitl.approve-recorded hitl.reject-recorded hitl.timeout-recorded",
        recorded_by(Untold),
    ),
    _of(
        "document-not-logged",
        "An outcome is about the case, so the line names no document.",
        "hitl.feedback",
        outcomes(lambda: _with(doc_key=None)),
        also="http.logged",
    ),
    _of(
        "approvals-twice",
        "Both the stream and the signal handler record an answer.",
        "hitl.approve-recorded hitl.reject-recorded hitl.feedback",
        _on_answer(lambda action: (action, action)),
        also="http.logged publish.once",
    ),
    _of(
        "rejections-dropped",
        "A rejection ends the session, and with it the task that records.",
        "hitl.reject-recorded hitl.feedback",
        _on_answer(lambda action: (action,) if action.approved else ()),
    ),
    _of(
        "rejections-approved",
        "Any answer is an approval; `type` was not looked at.",
        "hitl.reject-recorded",
        _on_answer(_with(approved=True)),
        also="hitl.other-session hitl.other-request",
    ),
    _of(
        "executor-of-another-request",
        "The executor is taken from the request before.",
        "hitl.approve-recorded hitl.reject-recorded hitl.feedback publish.echo",
        _remembered("executor_id"),
        also="http.logged",
    ),
    _of(
        "case-of-another-request",
        "The context is a default argument, and so the same for all.",
        "hitl.feedback",
        _remembered("case_id"),
        also="http.logged publish.echo hitl.approve-recorded hitl.reject-recorded",
    ),
    _of(
        "timeout-early",
        "The timer is set to 70 % of the timeout, to be on the safe side.",
        "hitl.deadline",
        patience(0.7),
    ),
    _of(
        "timeout-late",
        "The timer is set to 1.6 times the timeout, as people are slow.",
        "hitl.deadline",
        patience(1.6),
        also="hitl.timeout-recorded hitl.feedback",
    ),
    _of(
        "timeout-twice",
        "The timer and the sweeper both record a timeout.",
        "hitl.timeout-recorded hitl.feedback",
        _on_timeout(lambda action: (action, action)),
    ),
    _of(
        "timeout-dropped",
        "On a timeout the task just ends.",
        "hitl.timeout-recorded hitl.feedback",
        _on_timeout(lambda action: ()),
    ),
    _of(
        "timeout-approves",
        "Nobody objected, so it is approved.",
        "hitl.timeout-recorded",
        _on_timeout(_with(approved=True)),
    ),
    _of("timeout-unnamed", "The comment is for people.", "hitl.timeout-recorded", _on_timeout(_with(comment=None))),
    _of(
        "any-session",
        "One subscription to hitl:channel:* serves all.",
        "hitl.other-session",
        aura(approvals=AnySession),
    ),
    _of(
        "any-request",
        "The first answer on my session's channel decides, as it is deployed.",
        "hitl.other-request",
        None,
        _any_request,
    ),
    _of(
        "stored-last",
        "Listen first, so that nothing is missed, then store.",
        "hitl.request-stored",
        aura(approvals=StoredLast),
    ),
    _of(
        "stored-without-session",
        "The session id is in the key of the other record.",
        "hitl.request-stored",
        _stored_as(lambda request: {name: value for name, value in request.items() if name != "sessionId"}),
        also="http.refused-not-logged publish.none-when-refused publish.echo publish.agree delivery.nothing-invented",
    ),
)
