"""Asking a person: what is stored, what decides, and what is recorded of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from harness.aura.actions import Actions
from harness.aura.hitl import ApprovalRequest, Approvals, channel_of, key_of
from harness.aura.publishers import Action, Publishers
from harness.aura.settings import Settings
from harness.bus import Bus, Link, open_bus
from harness.clock import VirtualClock
from harness.virtual import run

Json = dict[str, Any]

ASKED = ApprovalRequest(
    request_id="request-1",
    session_id="session-1",
    user_id="user-1",
    tenant_id="7",
    context={"caseId": "case-1", "docKey": "1000-1900000001-2024", "금액": 1_250_000},
)
APPROVED: Json = {"type": "approval", "requestId": "request-1", "status": "approved", "timestamp": 1770820201.0}
REJECTED: Json = {"type": "rejection", "requestId": "request-1", "status": "rejected", "timestamp": 1770820201.0}


@dataclass(frozen=True, slots=True)
class Aura:
    approvals: Approvals
    bus: Bus
    link: Link
    lines: list[Json]
    published: list[Json]

    async def answer(self, signal: Json | bytes, session: str = "session-1") -> int:
        wire = signal if isinstance(signal, bytes) else json.dumps(signal, ensure_ascii=False).encode()
        return await self.bus.publisher("synapse")(channel_of(session), wire)


@asynccontextmanager
async def aura(url: str | None = None, settings: Settings | None = None) -> AsyncIterator[Aura]:
    lines: list[Json] = []
    published: list[Json] = []

    async def publish(channel: str, wire: bytes) -> int:
        published.append(json.loads(wire))
        return 1

    settings, clock = settings or Settings(), VirtualClock()
    async with open_bus(url) as bus:
        link = Link(bus, "aura")
        actions = Actions(Publishers(settings, publish, clock), lambda line: lines.append(json.loads(line)), clock)
        approvals = Approvals(settings, link, actions, clock)
        try:
            yield Aura(approvals, bus, link, lines, published)
        finally:
            await approvals.close()


def outcome(
    play: Callable[[Aura, asyncio.Task[Action | None]], Awaitable[object]],
    request: ApprovalRequest = ASKED,
    settings: Settings | None = None,
) -> tuple[Action | None, float]:
    """What is recorded of a request while this is played, and when it was."""

    async def scene() -> tuple[Action | None, float]:
        async with aura(settings=settings) as seat:
            task = await seat.approvals.ask(request)
            await play(seat, task)
            action = await task
            assert len(seat.lines) == len(seat.published) == (action is not None)
            return action, asyncio.get_running_loop().time()

    return run(scene())


async def nothing(seat: Aura, task: object) -> None:
    """Nobody answers."""


def test_a_request_is_stored_before_aura_listens(redis_url: str | None) -> None:
    async def scene() -> tuple[Json, Json, list[int | None]]:
        async with aura(redis_url) as seat:
            await seat.approvals.ask(ASKED)
            request = await seat.link.fetch("hitl:request:request-1")
            session = await seat.link.fetch("hitl:session:session-1")
            keys = ("hitl:request:request-1", "hitl:session:session-1")
            return json.loads(request or ""), json.loads(session or ""), [await seat.link.expires_in(k) for k in keys]

    request, session, expiries = asyncio.run(scene())
    created = request.pop("createdAt")
    assert created.endswith("+00:00")
    assert request == {
        "requestId": "request-1",
        "sessionId": "session-1",
        "actionType": "CASE_ACTION",
        "context": {"caseId": "case-1", "docKey": "1000-1900000001-2024", "금액": 1_250_000},
        "status": "pending",
        "userId": "user-1",
        "tenantId": "7",
    }
    assert (session["sessionId"], session["requestId"]) == ("session-1", "request-1")
    assert expiries[0] in (1799, 1800)
    assert expiries[1] in (3599, 3600)


@pytest.mark.parametrize(
    ("signal", "approved", "comment"),
    [
        (APPROVED, True, None),
        (REJECTED, False, None),
        (REJECTED | {"reason": "증빙 부족 🙅"}, False, "증빙 부족 🙅"),
        (APPROVED | {"reason": None}, True, None),
    ],
)
def test_the_answer_is_recorded_with_what_the_request_names(
    signal: Json, approved: bool, comment: str | None, redis_url: str | None
) -> None:
    async def scene() -> Action | None:
        async with aura(redis_url) as seat, asyncio.timeout(10):
            task = await seat.approvals.ask(ASKED)
            assert await seat.answer(signal) == 1
            return await task

    assert asyncio.run(scene()) == Action(
        case_id="case-1",
        request_id="request-1",
        executor_id="user-1",
        approved=approved,
        comment=comment,
        doc_key="1000-1900000001-2024",
    )


def test_a_timeout_is_recorded_as_not_approved_exactly_at_its_deadline() -> None:
    action, at = outcome(nothing)
    assert action is not None
    assert (action.approved, action.comment, action.executor_id, at) == (False, "HITL timeout", "user-1", 300)


def test_an_answer_a_moment_before_the_deadline_counts() -> None:
    async def late(seat: Aura, task: object) -> None:
        await asyncio.sleep(299.999)
        await seat.answer(APPROVED)

    action, at = outcome(late)
    assert action is not None
    assert (action.approved, at) == (True, 299.999)


def test_an_answer_after_the_deadline_is_received_by_nobody() -> None:
    async def too_late(seat: Aura, task: asyncio.Task[Action | None]) -> None:
        await task
        assert await seat.answer(APPROVED) == 0

    action, _ = outcome(too_late)
    assert action is not None
    assert not action.approved


def test_an_answer_before_aura_listens_is_lost() -> None:
    async def scene() -> Action | None:
        async with aura() as seat:
            assert await seat.answer(APPROVED) == 0
            return await (await seat.approvals.ask(ASKED))

    action = run(scene())
    assert action is not None
    assert action.comment == "HITL timeout"


def test_an_answer_of_another_session_resolves_nothing() -> None:
    async def elsewhere(seat: Aura, task: object) -> None:
        assert await seat.answer(APPROVED, session="session-2") == 0

    assert outcome(elsewhere)[1] == 300


def test_as_deployed_the_answer_to_another_request_of_the_session_decides() -> None:
    async def another(seat: Aura, task: object) -> None:
        await asyncio.sleep(1)
        await seat.answer(APPROVED | {"requestId": "request-2"})

    action, at = outcome(another)
    assert action is not None
    assert (action.request_id, action.approved, at) == ("request-1", True, 1)


def test_where_requests_are_compared_only_the_answer_to_the_own_one_decides() -> None:
    async def both(seat: Aura, task: object) -> None:
        await asyncio.sleep(1)
        await seat.answer(APPROVED | {"requestId": "request-2"})
        await asyncio.sleep(1)
        await seat.answer(REJECTED)

    action, at = outcome(both, settings=Settings(hitl_compares_request=True))
    assert action is not None
    assert (action.request_id, action.approved, at) == ("request-1", False, 2)


@pytest.mark.parametrize("wire", [b"", b"?", b"[]", b"\xff", b'{"type":"comment"}', b'{"type":["approval"]}', b"{"])
def test_a_message_that_is_no_answer_decides_nothing(wire: bytes) -> None:
    async def confused(seat: Aura, task: object) -> None:
        await seat.answer(wire)
        await asyncio.sleep(1)
        await seat.answer(APPROVED)

    assert outcome(confused)[1] == 1


@pytest.mark.parametrize(
    ("context", "doc_key"),
    [
        ({"case_id": "case-1", "doc_key": "1000-1"}, "1000-1"),
        ({"caseId": "case-1", "case_id": "case-2"}, None),
        ({"caseId": "", "case_id": "case-1", "docKey": None}, None),
    ],
)
def test_case_and_document_are_named_in_either_spelling(context: Json, doc_key: str | None) -> None:
    action, _ = outcome(nothing, ApprovalRequest("request-1", "session-1", "user-1", "7", context))
    assert action is not None
    assert (action.case_id, action.doc_key) == ("case-1", doc_key)


def test_without_a_case_nothing_is_recorded() -> None:
    asked = ApprovalRequest("request-1", "session-1", "user-1", "7", {"docKey": "1000-1"})
    assert outcome(nothing, asked) == (None, 300)


def test_of_a_request_that_has_expired_nothing_is_recorded() -> None:
    async def expired(seat: Aura, task: object) -> None:
        await seat.bus.delete(key_of("request-1"))
        await seat.answer(APPROVED)

    assert outcome(expired)[0] is None


def test_a_hundred_requests_at_once_are_decided_each_by_its_own_answer() -> None:
    async def scene() -> list[tuple[str, bool]]:
        async with aura() as seat:
            requests = [
                ApprovalRequest(f"request-{n}", f"session-{n}", "user-1", "7", {"caseId": f"case-{n}"})
                for n in range(100)
            ]
            tasks = [await seat.approvals.ask(request) for request in requests]
            for request in requests:
                if request.session_id.endswith("7"):
                    await seat.answer(APPROVED, session=request.session_id)
            recorded = await asyncio.gather(*tasks)
            return [(action.case_id, action.approved) for action in recorded if action is not None]

    assert run(scene()) == [(f"case-{n}", n % 10 == 7) for n in range(100)]


def test_a_connection_that_is_cut_while_aura_waits_is_made_again_and_the_deadline_stays() -> None:
    async def cut(seat: Aura, task: object) -> None:
        await asyncio.sleep(100)
        await seat.link.cut()
        assert await seat.answer(APPROVED) == 0
        await asyncio.sleep(100)
        await seat.link.restore()

    action, at = outcome(cut)
    assert action is not None
    assert (action.comment, at) == ("HITL timeout", 300)


def test_an_answer_after_the_connection_is_restored_counts() -> None:
    async def restored(seat: Aura, task: object) -> None:
        await seat.link.cut()
        await asyncio.sleep(1)
        await seat.link.restore()
        assert await seat.answer(APPROVED) == 1

    assert outcome(restored)[1] == 1


def test_a_request_that_cannot_be_read_at_its_deadline_is_logged_and_nothing_is_recorded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def gone(seat: Aura, task: object) -> None:
        await seat.link.cut()

    assert outcome(gone) == (None, 300)
    assert "request request-1 cannot be read, nothing is recorded: the connection of aura" in caplog.text


def test_what_still_waits_at_the_end_records_nothing(redis_url: str | None) -> None:
    async def scene() -> tuple[list[Json], int]:
        async with aura(redis_url) as seat:
            task = await seat.approvals.ask(ASKED)
            await seat.approvals.close()
            assert task.cancelled()
            return seat.published, await seat.answer(APPROVED)

    assert asyncio.run(scene()) == ([], 0)
