"""The mapping as it is deployed, with its fallbacks and its accidents."""

import json

import pytest

from harness.synapse.instant import Instant
from harness.synapse.node import Tree
from harness.synapse.notification import (
    CASE_ACTION,
    RAG_STATUS,
    NotificationDto,
    Unstorable,
    check_columns,
    read,
    to_json,
)
from harness.synapse.reader import Unreadable
from harness.synapse.writer import Unwritable

ALERT = "workbench:alert"
NOW = Instant(1_770_820_000, 887_461_607)


def mapped(channel: str, **fields: Tree) -> NotificationDto:
    return read(channel, json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass"), NOW)


def test_a_notification_of_aura_is_mapped_field_by_field() -> None:
    fields: dict[str, Tree] = {
        "type": "NOTIFICATION",
        "category": "CASE_ACTION",
        "message": "조치 승인됨",
        "timestamp": "2026-02-11T14:30:00.123456+00:00",
        "case_id": "DEMO00001",
        "approved": True,
    }
    assert mapped(CASE_ACTION, **fields) == NotificationDto(
        tenant_id=0,
        title="조치 완료",
        content="조치 승인됨",
        type="CASE_ACTION",
        channel=CASE_ACTION,
        occurred_at=Instant(1_770_820_200, 123_456_000),
        payload=fields,
    )


def test_the_older_shape_takes_every_fallback() -> None:
    dto = mapped(
        CASE_ACTION,
        type="case_action_completed",
        case_id="DEMO00001",
        approved=True,
        at="2026-02-11T12:00:00.000Z",
        tenant_id=7,
    )
    assert (dto.type, dto.title, dto.content) == ("CASE_ACTION", "조치 완료", "케이스 DEMO00001 승인")
    assert (str(dto.occurred_at), dto.tenant_id) == ("2026-02-11T12:00:00Z", 7)


@pytest.mark.parametrize(
    ("channel", "type_", "title"),
    [
        (CASE_ACTION, "CASE_ACTION", "조치 완료"),
        (RAG_STATUS, "RAG_STATUS", "RAG 문서 상태"),
        (ALERT, "GENERIC", "알림"),
        ("workbench:", "GENERIC", "알림"),
    ],
)
def test_type_and_title_fall_back_by_channel_for_what_is_absent_or_null(channel: str, type_: str, title: str) -> None:
    for dto in (mapped(channel), mapped(channel, category=None, title=None)):
        assert (dto.type, dto.title, dto.occurred_at) == (type_, title, NOW)


@pytest.mark.parametrize("value", ["", {}, []])
def test_what_is_there_but_empty_takes_no_fallback(value: Tree) -> None:
    dto = mapped(CASE_ACTION, category=value, title=value, message=value)
    assert (dto.type, dto.title, dto.content) == ("", "", "")


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"case_id": "C", "approved": True}, "케이스 C 승인"),
        ({"case_id": "C", "approved": "true"}, "케이스 C 승인"),
        ({"case_id": "C", "approved": 1}, "케이스 C 승인"),
        ({"case_id": "C", "approved": 1.0}, "케이스 C 거절"),
        ({"case_id": "C", "approved": "TRUE"}, "케이스 C 거절"),
        ({"case_id": "C", "approved": None}, "케이스 C 거절"),
        ({"case_id": "C"}, "케이스 C 거절"),
        ({"approved": True}, "케이스  승인"),
        ({"case_id": None}, "케이스 null 거절"),
        ({"case_id": 1e10}, "케이스 1.0E10 거절"),
        ({"case_id": "C", "message": None}, "케이스 C 거절"),
    ],
)
def test_a_case_action_without_message_says_what_was_decided(fields: dict[str, Tree], content: str) -> None:
    assert mapped(CASE_ACTION, **fields).content == content


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"rag_document_id": "r", "doc_id": "d", "status": "S"}, "문서 r 상태: S"),
        ({"doc_id": "d", "document_id": "x"}, "문서 d 상태: 완료"),
        ({"document_id": 5, "status": ""}, "문서 5 상태: 완료"),
        ({"rag_document_id": "", "doc_id": "d", "status": "S"}, "S"),
        ({"rag_document_id": None, "doc_id": "d"}, "문서 null 상태: 완료"),
        ({"status": None}, "null"),
        ({}, "RAG 처리 완료"),
    ],
)
def test_a_rag_message_takes_the_first_document_id_that_is_present(fields: dict[str, Tree], content: str) -> None:
    assert mapped(RAG_STATUS, **fields).content == content


def test_other_channels_show_the_raw_body_cut_at_200_units() -> None:
    assert read(ALERT, b' {"score" : 0.85} tail', NOW).content == ' {"score" : 0.85} tail'
    body = ('{"a":"' + "😀" * 100 + '"}').encode()
    assert read(ALERT, body, NOW).content == '{"a":"' + "😀" * 97 + "…"


@pytest.mark.parametrize(
    ("fields", "occurred_at"),
    [
        ({"timestamp": "2026-02-11T23:30:00+09:00"}, "2026-02-11T14:30:00Z"),
        ({"timestamp": 1_700_000_000_000}, "2023-11-14T22:13:20Z"),
        ({"timestamp": 1700000000.25}, "1970-01-20T16:13:20Z"),
        ({"timestamp": 2**63}, "-292275055-05-16T16:47:04.192Z"),
        ({"timestamp": None, "at": "2026-02-11T12:00:00Z"}, "2026-02-11T12:00:00Z"),
        ({"at": "2026-02-11T12:00:00Z"}, "2026-02-11T12:00:00Z"),
        ({"timestamp": "2026-02-11T14:30:00", "at": "2026-02-11T12:00:00Z"}, str(NOW)),
        ({"timestamp": "", "at": "2026-02-11T12:00:00Z"}, str(NOW)),
        ({"timestamp": True, "at": "2026-02-11T12:00:00Z"}, str(NOW)),
        ({"timestamp": "1700000000"}, str(NOW)),
        ({"at": 1_700_000_000_000}, str(NOW)),
        ({}, str(NOW)),
    ],
)
def test_the_time_is_the_messages_own_or_else_that_of_receipt(fields: dict[str, Tree], occurred_at: str) -> None:
    assert str(mapped(ALERT, **fields).occurred_at) == occurred_at


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [(7, 7), ("7", 7), ("x", 0), (None, 0), (True, 1), (7.9, 7), (2**63, -(2**63)), ({}, 0)],
)
def test_the_tenant_is_a_long_whatever_was_sent(tenant: Tree, expected: int) -> None:
    assert mapped(ALERT, tenant_id=tenant).tenant_id == expected


@pytest.mark.parametrize("body", [b"", b" \n", b"null", b"null,"])
def test_an_empty_message_and_null_are_notifications_without_payload(body: bytes) -> None:
    dto = read(ALERT, body, NOW)
    assert (dto.type, dto.content, dto.payload) == ("GENERIC", body.decode(), None)
    assert b"payload" not in to_json(dto)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"true", "IllegalArgumentException"),
        (b"1", "IllegalArgumentException"),
        (b'"text"', "IllegalArgumentException"),
        (b"[{}]", "IllegalArgumentException"),
        (b"\xef\xbb\xbf{}", "JsonParseException"),
        (b'{"a":NaN}', "JsonParseException"),
        (b"\xff{}", "JsonParseException"),
        (b'{"a":', "JsonEOFException"),
        (b"[" * 1001, "StreamConstraintsException"),
    ],
)
def test_what_the_listener_cannot_read_is_named_as_java_names_it(body: bytes, kind: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(CASE_ACTION, body, NOW)
    assert caught.value.kind == kind


def test_malformed_bytes_inside_a_string_are_no_failure() -> None:
    dto = read(CASE_ACTION, b'{"message":"a\xed\xa0\xbdb\xff"}', NOW)
    assert dto.content == "a\ufffdb\ufffd"


def test_the_broadcast_json_is_that_of_the_deployed_dto() -> None:
    body = '{"message":"완료 😀","timestamp":"2024-05-06T07:08:09Z","tenant_id":7,"n":null,"f":1e10,"i":1e400}'
    dto = read(RAG_STATUS, body.encode(), NOW).stored(1, Instant(1_714_979_289, 120_000_000))
    assert to_json(dto).decode() == (
        r'{"id":1,"tenantId":7,"title":"RAG 문서 상태","content":"완료 \uD83D\uDE00","type":"RAG_STATUS",'
        r'"channel":"workbench:rag:status","occurredAt":"2024-05-06T07:08:09Z",'
        r'"createdAt":"2024-05-06T07:08:09.120Z",'
        r'"payload":{"message":"완료 \uD83D\uDE00","timestamp":"2024-05-06T07:08:09Z","tenant_id":7,'
        r'"n":null,"f":1.0E10,"i":"Infinity"}}'
    )


def test_a_payload_a_thousand_deep_is_read_but_cannot_be_broadcast() -> None:
    def body(depth: int) -> bytes:
        return b'{"a":' * depth + b"1" + b"}" * depth

    assert to_json(read(ALERT, body(999), NOW)).endswith(body(999) + b"}")
    dto = read(ALERT, body(1000), NOW)
    check_columns(dto)
    with pytest.raises(Unwritable):
        to_json(dto)


@pytest.mark.parametrize(
    ("fields", "column"),
    [
        ({"title": "한" * 255, "category": "😀" * 64}, None),
        ({"title": "한" * 256}, "title"),
        ({"category": "C" * 65}, "type"),
        ({"message": "a\0"}, "content"),
        ({"x": [{"a\0": 1}]}, "payload"),
        ({"x": ["\0"]}, "payload"),
        ({"timestamp": 10**18}, "occurred_at"),
    ],
)
def test_what_the_table_cannot_hold_fails_when_it_is_saved(fields: dict[str, Tree], column: str | None) -> None:
    dto = mapped(CASE_ACTION, **fields)
    if column is None:
        check_columns(dto)
        return
    with pytest.raises(Unstorable) as caught:
        check_columns(dto)
    assert caught.value.column == column
