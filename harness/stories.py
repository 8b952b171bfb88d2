"""The approval requests of a gate run, and how each is answered: in time, not at all, by somebody else, too late."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.aura.hitl import ApprovalRequest, channel_of, key_of
from harness.clock import Ids

_TELLING = (0, 3, 5, 7, 8, 11, 12)
A_MOMENT = 0.1
"""The part of Aura's patience that a moment is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the backend publishes when a person has answered."""

    session_id: str
    request_id: str
    approved: bool
    reason: str | None = None

    @property
    def channel(self) -> str:
        return channel_of(self.session_id)

    def wire(self, now: float) -> bytes:
        said = (
            {"type": "approval", "status": "approved"} if self.approved else {"type": "rejection", "status": "rejected"}
        )
        why = {} if self.reason is None else {"reason": self.reason}
        return json.dumps({**said, "requestId": self.request_id, **why, "timestamp": now}, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Wait until Aura has recorded it."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """The stored request is gone."""

    key: str


Move = Answer | Pause | Outcome | Expiry


@dataclass(frozen=True, slots=True)
class Story:
    """One request, and what happens from when Aura listens for its answer."""

    request: ApprovalRequest
    moves: tuple[Move, ...] = ()
    until_timeout: bool = False
    """Whether it is about the end of Aura's patience, so that this has to be known."""


def approval_stories(ids: Ids, patience: float) -> Iterator[Story]:
    """`patience` is how many seconds Aura waits."""
    moment = Pause(A_MOMENT * patience)
    for context in (
        {"caseId": "case", "docKey": "document"},
        {"case_id": "case", "doc_key": "document"},
        {"caseId": "case"},
    ):
        asked = _request(ids, context)
        yield Story(asked, (_answer(asked, approved=True),))
    for reason in ('증빙 부족 🙅 "재제출"', None):
        asked = _request(ids)
        yield Story(asked, (_answer(asked, approved=False, reason=reason),))
    yield Story(_request(ids), until_timeout=True)
    yield Story(_request(ids), until_timeout=True)

    asked = _request(ids)
    elsewhere = Answer(ids.next("session"), asked.request_id, approved=True)
    yield Story(asked, (elsewhere, moment, _answer(asked, approved=False, reason="다른 세션의 승인이 아님")))

    asked = _request(ids)
    another = Answer(asked.session_id, ids.next("request"), approved=True)
    yield Story(asked, (another, moment, _answer(asked, approved=False, reason="다른 요청의 승인이 아님")))

    asked = _request(ids)
    yield Story(asked, (Pause((1 - A_MOMENT) * patience), _answer(asked, approved=True)), until_timeout=True)
    asked = _request(ids)
    yield Story(asked, (Outcome(), _answer(asked, approved=True)), until_timeout=True)

    asked = _request(ids)
    yield Story(asked, (Expiry(key_of(asked.request_id)), _answer(asked, approved=True)))
    asked = _request(ids, {"question": "어느 건인가"})
    yield Story(asked, (_answer(asked, approved=True),))


def representative(ids: Ids, patience: float) -> Iterator[Story]:
    """An approval, a rejection, a timeout, answers to others, and requests of which nothing can be recorded."""
    return (story for place, story in enumerate(approval_stories(ids, patience)) if place in _TELLING)


def _request(ids: Ids, context: Mapping[str, object] | None = None) -> ApprovalRequest:
    """Where a value of `context` is `case` or `document`, a new id of that kind takes its place."""
    chosen = context or {"caseId": "case", "docKey": "document", "amount": 1_250_000}
    named = {key: ids.next(str(kind)) if kind in ("case", "document") else kind for key, kind in chosen.items()}
    return ApprovalRequest(
        request_id=ids.next("request"),
        session_id=ids.next("session"),
        user_id=ids.next("user"),
        tenant_id="7",
        context=named,
    )


def _answer(asked: ApprovalRequest, *, approved: bool, reason: str | None = None) -> Answer:
    return Answer(asked.session_id, asked.request_id, approved, reason)
