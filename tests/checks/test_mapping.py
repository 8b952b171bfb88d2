"""What the consumer made of a message: which field is judged by which clause, and by which rows of the mapping."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from consumer import Consumer
from histories import (
    ACTION,
    AGREEMENT,
    ALERT,
    ALERTS,
    CASE_ACTION,
    DTO,
    RAG,
    RAG_STATUS,
    Triple,
    broadcast,
    broken_by_synapse,
    finding,
    handled,
    outcome,
    published,
    stored,
    verdict,
    without,
)

from harness.checks import instants
from harness.checks.conforming import read as conforming
from harness.checks.expected import differences, expected
from harness.clock import Ids
from harness.messages import consumer_messages
from harness.synapse.instant import Instant
from harness.synapse.notification import NotificationDto, read
from harness.synapse.reader import Unreadable

Json = dict[str, Any]

UNTOLD = without(RAG_STATUS, "message")
UNTOLD_DTO = {
    "type": "RAG_STATUS",
    "title": "RAG 문서 상태",
    "content": "문서 document-1 상태: 완료",
    "occurredAt": "2026-02-11T14:30:03.100Z",
}
LOST = (published(seat="harness"),)


def untold(**changes: Any) -> tuple[Any, ...]:
    """A RAG message without text, and what is made of it."""
    return handled(UNTOLD, RAG, **{**UNTOLD_DTO, **changes})


TRIPLES = {
    "mapping.type": Triple(
        kept=handled(),
        broken=handled(type="NOTIFICATION"),
        unproven=handled(without(ACTION, "category")),
        expected="category of the message, as it stands",
        seen='"NOTIFICATION" instead of "CASE_ACTION"',
        pointer="/type",
    ),
    "mapping.content": Triple(
        kept=handled(),
        broken=handled(content="조치 완료"),
        unproven=untold(),
        expected="message of the message, as it stands",
        seen='"조치 완료" instead of "조치 승인됨"',
        pointer="/content",
    ),
    "mapping.occurred-at": Triple(
        kept=handled(),
        broken=handled(occurredAt="2026-02-11T14:30:01.200Z"),
        unproven=handled(without(ACTION, "timestamp"), occurredAt="2026-02-11T14:30:01.200Z"),
        expected="timestamp of the message, as the same instant",
        seen='"2026-02-11T14:30:01.200Z" instead of 2026-02-11T14:30:01.15Z',
        pointer="/occurredAt",
    ),
    "mapping.fallback": Triple(
        kept=handled(),
        broken=handled(title=""),
        unproven=handled(ACTION | {"title": "제목"}, title="제목"),
        expected="a text that is not empty",
        seen='""',
        pointer="/title",
    ),
    "mapping.rag-content": Triple(
        kept=untold(),
        broken=untold(content="문서 상태: 완료"),
        unproven=handled(),
        expected="a text that names rag_document_id or doc_id",
        seen='"문서 상태: 완료", without "document-1"',
        pointer="/content",
    ),
    "mapping.deployed": Triple(
        kept=handled(),
        broken=handled(tenantId=1),
        unproven=LOST,
        expected="0",
        seen="1 instead of 0",
        pointer="/tenantId",
    ),
    "mapping.payload": Triple(
        kept=handled(),
        broken=handled(payload=without(ACTION, "request_id")),
        unproven=LOST,
        expected="every field of the message, as it came",
        seen='nothing instead of "request-1"',
        pointer="/payload/request_id",
    ),
    "mapping.dto": Triple(
        kept=handled(),
        broken=handled(occurredAt=1770820201),
        unproven=LOST,
        expected="/occurredAt as in NotificationDto",
        seen="/occurredAt is 1770820201, expected a string",
        pointer="/occurredAt",
    ),
}


# ---- Against the simulation, which was written after the deployed system and not after the agreement -------------


def test_the_simulated_consumer_keeps_everything(generated: list[tuple[str, bytes]]) -> None:
    assert broken_by_synapse(*Consumer().events(generated)) == set()


def test_the_rows_of_the_mapping_give_what_the_simulation_makes_of_every_conforming_message() -> None:
    now, judged = Instant(1_770_820_000), 0
    for seed in (1, 2, 3):
        for message in consumer_messages(seed, Ids(f"h{seed}"), 20):
            reading = conforming(AGREEMENT, message.channel, message.wire)
            if reading.conforming:
                judged += 1
                assert due(message.channel, message.wire, now) == made(message.channel, message.wire, now), message
    assert judged > 1500


def due(channel: str, wire: bytes, now: Instant) -> Json:
    reading = conforming(AGREEMENT, channel, wire)
    rows = expected(AGREEMENT, channel, reading.value, wire.decode())
    taken = {to: one.value for to, one in rows.items() if one.row.take not in ("nothing", "database", "now")}
    if rows["occurredAt"].row.take == "now":
        taken["occurredAt"] = now.seconds * 10**9 + now.nanos
    return taken


def made(channel: str, wire: bytes, now: Instant) -> Json:
    dto = read(channel, wire, now)
    return {
        "type": dto.type,
        "content": dto.content,
        "title": dto.title,
        "occurredAt": dto.occurred_at.seconds * 10**9 + dto.occurred_at.nanos,
        "tenantId": dto.tenant_id,
        "payload": dto.payload,
        "channel": dto.channel,
    }


def at_receipt(channel: str, wire: bytes, now: Instant) -> NotificationDto:
    return replace(read(channel, wire, now), occurred_at=now)


def from_type(channel: str, wire: bytes, now: Instant) -> NotificationDto:
    dto = read(channel, wire, now)
    kind = (dto.payload or {}).get("type")
    return replace(dto, type=kind) if isinstance(kind, str) else dto


def empty_is_absent(channel: str, wire: bytes, now: Instant) -> NotificationDto:
    dto = read(channel, wire, now)
    if dto.payload is None:
        return dto
    filled = {name: value for name, value in dto.payload.items() if value != ""}
    try:
        return replace(read(channel, json.dumps(filled).encode(), now), payload=dto.payload)
    except Unreadable:
        return dto


def changed(change: Callable[[Json], Json]) -> Consumer:
    return Consumer(changed=lambda dto: {**dto, **change(dto)})


def payload(dto: Json, *lost: str) -> Json:
    return {"payload": {name: value for name, value in (dto.get("payload") or {}).items() if name not in lost}}


FAULTS: dict[str, tuple[Consumer, set[str]]] = {
    "the time of receipt": (Consumer(read=at_receipt), {"mapping.occurred-at", "mapping.deployed"}),
    "the type is taken from type": (Consumer(read=from_type), {"mapping.type", "mapping.deployed"}),
    "a fallback for empty text": (
        Consumer(read=empty_is_absent),
        {"mapping.type", "mapping.content", "mapping.deployed"},
    ),
    "a text is trimmed": (changed(lambda dto: {"content": dto["content"].strip()}), {"mapping.content"}),
    "milliseconds only": (
        changed(lambda dto: {"occurredAt": re.sub(r"(\.\d{3})\d+", r"\1", dto["occurredAt"])}),
        {"mapping.occurred-at", "mapping.deployed"},
    ),
    "epoch numbers": (changed(lambda dto: {"occurredAt": 1, "createdAt": 1}), {"mapping.dto"}),
    "null for what is absent": (changed(lambda dto: {"userId": None, "readAt": None}), {"mapping.dto"}),
    "no id": (Consumer(changed=lambda dto: without(dto, "id")), {"mapping.dto"}),
    "no title": (Consumer(changed=lambda dto: without(dto, "title")), {"mapping.dto", "mapping.fallback"}),
    "no payload": (Consumer(changed=lambda dto: without(dto, "payload")), {"mapping.payload"}),
    "an empty payload": (changed(lambda dto: {"payload": {}}), {"mapping.payload"}),
    "a payload without ids": (
        changed(lambda dto: payload(dto, "request_id", "case_id", "rag_document_id", "message_id")),
        {"mapping.payload"},
    ),
    "a payload without what nobody named": (changed(lambda dto: payload(dto, "extra")), {"mapping.payload"}),
    "a payload as text": (changed(lambda dto: {"payload": json.dumps(dto.get("payload"))}), {"mapping.dto"}),
    "the pattern as channel": (changed(lambda dto: {"channel": "workbench:*"}), {"mapping.deployed"}),
    "the wrong tenant": (changed(lambda dto: {"tenantId": 7}), {"mapping.deployed"}),
    "a RAG text without its document": (
        changed(lambda dto: {"content": "문서"} if dto["content"].startswith("문서 ") else {}),
        {"mapping.rag-content", "mapping.deployed"},
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_mapping_breaks_exactly_its_clauses(fault: str, generated: list[tuple[str, bytes]]) -> None:
    consumer, clauses = FAULTS[fault]
    assert broken_by_synapse(*consumer.events(generated)) == clauses


# ---- One message at a time ---------------------------------------------------------------------------------------


def test_the_row_and_the_frame_are_both_judged_and_an_equal_fault_is_told_of_once() -> None:
    sent, _, _ = handled()
    right, wrong = stored(DTO), broadcast(DTO | {"type": "X"})
    assert finding("mapping.type", sent, right, wrong).events == (1, 3)
    assert finding("mapping.type", *handled(type="X")).events == (1, 2)


def test_a_finding_shows_the_message_and_what_was_made_of_it() -> None:
    found = finding("mapping.deployed", *handled(tenantId=1))
    assert found.evidence.startswith(f'PUBLISH {CASE_ACTION}\n{{"type": "NOTIFICATION"')
    assert '\nstored as row 1\n{"id": 1, "tenantId": 1' in found.evidence
    assert found.reproduce[0].startswith('redis-cli -u "$HARNESS_REDIS_URL" PUBLISH workbench:case:action ')


@pytest.mark.parametrize("stamp", ["2026-02-11T23:30:01.15+09:00", "2026-02-11T14:30:01.150000000Z"])
def test_the_same_instant_may_be_written_in_any_way(stamp: str) -> None:
    assert outcome("mapping.occurred-at", *handled(ACTION | {"timestamp": stamp})) == "kept"


def test_a_database_may_round_to_microseconds_and_a_frame_may_not() -> None:
    message = ACTION | {"timestamp": "2026-02-11T14:30:01.150000123Z"}
    dto = DTO | {"payload": message}
    exact = dto | {"occurredAt": "2026-02-11T14:30:01.150000123Z"}
    sent = published(message, seat="harness")
    assert outcome("mapping.occurred-at", sent, stored(dto), broadcast(exact)) == "kept"
    assert outcome("mapping.occurred-at", sent, stored(exact), broadcast(dto)) == "broken"


@pytest.mark.parametrize(("second", "judged"), [("00.5", "kept"), ("02.0", "kept"), ("59.0", "broken")])
def test_now_is_about_the_time_between_publishing_and_storing(second: str, judged: str) -> None:
    message = without(ACTION, "timestamp")
    assert outcome("mapping.deployed", *handled(message, occurredAt=f"2026-02-11T14:30:{second}Z")) == judged
    stamp = f"2026-02-11T14:30:{second}Z"
    assert outcome("mapping.dto", *handled(createdAt=stamp)) == judged


def test_the_tolerance_of_a_run_widens_the_time_of_receipt() -> None:
    late = handled(createdAt="2026-02-11T14:30:05Z")
    assert outcome("mapping.dto", *late) == "broken"
    assert outcome("mapping.dto", *late, tolerance=5) == "kept"


def test_the_frame_names_the_row() -> None:
    sent, row, _ = handled()
    found = finding("mapping.dto", sent, row, broadcast(DTO | {"id": 2}))
    assert (found.pointer, found.seen) == ("/id", "2 instead of 1")


@pytest.mark.parametrize(
    ("value", "kept"), [(1, True), (1.0, True), (True, False), ("1", False), (1.5, False), (None, False), ([1], False)]
)
def test_numbers_of_a_payload_are_equal_by_value_and_nothing_else_is(value: Any, kept: bool) -> None:
    events = handled(ACTION | {"extra": 1}, payload=ACTION | {"extra": value})
    assert outcome("mapping.payload", *events) == ("kept" if kept else "broken")


def test_what_is_invented_in_a_payload_is_told_and_where() -> None:
    events = handled(ACTION | {"extra": {"a/b": [1]}}, payload=ACTION | {"extra": {"a/b": [1], "c": 2}})
    found = finding("mapping.payload", *events)
    assert (found.pointer, found.seen) == ("/payload/extra/c", "2 instead of nothing")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_numbers_that_some_readers_round_are_not_compared(number: int) -> None:
    events = handled(ACTION | {"extra": number}, payload=ACTION | {"extra": 0})
    assert outcome("mapping.payload", *events) == "unproven"
    assert outcome("mapping.type", *events) == "kept"


@pytest.mark.parametrize(
    "fields",
    [
        {"message": 7},
        {"category": ["CASE_ACTION"]},
        {"timestamp": "2026-02-11T14:30:00"},
        {"timestamp": 1.5},
        {"timestamp": True},
        {"at": 7},
        {"tenant_id": "7"},
        {"approved": "true"},
        {"case_id": 7},
        {"title": "t" * 256},
        {"message": "a\0b"},
        {"extra": "\ud83d"},
        {"extra": float("inf")},
    ],
)
def test_other_types_than_the_documented_are_not_judged(fields: Json) -> None:
    wire = json.dumps(ACTION | fields).replace("Infinity", "1e400").encode()
    events = handled(wire, content="whatever", payload={}, title="", tenantId=9)
    assert broken_by_synapse(*events) == set()


def test_the_fields_of_another_channel_may_be_anything() -> None:
    events = handled(ALERT | {"status": {"a": 1}, "approved": "yes"}, ALERTS, content="신규 이상 징후 탐지")
    assert outcome("mapping.content", *events) == "kept"


def test_a_lost_demand_is_told_of_once_and_not_again_as_wording() -> None:
    assert broken_by_synapse(*untold(content="")) == {"mapping.fallback", "mapping.rag-content"}
    assert broken_by_synapse(*untold(content="문서 처리")) == {"mapping.rag-content"}
    assert broken_by_synapse(*untold(content="문서 document-1")) == {"mapping.deployed"}


def test_half_a_character_at_the_cut_may_have_become_a_question_mark() -> None:
    message = {"extra": "x" * 188 + "😀" * 10}
    text = json.dumps(message, ensure_ascii=False)
    half = text.encode("utf-16-le")[:400].decode("utf-16-le", "surrogatepass")
    assert half[-1] == "\ud83d"
    rest: Json = {"type": "GENERIC", "title": "알림", "occurredAt": "2026-02-11T14:30:01.200Z"}
    for ending, judged in (("?…", "kept"), ("\ufffd…", "kept"), ("…", "broken"), ("?", "broken")):
        events = handled(text.encode(), ALERTS, content=half[:-1] + ending, **rest)
        assert outcome("mapping.deployed", *events) == judged, ending


def test_a_frame_that_is_no_json_has_no_shape() -> None:
    sent, row, _ = handled()
    assert finding("mapping.dto", sent, row, broadcast(b"recorded")).seen == "the notification is not JSON"


def test_a_frame_of_nothing_that_was_published_is_judged_by_its_shape_alone() -> None:
    assert verdict("mapping.dto", broadcast({"id": 1})).outcome == "broken"
    assert broken_by_synapse(broadcast({"id": 1})) == {"mapping.dto"}


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T09:00:00.5+09:00", 500_000_000),
        ("1969-12-31T23:59:59-00:00", -1_000_000_000),
        ("2026-02-11T14:30:00", None),
        ("2026-02-11t14:30:00z", None),
        ("2026-02-11T14:30:00+0900", None),
        ("2026-02-11T14:30:00.1234567891Z", None),
        ("2026-02-29T14:30:00Z", None),
        ("2026-02-11T24:00:00Z", None),
        ("2026-02-11T14:30:00+18:01", None),
        ("0000-01-01T00:00:00Z", None),
        ("２026-02-11T14:30:00Z", None),
    ],
)
def test_an_instant_is_what_the_documented_form_names(text: str, nanos: int | None) -> None:
    assert instants.parse(text) == nanos


def test_differences_are_found_wherever_they_are() -> None:
    one = {"a": [1, {"b": 2}], "c": "x", "~": 1}
    assert list(differences(one, {"a": [1, {"b": 3}], "c": "x", "~": True})) == [("/a/1/b", 2, 3), ("/~0", 1, True)]
    assert [place for place, _, _ in differences([1], [1, 2], "/a")] == ["/a"]
