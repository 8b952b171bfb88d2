"""How Synapse drifts: what it receives, what it makes of a message, what it keeps, and what it tells browsers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from harness.drift.deviation import Deviation
from harness.drift.seams import Handle, Json, broadcast_as, in_payload, listening, mapping, only, remapped, synapse
from harness.messages import CASE_ACTION, CHANNELS, RAG_STATUS
from harness.seats import Parts, Settings
from harness.synapse.cases import Action, Cases, Decision
from harness.synapse.container import Connect, Dispatcher, Listener, ListenerContainer, OnFailure, Subscription
from harness.synapse.decisions import Decisions
from harness.synapse.instant import Instant
from harness.synapse.listener import NotificationListener
from harness.synapse.notification import NotificationDto
from harness.synapse.reader import Unreadable

_of = partial(Deviation.of, "synapse")

CATEGORIES = {"AI_DETECT", "RAG_STATUS", "CASE_ACTION"}
LARGE = 8 * 1024


# ---- What is received ------------------------------------------------------------------------------------------------


def _pattern(pattern: str) -> Callable[[Settings], Settings]:
    return lambda settings: replace(
        settings, synapse=replace(settings.synapse, notification_redis_workbench_pattern=pattern)
    )


def _stops_after(bad: int) -> Parts:
    def make(listener: NotificationListener) -> Handle:
        failed = 0

        async def handle(channel: str, wire: bytes) -> None:
            nonlocal failed
            if failed < bad:
                try:
                    await listener(channel, wire)
                except Unreadable:
                    failed += 1
                    raise

        return handle

    return listening(make)


def _loses_every(number: int) -> Parts:
    def make(listener: NotificationListener) -> Handle:
        received = 0

        async def handle(channel: str, wire: bytes) -> None:
            nonlocal received
            received += 1
            if received % number:
                await listener(channel, wire)

        return handle

    return listening(make)


def _once_each(listener: NotificationListener) -> Handle:
    seen: set[tuple[str, bytes]] = set()

    async def handle(channel: str, wire: bytes) -> None:
        if (channel, wire) not in seen:
            seen.add((channel, wire))
            await listener(channel, wire)

    return handle


@dataclass(frozen=True, slots=True)
class Deaf:
    """A subscription that is there, and gives nothing."""

    subscription: Subscription

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        async for heard in self.subscription:
            if not heard:
                yield heard

    async def close(self) -> None:
        await self.subscription.close()


class SubscribesOnce(ListenerContainer):
    """What comes after the first subscription looks subscribed, and hears nothing."""

    def __init__(self, connect: Connect, listener: Listener, dispatcher: Dispatcher, on_failure: OnFailure) -> None:
        connected = 0

        async def once() -> Subscription:
            nonlocal connected
            subscription = await connect()
            connected += 1
            return subscription if connected == 1 else Deaf(subscription)

        super().__init__(once, listener, dispatcher, on_failure)


def _fields(wire: bytes) -> Json:
    try:
        found = json.loads(wire)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_older(wire: bytes) -> bool:
    return _fields(wire).get("type") == "case_action_completed"


def _is_known(channel: str, wire: bytes) -> bool:
    """What a record with a field for each that the sample shows takes, and nothing else."""
    sample = {"type", "category", "message", "timestamp", "case_id", "score", "severity", "rag_document_id"}
    sample |= {"chunks_added", "request_id", "executor_id", "action_type", "approved", "status_code", "title", "at"}
    return set(_fields(wire)) <= sample


# ---- What it becomes -------------------------------------------------------------------------------------------------


def _text(name: str, change: Callable[[str], str]) -> Parts:
    return remapped(lambda dto: replace(dto, **{name: change(getattr(dto, name))}))  # type: ignore[arg-type]


def _type_of_type(dto: NotificationDto) -> NotificationDto:
    found = (dto.payload or {}).get("type")
    return replace(dto, type=found) if isinstance(found, str) and len(found) <= 64 else dto


def _received(dto: NotificationDto, channel: str, wire: bytes, now: Instant) -> NotificationDto:
    return replace(dto, occurred_at=now)


def _stamp(dto: NotificationDto) -> str:
    found = (dto.payload or {}).get("timestamp")
    return found if isinstance(found, str) else ""


def _offset_dropped(dto: NotificationDto) -> NotificationDto:
    offset = re.search(r"([+-])(\d\d):(\d\d)$", _stamp(dto))
    if offset is None:
        return dto
    off = timedelta(hours=int(offset[2]), minutes=int(offset[3])).total_seconds() * (-1 if offset[1] == "-" else 1)
    return replace(dto, occurred_at=replace(dto.occurred_at, seconds=dto.occurred_at.seconds + int(off)))


def _old_fromisoformat(dto: NotificationDto, channel: str, wire: bytes, now: Instant) -> NotificationDto:
    """Which takes no Z, and a fraction of three or six digits only."""
    taken = re.fullmatch(r"[^.]*(\.(\d{3}|\d{6}))?[+-]\d\d:\d\d", _stamp(dto))
    return dto if not _stamp(dto) or taken else replace(dto, occurred_at=now)


def _whole_seconds(dto: NotificationDto) -> NotificationDto:
    return replace(dto, occurred_at=Instant(dto.occurred_at.seconds))


def _empty_falls_back(dto: NotificationDto) -> NotificationDto:
    return dto if dto.content else replace(dto, content="알림이 도착했습니다")


def _null_is_text(dto: NotificationDto) -> NotificationDto:
    fields = dto.payload or {}
    return replace(dto, content="null") if "message" in fields and fields["message"] is None else dto


def _fallback_of(channel: str) -> Parts:
    """Whatever the channel, the fallbacks of this one."""

    class Mistaken(NotificationListener):
        def read(self, real: str, wire: bytes) -> NotificationDto:
            return replace(NotificationListener.read(self, channel, wire), channel=real)

    return synapse(listener=Mistaken)


def _nothing_said(dto: NotificationDto) -> NotificationDto:
    return dto if (dto.payload or {}).get("message") is not None else replace(dto, content="")


def _document_unnamed(dto: NotificationDto) -> NotificationDto:
    fields = dto.payload or {}
    if dto.channel != RAG_STATUS or fields.get("message") is not None:
        return dto
    return replace(dto, content="RAG 처리 완료")


def _doc_id_unknown(dto: NotificationDto) -> NotificationDto:
    fields = dto.payload or {}
    return dto if fields.get("rag_document_id") else _document_unnamed(dto)


def _without_nulls(payload: Json) -> Json:
    return {name: value for name, value in payload.items() if value is not None}


def _as_doubles(payload: Json) -> Json:
    return {
        name: float(value) if type(value) is int and abs(value) < 2**1000 else value for name, value in payload.items()
    }


# ---- What is kept and told -------------------------------------------------------------------------------------------


def _tells_first(listener: NotificationListener) -> Handle:
    """One message after the other, so that the frame knows the row that is about to be written."""
    turn, row = asyncio.Lock(), 0

    async def handle(channel: str, wire: bytes) -> None:
        nonlocal row
        async with turn:
            dto = listener.read(channel, wire)
            listener.broadcast(dto.stored(row + 1, listener.now()))
            for _ in range(20):
                await asyncio.sleep(0)
            row = listener.store.save(dto, listener.now()).id or 0

    return handle


def _saves(times: int) -> Parts:
    def make(listener: NotificationListener) -> Handle:
        async def handle(channel: str, wire: bytes) -> None:
            if not times:
                dto = listener.read(channel, wire)
                listener.broadcast(dto.stored(0, listener.now()))
                return
            await listener(channel, wire)
            for _ in range(times - 1):
                listener.store.save(listener.read(channel, wire), listener.now())

        return handle

    return listening(make)


def _tells(channel: str, times: int) -> Parts:
    """So often, what comes on this channel."""

    def make(listener: NotificationListener) -> Handle:
        async def handle(received: str, wire: bytes) -> None:
            if received != channel:
                await listener(received, wire)
                return
            stored = listener.store.save(listener.read(received, wire), listener.now())
            for _ in range(times):
                listener.broadcast(stored)

        return handle

    return listening(make)


def _jackson_times(dto: Json) -> Json:
    """WRITE_DATES_AS_TIMESTAMPS, the default that everybody forgets."""

    def number(text: Any) -> Any:
        return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp() if isinstance(text, str) else text

    return dto | {name: number(dto[name]) for name in ("occurredAt", "createdAt") if name in dto and _year_4(dto[name])}


def _year_4(text: Any) -> bool:
    return isinstance(text, str) and text[4] == "-"


# ---- Actions ---------------------------------------------------------------------------------------------------------


class ToldBeforeCommit(Decisions):
    async def _commit(self, decision: Decision, follow_ups: Any) -> Action:
        early = Action(0, decision, 0, Instant.of(self.clock.now()))
        for follow_up in follow_ups:
            await follow_up(early)
        return await Decisions._commit(self, decision, ())


class AllDocuments(Cases):
    """The update names the case and forgets the document."""

    def _set_status(self, decision: Decision) -> int:
        return Cases._set_status(self, replace(decision, doc_key=None))


DEVIATIONS = (
    # What is received
    _of(
        "exact-subscribe",
        "I subscribe to the channel workbench:*, as it is written.",
        "subscriber.channels",
        None,
        _pattern(r"workbench:\*"),
    ),
    _of(
        "rag-channel-forgotten",
        "The list of channels has two.",
        "subscriber.channels",
        only(lambda channel, wire: channel != RAG_STATUS),
    ),
    _of(
        "other-channels-ignored",
        "Only the three channels that we know.",
        "subscriber.channels",
        only(lambda channel, wire: channel in CHANNELS),
    ),
    _of(
        "older-shape-rejected",
        "case_action_completed is from the old document.",
        "subscriber.older-shape",
        only(lambda channel, wire: not _is_older(wire)),
        also="subscriber.channels",
    ),
    _of(
        "unknown-fields-rejected",
        "FAIL_ON_UNKNOWN_PROPERTIES is on.",
        "delivery.nothing-lost",
        only(_is_known),
        also="subscriber.channels subscriber.older-shape",
    ),
    _of(
        "large-messages-dropped",
        "What does not fit the buffer is dropped.",
        "delivery.nothing-lost",
        only(lambda channel, wire: len(wire) <= LARGE),
    ),
    _of(
        "one-in-fifty-lost", "The queue is bounded, and offer() says false.", "delivery.nothing-lost", _loses_every(50)
    ),
    _of(
        "stops-after-one-bad-message",
        "An exception ends the listener's thread.",
        "subscriber.survives",
        _stops_after(1),
    ),
    _of(
        "stops-after-two-bad-messages",
        "The circuit breaker opens, and nobody closes it.",
        "subscriber.survives",
        _stops_after(2),
    ),
    _of(
        "does-not-come-back",
        "After a reconnect nobody subscribes again.",
        "delivery.gap",
        synapse(container=SubscribesOnce),
    ),
    _of("copies-ignored", "The same bytes within a run are a duplicate.", "delivery.duplicates", listening(_once_each)),
    # What it becomes
    _of("type-of-type", "type is mapped from type.", "mapping.type", remapped(_type_of_type), also="mapping.deployed"),
    _of(
        "types-are-an-enum",
        "A category that the enum has not is GENERIC.",
        "mapping.type",
        _text("type", lambda it: it if it in CATEGORIES else "GENERIC"),
    ),
    _of("time-of-receipt", "occurredAt is now().", "mapping.occurred-at", mapping(_received), also="mapping.deployed"),
    _of(
        "offset-dropped",
        "LocalDateTime is parsed from the first characters.",
        "mapping.occurred-at",
        remapped(_offset_dropped),
    ),
    _of("old-fromisoformat", "Parsed as Python did before 3.11.", "mapping.occurred-at", mapping(_old_fromisoformat)),
    _of(
        "empty-message-falls-back",
        "StringUtils.hasText decides on the fallback.",
        "mapping.content",
        remapped(_empty_falls_back),
    ),
    _of(
        "content-cut",
        "The column holds 100 characters.",
        "mapping.content",
        _text("content", lambda it: it[:100]),
        also="mapping.deployed",
    ),
    _of(
        "null-is-text",
        "String.valueOf(null) is the text null.",
        "mapping.deployed",
        remapped(_null_is_text),
        also="mapping.rag-content",
    ),
    _of(
        "no-fallback",
        "Without a message the content is empty.",
        "mapping.fallback",
        remapped(_nothing_said),
        also="mapping.rag-content",
    ),
    _of(
        "no-title",
        "A title is made by the front end.",
        "mapping.fallback",
        _text("title", lambda it: ""),
        also="mapping.deployed",
    ),
    _of(
        "fallback-of-the-wrong-channel",
        "The switch falls through.",
        "mapping.rag-content mapping.deployed",
        _fallback_of(CASE_ACTION),
    ),
    _of(
        "document-unnamed",
        "The fallback says that RAG is done, not of what.",
        "mapping.rag-content",
        remapped(_document_unnamed),
        also="mapping.deployed",
    ),
    _of(
        "doc-id-unknown",
        "Only rag_document_id is read.",
        "mapping.rag-content",
        remapped(_doc_id_unknown),
        also="mapping.deployed",
    ),
    _of(
        "tenant-ignored", "tenant_id is always 0.", "mapping.deployed", remapped(lambda dto: replace(dto, tenant_id=0))
    ),
    _of("nulls-lost", "NON_NULL applies to the payload, too.", "mapping.payload", in_payload(_without_nulls)),
    _of("numbers-are-doubles", "JavaScript knows one kind of number.", "mapping.payload", in_payload(_as_doubles)),
    _of("payload-dropped", "The payload was for debugging.", "mapping.payload", in_payload(lambda payload: None)),
    _of(
        "payload-is-text",
        "The payload is sent as the text in the column.",
        "mapping.dto",
        broadcast_as(
            lambda dto: dto | ({"payload": json.dumps(dto["payload"], ensure_ascii=False)} if "payload" in dto else {})
        ),
    ),
    _of("dates-are-numbers", "Jackson writes timestamps as numbers.", "mapping.dto", broadcast_as(_jackson_times)),
    # What is kept and told
    _of(
        "told-before-stored", "The screen is told first, for speed.", "subscriber.stored-first", listening(_tells_first)
    ),
    _of("stored-twice", "save() in the listener and in the service.", "subscriber.stored", _saves(2)),
    _of("not-stored", "Notifications are transient.", "subscriber.stored", _saves(0)),
    _of(
        "told-twice",
        "Case actions are sent by the listener and by the service.",
        "subscriber.broadcast",
        _tells(CASE_ACTION, 2),
    ),
    _of("rag-untold", "RAG messages are kept, and shown to nobody.", "subscriber.broadcast", _tells(RAG_STATUS, 0)),
    # Actions
    _of(
        "told-before-commit",
        "The event is sent inside the transaction.",
        "action.recorded-first",
        synapse(decisions=ToldBeforeCommit),
    ),
    _of(
        "all-documents-updated",
        "The update names the case only.",
        "action.only-named-document",
        synapse(cases=AllDocuments),
    ),
)
