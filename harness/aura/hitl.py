"""Asking a person: the request is stored, then Aura listens on the session's channel until an answer or the deadline.

As deployed, the first answer on the channel decides, whatever request it names; a setting has the names compared.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from redis.exceptions import RedisError

from harness.aura.actions import Actions
from harness.aura.publishers import Action
from harness.aura.settings import Settings
from harness.clock import Clock

log = logging.getLogger("harness.aura")

REQUEST_SECONDS = 1800
SESSION_SECONDS = 3600
RECONNECT_SECONDS = 0.1
TIMED_OUT = "HITL timeout"
_TYPES = ("approval", "rejection")


class Listening(Protocol):
    """Iterating raises ConnectionError when the connection is lost."""

    def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]: ...

    async def close(self) -> None: ...


class Redis(Protocol):
    async def store(self, key: str, text: str, seconds: int) -> None: ...

    async def fetch(self, key: str) -> str | None: ...

    async def listen(self, channel: str) -> Listening:
        """Returns when Redis has confirmed it."""


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What a person is asked. `context` names the case, and perhaps the document; the user becomes the executor."""

    request_id: str
    session_id: str
    user_id: str
    tenant_id: str
    context: Mapping[str, Any]
    action_type: str = "CASE_ACTION"


class Approvals:
    def __init__(self, settings: Settings, redis: Redis, actions: Actions, clock: Clock) -> None:
        self._timeout = settings.hitl_timeout_seconds
        self._compares = settings.hitl_compares_request
        self._redis = redis
        self._actions = actions
        self._clock = clock
        self._waiting: set[asyncio.Task[Action | None]] = set()

    async def ask(self, request: ApprovalRequest) -> asyncio.Task[Action | None]:
        """Returns when Aura listens for the answer. The task ends when what came of it is recorded, and tells it: None
        where nothing could be recorded."""
        await self.store(request)
        return self.wait(request, await self.listen(request))

    async def store(self, request: ApprovalRequest) -> None:
        ids = {"requestId": request.request_id, "sessionId": request.session_id}
        who = {"userId": request.user_id, "tenantId": request.tenant_id, "createdAt": self._clock.now().isoformat()}
        what = {"actionType": request.action_type, "context": dict(request.context), "status": "pending"}
        await self._redis.store(key_of(request.request_id), _json({**ids, **what, **who}), REQUEST_SECONDS)
        await self._redis.store(f"hitl:session:{request.session_id}", _json({**ids, **who}), SESSION_SECONDS)

    async def listen(self, request: ApprovalRequest) -> Listening:
        return await self._redis.listen(channel_of(request.session_id))

    def wait(self, request: ApprovalRequest, listening: Listening) -> asyncio.Task[Action | None]:
        """From now on until the deadline; what was listened with is closed then."""
        deadline = asyncio.get_running_loop().time() + self._timeout
        task = asyncio.create_task(self._outcome(request, listening, deadline), name=f"hitl {request.request_id}")
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

    async def close(self) -> None:
        """Ends the waits that are left, and records nothing for them."""
        await asyncio.sleep(0)  # a task that is cancelled before it began would not end its subscription
        left = tuple(self._waiting)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _outcome(self, request: ApprovalRequest, listening: Listening, deadline: float) -> Action | None:
        signal = await self._signal(request, listening, deadline)
        try:
            action = await self._action(request.request_id, signal)
        except (OSError, RedisError) as error:
            log.warning("request %s cannot be read, nothing is recorded: %s", request.request_id, error)
            return None
        if action is not None:
            await self._actions.record(action)
        return action

    async def _signal(self, request: ApprovalRequest, listening: Listening, deadline: float) -> dict[str, Any] | None:
        """The answer; None when time is up. Like its client, Aura subscribes again to what it lost."""
        channel = channel_of(request.session_id)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    while True:
                        try:
                            return await _first(listening, request.request_id if self._compares else None)
                        except ConnectionError as error:
                            log.warning("%s: %s", channel, error)
                        lost, listening = listening, await self._again(channel)
                        await lost.close()
            return None
        finally:
            with suppress(OSError, RedisError):
                await listening.close()

    async def _again(self, channel: str) -> Listening:
        while True:
            try:
                return await self._redis.listen(channel)
            except (OSError, RedisError) as error:
                log.debug("%s: %s", channel, error)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _action(self, request_id: str, signal: dict[str, Any] | None) -> Action | None:
        """What is recorded: of whom and what, is read from the stored request."""
        request = _object(await self._redis.fetch(key_of(request_id)) or "")
        context = request.get("context")
        context = context if isinstance(context, dict) else {}
        case_id = context.get("caseId") or context.get("case_id")
        if not case_id:
            log.warning("request %s has expired or names no case: nothing is recorded", request_id)
            return None
        doc_key = context.get("docKey") or context.get("doc_key")
        reason = TIMED_OUT if signal is None else signal.get("reason")
        return Action(
            case_id=str(case_id),
            request_id=request_id,
            executor_id=str(request.get("userId", "")),
            approved=signal is not None and signal["type"] == "approval",
            comment=None if reason is None else str(reason),
            doc_key=None if doc_key is None else str(doc_key),
        )


def key_of(request_id: str) -> str:
    return f"hitl:request:{request_id}"


def channel_of(session_id: str) -> str:
    return f"hitl:channel:{session_id}"


async def _first(listening: Listening, request_id: str | None) -> dict[str, Any]:
    """The first message that is an answer at all, and to this request, where one is given."""
    async for channel, wire in listening:
        signal = _object(wire)
        if signal.get("type") in _TYPES and request_id in (None, signal.get("requestId")):
            return signal
        log.warning("%s: a message that is no answer", channel)
    raise ConnectionError("the subscription ended")


def _object(text: str | bytes) -> dict[str, Any]:
    """Empty for what is no JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
