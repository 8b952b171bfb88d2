"""The backend's side of an approval that somebody else's test has started: found on Redis, answered, and recorded.

For a team whose Aura asks people in its own tests and names no trigger for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any
from urllib.parse import quote

from harness.agreement import Agreement
from harness.aura.hitl import channel_of
from harness.bus import Bus, open_bus, stop_if_cancelled
from harness.clock import Clock, WallClock
from harness.errors import HarnessError
from harness.history import History, Recorder
from harness.http import call
from harness.live.triggers import AFTERWARDS, LOOK_AGAIN, object_of, published
from harness.redaction import Redaction
from harness.runner import SynapseSeat, described, quiet, simulated_synapse, to_its_end
from harness.seats import Settings

REACH = ("redis", "stomp", "rest", "trigger:hitl", "trigger:action")
TIMEOUT = "hitl-timeout"
SETTLE = 0.2
PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says; `approved` is None where nobody says anything, until Aura's time is up."""

    approved: bool | None
    user: str = "aura-harness"
    reason: str | None = None

    @property
    def verb(self) -> str:
        return "approve" if self.approved else "reject"


@dataclass(frozen=True, slots=True)
class _Question:
    key: str
    request: str
    tenant: int
    case: str
    document: str


async def attach(
    agreement: Agreement,
    session: str,
    answer: Answer,
    settings: Settings,
    redis_url: str,
    *,
    hitl_timeout: float | None,
    patience: float,
    command: tuple[str, ...],
    redact: Redaction | None = None,
    out: IO[str] | None = None,
) -> History:
    """`hitl_timeout` is how many seconds that Aura waits for an answer, if that is known; it has to be where nobody
    answers. `patience` is how long it is waited for to ask.

    An interrupted one keeps what it recorded, and is not `complete`. Raises HarnessError where nobody asks in this
    session within that time.
    """
    clock = WallClock()
    recorder = Recorder(clock, out, redact.of_event) if redact else Recorder(clock, out)
    marks = {session.encode()}
    synapse = dataclasses.replace(settings.synapse, action_follow_up="signal")
    async with open_bus(redis_url) as bus:
        reach = (*REACH, *([] if hitl_timeout is None else [TIMEOUT]))
        told = described(agreement, bus, 1, reach, command, time="wall")
        seats = {**told["seats"], "aura": f"session {session}"}
        recorder.record("run", told | {"seats": seats, "tolerance": 5.0})
        bus.leave_alone(lambda wire: any(mark in wire for mark in marks))
        with to_its_end(bus, recorder):
            await bus.tap(recorder)
            async with simulated_synapse(bus, recorder, clock, 1, synapse, _records_nothing) as backend:
                question = await _asked(bus, recorder, clock, session, hitl_timeout, patience)
                marks |= {question.request.encode(), question.case.encode()} - {b""}
                seen = len(recorder)
                await _answer(backend, question, answer)
                stop_if_cancelled()
                until = AFTERWARDS if answer.approved is not None else AFTERWARDS + (hitl_timeout or 0.0)
                with suppress(TimeoutError):
                    async with asyncio.timeout(until):
                        await published(recorder, question.request, seen)
                await quiet(recorder, SETTLE)
                bus.must_have_listened()
    return recorder.history()


async def _asked(
    bus: Bus, recorder: Recorder, clock: Clock, session: str, hitl_timeout: float | None, patience: float
) -> _Question:
    """Returns when Aura listens for the answer. Who listens is looked at before what is stored."""
    channel = channel_of(session)
    began = None
    try:
        async with asyncio.timeout(patience):
            while True:
                looked = recorder.elapsed()
                listening = await bus.listeners(channel)
                found = await _stored(bus, session)
                if listening:
                    break
                began = looked
                stop_if_cancelled()
                await asyncio.sleep(LOOK_AGAIN)
    except TimeoutError as error:
        raise HarnessError(
            f"--attach {session}: within {patience:g} s nobody listened on {channel}; start the test that asks in this "
            "session (--patience S waits longer)"
        ) from error
    if found is None:
        raise HarnessError(
            f"--attach {session}: somebody listens on {channel}, and no hitl:request:* names this session"
        )
    key, request = found
    question = _question(key, request)
    about = {"case": question.case, "request": question.request, "session": session}
    ttl = await bus.expires_in(key)
    recorder.record(
        "hitl_request", {"do": "stored", "key": key, "ttl": ttl, "request": request}, seat="aura", about=about
    )
    # Whoever listened before the first look may have begun to right after the request was made.
    if began is None:
        began = looked - (0.0 if hitl_timeout is None else _age(request, clock, hitl_timeout))
    data = {"do": "waiting", "channel": channel, "timeout": hitl_timeout, "began": began}
    recorder.record("hitl_request", data, seat="aura", about=about)
    return question


async def _stored(bus: Bus, session: str) -> tuple[str, Mapping[str, Any]] | None:
    """Of the requests of this session that are still stored, long after their ends, the last one that waits: by when
    they were made, and where one of them does not say so, by how long they will stay."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for key in await bus.keys("hitl:request:*"):
        request = object_of(await bus.fetch(key) or "")
        if isinstance(request, dict) and request.get("sessionId") == session:
            found.append((key, request))
    found = [(key, request) for key, request in found if request.get("status") == PENDING] or found
    made = {key: moment for key, request in found if (moment := _made(request)) is not None}
    if len(made) == len(found):
        return max(found, key=lambda each: made[each[0]], default=None)
    stays = {key: await bus.expires_in(key) or 0 for key, _ in found}
    return max(found, key=lambda each: stays[each[0]])


def _made(request: Mapping[str, Any]) -> datetime | None:
    """When, if it says so with an offset."""
    try:
        made = datetime.fromisoformat(str(request.get("createdAt")))
    except ValueError:
        return None
    return None if made.tzinfo is None else made


def _age(request: Mapping[str, Any], clock: Clock, hitl_timeout: float) -> float:
    """Seconds since it was made, as far as it says so; it cannot be older than what Aura waits."""
    made = _made(request)
    age = hitl_timeout if made is None else (clock.now() - made).total_seconds()
    return min(max(0.0, age), hitl_timeout)


def _question(key: str, request: Mapping[str, Any]) -> _Question:
    found = request.get("context")
    context = found if isinstance(found, dict) else {}
    tenant = str(request.get("tenantId", ""))
    return _Question(
        key=key,
        request=key.removeprefix("hitl:request:"),
        tenant=int(tenant) if tenant.isascii() and tenant.isdigit() else 0,
        case=str(context.get("caseId") or context.get("case_id") or ""),
        document=str(context.get("docKey") or context.get("doc_key") or ""),
    )


async def _answer(backend: SynapseSeat, question: _Question, answer: Answer) -> None:
    """As the backend answers: history and document first, then the signal, which it keeps and publishes."""
    if answer.approved is None:
        return
    if question.case:
        documents = (question.document,) if question.document else ()
        backend.system.cases.create(question.tenant, question.case, documents)
    body = {"userId": answer.user, **({} if answer.reason is None else {"reason": answer.reason})}
    path = f"/api/aura/hitl/{answer.verb}/{quote(question.request, safe='')}"
    status, said = await call(backend.app, "POST", path, body, {"X-Tenant-ID": str(question.tenant)})
    if status != 200:
        raise HarnessError(f"--attach: the answer to {question.request} was refused with {status}: {said}")


async def _records_nothing(body: dict[str, object]) -> int:
    return 200
