"""What Aura publishes: which message is judged by which clause, and what is said of one that breaks it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from histories import (
    ACTION,
    ALERT,
    ALERTED,
    ALERTS,
    BODY,
    CASE_ACTION,
    DETECTED,
    KEPT,
    LEARNT,
    RAG,
    RAG_STATUS,
    REFUSED,
    REJECTION,
    VECTORISED,
    Triple,
    broken,
    call,
    fault,
    feedback,
    finding,
    outcome,
    published,
    step,
    verdict,
    without,
)

LOW = step("detect", at=2.0, case_id="case-2", severity="LOW", score=0.2)
FAILED = step("rag", at=3.0, rag_document_id="document-1", chunks_added=0, succeeded=False)
NAMED = "case_id case-1, request_id request-1, executor_id user-1"
OLDER: dict[str, Any] = {
    "type": "case_action_completed",
    **{name: ACTION[name] for name in ("case_id", "request_id", "executor_id", "action_type", "approved")},
    "status_code": "APPROVED",
    "at": "2026-02-11T14:30:01.150Z",
    "history_id": 7,
    "fi_doc_updated": True,
}


def told(**changes: Any) -> tuple[Any, ...]:
    """The kept exchange with some fields of its message changed."""
    return (feedback(), published(ACTION | changes), call())


def sent(wire: bytes) -> tuple[Any, ...]:
    return (feedback(), published(wire), call())


TRIPLES = {
    "publish.once": Triple(
        kept=KEPT,
        broken=(feedback(), call()),
        unproven=REFUSED,
        expected="one message on workbench:case:action",
        seen=f"0 for {NAMED}, answered 200",
    ),
    "publish.none-when-refused": Triple(
        kept=REFUSED,
        broken=(published(), *REFUSED),
        unproven=KEPT,
        expected="no message on workbench:case:action",
        seen=f"1 for {NAMED}, answered 401",
    ),
    "publish.alert-high": Triple(
        kept=(DETECTED, ALERTED),
        broken=(LOW, ALERTED),
        unproven=(VECTORISED, LEARNT),
        expected="no message on workbench:alert",
        seen="1 for case_id case-2",
    ),
    "publish.rag-success": Triple(
        kept=(VECTORISED, LEARNT),
        broken=(VECTORISED,),
        unproven=(DETECTED, ALERTED),
        expected="one message on workbench:rag:status",
        seen="0 for rag_document_id document-1",
    ),
    "publish.echo": Triple(
        kept=KEPT,
        broken=told(executor_id="user-2"),
        unproven=(ALERTED,),
        expected="executor_id as it was",
        seen='"user-2" where it was "user-1"',
        pointer="/executor_id",
    ),
    "publish.agree": Triple(
        kept=KEPT,
        broken=told(status_code="REJECTED"),
        unproven=(DETECTED, ALERTED),
        expected="/status_code as in the document",
        seen='/status_code is "REJECTED", expected "APPROVED"',
        pointer="/status_code",
    ),
    "publish.common-fields": Triple(
        kept=KEPT,
        broken=told(type="CASE_ACTION"),
        unproven=sent(b"approved"),
        expected="/type as in the document",
        seen='/type is "CASE_ACTION", expected "NOTIFICATION"',
        pointer="/type",
    ),
    "publish.channel-category": Triple(
        kept=KEPT,
        broken=told(category="AI_DETECT"),
        unproven=told(category="case_action"),
        expected="CASE_ACTION on workbench:case:action",
        seen="category AI_DETECT",
        pointer="/category",
    ),
    "publish.event-fields": Triple(
        kept=(DETECTED, ALERTED),
        broken=(DETECTED, published(ALERT | {"score": "0.85"}, channel=ALERTS, at=2.2)),
        unproven=told(category="AI_DETECT"),
        expected="/score as in the document",
        seen='/score is "0.85", expected a number',
        pointer="/score",
    ),
    "publish.utf8-json": Triple(
        kept=KEPT,
        broken=sent(b"\xff\xfe{}"),
        unproven=(feedback(), call()),
        expected="one JSON object in UTF-8 without a byte order mark",
        seen="bytes that are not UTF-8",
    ),
    "publish.unescaped": Triple(
        kept=KEPT,
        broken=sent(b'{"message": "\\uc870"}'),
        unproven=told(message="recorded"),
        expected="text outside ASCII as it stands",
        seen="\\uc870 at character 14",
    ),
    "publish.timestamp-format": Triple(
        kept=KEPT,
        broken=told(timestamp="2026-02-11T14:30:01.150000"),
        unproven=told(timestamp=1770820201150),
        expected="ISO 8601 in UTC with an offset, as Instant.parse takes it",
        seen='"2026-02-11T14:30:01.150000"',
        pointer="/timestamp",
    ),
    "publish.timestamp-within": Triple(
        kept=KEPT,
        broken=told(timestamp="2026-02-11T14:30:00.900000+00:00"),
        unproven=(published(),),
        expected="a timestamp between the start of the action and the publish",
        seen="2026-02-11T14:30:00.900000+00:00, 0.099999 s before",
        pointer="/timestamp",
    ),
    "publish.after-feedback": Triple(
        kept=KEPT,
        broken=(published(), feedback(at=1.25), call()),
        unproven=(published(), call()),
        expected="the feedback line before the publish",
        seen="the message was event 1, its line 2",
    ),
    "publish.no-database-fields": Triple(
        kept=KEPT,
        broken=told(data={"history_id": 7}),
        unproven=(feedback(), call()),
        expected="neither history_id nor fi_doc_updated in a message of Aura's",
        seen="history_id",
    ),
    "publish.message-text": Triple(
        kept=KEPT,
        broken=told(message="조치됨"),
        unproven=told(message=""),
        expected="조치 승인됨",
        seen='"조치됨"',
        pointer="/message",
    ),
}


def test_the_three_events_and_both_decisions_keep_everything() -> None:
    rejected = call(BODY | {"approved": False}, at=4.3, began=4.0)
    stamp = {"timestamp": "2026-02-11T14:30:04.150000+00:00"}
    said = published(ACTION | REJECTION | stamp, at=4.2)
    line = feedback({**BODY, "approved": False}, at=4.1)
    assert broken(*KEPT, DETECTED, ALERTED, VECTORISED, LEARNT, line, said, rejected) == set()


def test_a_second_message_for_one_action_is_one_too_many() -> None:
    found = finding("publish.once", feedback(), published(), published(at=1.25), call())
    assert (found.expected, found.seen) == (
        "one message on workbench:case:action",
        f"2 for {NAMED}, answered 200",
    )
    assert found.events == (4, 2, 3)


def test_a_message_on_another_channel_does_not_count_for_the_action() -> None:
    astray = published(channel="workbench:actions")
    assert broken(feedback(), astray, call()) == {"publish.once", "publish.channel-category"}


def test_a_call_that_went_through_without_being_valid_may_be_published() -> None:
    assert broken(feedback(), published(), call(token="missing")) == {"http.token-refused"}


def test_a_call_that_failed_promises_no_message_and_forbids_none() -> None:
    assert outcome("publish.once", call(status=500)) == "unproven"
    assert outcome("publish.none-when-refused", published(), call(status=500)) == "unproven"


def test_a_refused_call_may_not_be_told_on_any_channel() -> None:
    assert outcome("publish.none-when-refused", published(channel="workbench:actions"), *REFUSED) == "broken"


@pytest.mark.parametrize(("severity", "due"), [("HIGH", 1), ("MEDIUM", 0), ("high", 0), ("", 0)])
def test_an_alert_is_due_exactly_for_high(severity: str, due: int) -> None:
    detected = step("detect", at=2.0, case_id="case-2", severity=severity, score=0.9)
    assert outcome("publish.alert-high", detected) == ("broken" if due else "kept")
    assert outcome("publish.alert-high", detected, ALERTED) == ("kept" if due else "broken")
    assert outcome("publish.alert-high", detected, ALERTED, ALERTED) == "broken"


def test_a_rag_message_is_due_exactly_for_success() -> None:
    assert outcome("publish.rag-success", FAILED) == "kept"
    assert outcome("publish.rag-success", FAILED, LEARNT) == "broken"
    assert outcome("publish.rag-success", VECTORISED, LEARNT, LEARNT) == "broken"


@pytest.mark.parametrize(
    "faults",
    [
        [("cut", 0.5)],
        [("cut", 0.5), ("failed", 0.6)],
        [("cut", 0.5), ("cut", 0.6)],
        [("cut", 0.5), ("failed", 0.6), ("restored", 9.0)],
    ],
)
def test_while_aura_cannot_reach_redis_nothing_has_to_be_told(faults: list[tuple[str, float]]) -> None:
    before = [replace(fault(do, at=at), seat="aura") for do, at in faults if at < 9]
    after = [replace(fault(do, at=at), seat="aura") for do, at in faults if at >= 9]
    events = (*before, feedback(), call(), DETECTED, VECTORISED, *after)
    assert broken(*events) == set()
    for clause in ("publish.once", "publish.alert-high", "publish.rag-success"):
        assert outcome(clause, *events) == "unproven"
    # What is told all the same is no lie.
    assert broken(*before, feedback(), published(), call(), DETECTED, ALERTED, VECTORISED, LEARNT, *after) == set()


def test_a_command_that_failed_excuses_what_it_was_for_and_nothing_else() -> None:
    detected = step("detect", at=2.0, case_id="case-2", severity="HIGH", score=0.85)
    failed, of_synapse = replace(fault("failed", at=2.01), seat="aura"), fault("failed", at=2.01)
    assert outcome("publish.alert-high", detected, failed) == "unproven"
    assert outcome("publish.alert-high", detected, of_synapse) == "broken"
    assert outcome("publish.alert-high", failed, replace(detected, at=2.5)) == "broken"


@pytest.mark.parametrize("name", ["case_id", "request_id", "executor_id"])
def test_a_message_that_lacks_an_id_echoes_nothing(name: str) -> None:
    found = finding("publish.echo", feedback(), published(without(ACTION, name)), call())
    assert (found.pointer, found.seen) == (f"/{name}", f'nothing where it was "{BODY[name]}"')


def test_each_id_that_is_not_the_call_s_is_told() -> None:
    judged = verdict("publish.echo", *told(case_id="case-0", executor_id=7))
    assert [(each.pointer, each.seen) for each in judged.findings] == [
        ("/case_id", '"case-0" where it was "case-1"'),
        ("/executor_id", '7 where it was "user-1"'),
    ]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"approved": "true"}, "/approved"),
        ({"approved": 1}, "/approved"),
        ({"action_type": "APPROVED"}, "/action_type"),
        ({"action_type": "REJECT"}, "/action_type"),
        ({"status_code": "FINALIZED"}, "/status_code"),
    ],
)
def test_the_three_fields_of_the_decision_agree(changes: dict[str, Any], pointer: str) -> None:
    assert finding("publish.agree", *told(**changes)).pointer == pointer
    assert broken(*told(**changes)) == {"publish.agree"}


def test_three_fields_that_agree_with_each_other_may_still_not_be_the_decision() -> None:
    found = finding("publish.agree", *told(**REJECTION))
    assert (found.expected, found.pointer) == ("the decision of the call", "/approved")
    assert found.seen == "approved: false where the call said true"


def test_a_message_that_nobody_called_for_is_judged_by_itself() -> None:
    assert outcome("publish.agree", published()) == "kept"
    assert outcome("publish.agree", published(ACTION | {"status_code": "REJECTED"})) == "broken"


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"type": "notification"}, '/type is "notification", expected "NOTIFICATION"'),
        ({"category": "case_action"}, '/category is "case_action", expected "CASE_ACTION"'),
        ({"message": ""}, '/message is "", expected text that is not empty'),
        ({"message": None}, "/message is null, expected a string"),
        ({"timestamp": ""}, '/timestamp is "", expected text that is not empty'),
        ({"timestamp": 1770820201150}, "/timestamp is 1770820201150, expected a string"),
    ],
)
def test_a_common_field_that_is_wrong_is_told_of_once(changes: dict[str, Any], seen: str) -> None:
    assert finding("publish.common-fields", *told(**changes)).seen == seen
    assert broken(*told(**changes)) == {"publish.common-fields"}


@pytest.mark.parametrize("name", ["type", "category", "message", "timestamp"])
def test_a_common_field_that_is_missing_is_told_of_once(name: str) -> None:
    events = (feedback(), published(without(ACTION, name)), call())
    found = finding("publish.common-fields", *events)
    assert (found.pointer, found.seen) == (f"/{name}", f"/{name} is missing")
    assert broken(*events) == {"publish.common-fields"}


def test_a_category_of_another_channel_breaks_only_their_belonging_together() -> None:
    assert broken(*told(category="RAG_STATUS")) == {"publish.channel-category"}


def test_an_unknown_channel_has_no_category() -> None:
    found = finding("publish.channel-category", published(channel="workbench:other"))
    assert found.expected == "one of workbench:alert, workbench:rag:status, workbench:case:action"
    assert (found.seen, found.pointer) == ("channel workbench:other", "")


@pytest.mark.parametrize(
    ("message", "channel", "pointer"),
    [
        (without(ALERT, "severity"), ALERTS, "/severity"),
        (ALERT | {"case_id": 2}, ALERTS, "/case_id"),
        (RAG_STATUS | {"chunks_added": 1.5}, RAG, "/chunks_added"),
        (RAG_STATUS | {"chunks_added": -1}, RAG, "/chunks_added"),
        (without(RAG_STATUS, "rag_document_id"), RAG, "/rag_document_id"),
        (without(ACTION, "request_id"), CASE_ACTION, "/request_id"),
        (ACTION | {"executor_id": ""}, CASE_ACTION, "/executor_id"),
    ],
)
def test_a_field_of_an_event_is_named_and_typed_as_in_the_document(
    message: dict[str, Any], channel: str, pointer: str
) -> None:
    assert finding("publish.event-fields", published(message, channel=channel)).pointer == pointer


def test_fields_that_the_documents_do_not_name_are_allowed() -> None:
    assert broken(*told(title="조치", tenant_id=7, trace=None)) == set()


@pytest.mark.parametrize(
    ("wire", "seen"),
    [
        (b'\xef\xbb\xbf{"type": "NOTIFICATION"}', "a byte order mark"),
        ('{"message": "조치"}'.encode("euc-kr"), "bytes that are not UTF-8"),
        (b"", "text that is not JSON"),
        (b"{'type': 'NOTIFICATION'}", "text that is not JSON"),
        (b'{"score": NaN}', "text that is not JSON"),
        (b"{}{}", "text that is not JSON"),
        (b"[]", "an array, not an object"),
        (b"null", "null, not an object"),
        (b'"{}"', '"{}", not an object'),
    ],
)
def test_what_is_no_json_object_in_utf8_is_told_and_nothing_else_is(wire: bytes, seen: str) -> None:
    assert finding("publish.utf8-json", *sent(wire)).seen == seen
    assert broken(*sent(wire)) == {"publish.utf8-json"}


@pytest.mark.parametrize(
    "wire",
    [
        b'{"message": "\\ud83d\\udc4d"}',
        b'{"message": "\\u0041\\uac00"}',
        b'{"message": "\\\\\\uac00"}',
        b'{"\\uba54": 1}',
        b'{"message": "\\u0080"}',
    ],
)
def test_an_escape_beyond_ascii_is_found(wire: bytes) -> None:
    assert outcome("publish.unescaped", published(wire)) == "broken"


@pytest.mark.parametrize(
    "wire",
    [
        '{"message": "승인 \\\\uac00"}'.encode(),
        '{"message": "승인 C:\\\\\\\\uac00"}'.encode(),
        '{"message": "승인 \\u0001\\u007f\\n"}'.encode(),
        '{"message": "승인\u2028👍"}'.encode(),
    ],
)
def test_an_escaped_backslash_or_control_character_is_not_an_escape_beyond_ascii(wire: bytes) -> None:
    assert outcome("publish.unescaped", published(wire)) == "kept"


def test_an_escaped_message_breaks_only_that() -> None:
    assert broken(*sent(json.dumps(ACTION).encode())) == {"publish.unescaped"}


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-02-11T14:30:01Z",
        "2026-02-11T14:30:01+00:00",
        "2026-02-11T14:30:01.1+00:00",
        "2026-02-11T14:30:01.150Z",
        "2026-02-11T14:30:01.150000123Z",
    ],
)
def test_a_timestamp_needs_no_fraction_and_may_have_one(stamp: str) -> None:
    assert broken(*told(timestamp=stamp)) == set()


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-02-11T14:30:01",
        "2026-02-11T23:30:01+09:00",
        "2026-02-11 14:30:01+00:00",
        "2026-02-11T14:30:01+0000",
        "2026-02-11T14:30:01z",
        "2026-02-11T14:30+00:00",
        "2026-02-30T14:30:01Z",
        "2026-02-11T14:30:01Z\n",
        "٢٠٢٦-02-11T14:30:01Z",
        "1770820201",
        "today",
    ],
)
def test_a_timestamp_that_java_would_not_take_or_that_is_not_in_utc_is_told(stamp: str) -> None:
    found = finding("publish.timestamp-format", *told(timestamp=stamp))
    assert (found.seen, found.pointer) == (json.dumps(stamp, ensure_ascii=False), "/timestamp")
    assert outcome("publish.common-fields", *told(timestamp=stamp)) == "kept"


@pytest.mark.parametrize("stamp", ["2026-02-11T14:30:01Z", "2026-02-11T14:30:01.200000Z"])
def test_the_bounds_of_an_action_belong_to_it(stamp: str) -> None:
    assert outcome("publish.timestamp-within", *told(timestamp=stamp)) == "kept"


def test_a_timestamp_after_the_publish_is_told_with_its_distance() -> None:
    found = finding("publish.timestamp-within", *told(timestamp="2026-02-11T14:30:03.700000Z"))
    assert found.seen == "2026-02-11T14:30:03.700000Z, 2.5 s after"


def test_a_run_may_be_tolerant_of_another_clock() -> None:
    early, late = told(timestamp="2026-02-11T14:29:56Z"), told(timestamp="2026-02-11T14:30:06.200000Z")
    for events in (early, late):
        assert outcome("publish.timestamp-within", *events, tolerance=5) == "kept"
        assert outcome("publish.timestamp-within", *events, tolerance=3.9) == "broken"


def test_the_timestamp_of_an_alert_lies_after_its_detection() -> None:
    early = published(ALERT | {"timestamp": "2026-02-11T14:30:01.999000+00:00"}, channel=ALERTS, at=2.2)
    assert broken(DETECTED, early) == {"publish.timestamp-within"}


def test_each_message_has_a_feedback_line_of_its_own_before_it() -> None:
    again = (feedback(at=2.1), published(at=2.2), call(began=2.0, at=2.3))
    assert outcome("publish.after-feedback", *KEPT, *again) == "kept"
    late = (published(at=2.1), feedback(at=2.2), call(began=2.0, at=2.3))
    assert finding("publish.after-feedback", *KEPT, *late).seen == "the message was event 4, its line 5"


def test_the_older_shape_is_the_backend_s_and_not_judged_as_aura_s() -> None:
    for seat in (None, "synapse"):
        assert broken(*KEPT, published(OLDER, seat=seat, at=1.25)) == set()


def test_the_older_shape_from_aura_breaks_what_it_lacks() -> None:
    events = (feedback(), published(OLDER), call())
    assert broken(*events) == {"publish.common-fields", "publish.no-database-fields"}


def test_a_message_of_unknown_origin_counts_as_aura_s() -> None:
    assert broken(feedback(), published(seat=None), call()) == set()
    assert broken(published(seat=None)) == {"delivery.nothing-invented"}


def test_what_is_not_on_a_workbench_channel_is_not_a_notification() -> None:
    assert broken(published(channel="hitl:channel:s1")) == set()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((DETECTED, ALERTED), "신규 이상 징후 탐지"),
        ((VECTORISED, LEARNT), "학습 완료"),
        (KEPT, "조치 승인됨"),
        ((feedback(), published(ACTION | REJECTION), call(BODY | {"approved": False})), "조치 거절됨"),
    ],
)
def test_the_wording_is_that_of_the_document_s_sample(events: tuple[Any, ...], expected: str) -> None:
    assert outcome("publish.message-text", *events) == "kept"
    reworded = [
        published(json.loads(event.data["wire"]) | {"message": "다른 말"}, channel=event.data["channel"], at=event.at)
        if event.kind == "published"
        else event
        for event in events
    ]
    assert finding("publish.message-text", *reworded).expected == expected


def test_the_wording_is_not_judged_where_the_channel_is_not_that_of_the_category() -> None:
    astray = published(RAG_STATUS, channel=ALERTS, at=3.2)
    assert outcome("publish.message-text", VECTORISED, astray) == "unproven"


def test_a_message_that_is_no_text_is_a_common_field_s_matter() -> None:
    assert outcome("publish.message-text", *told(message=7)) == "unproven"


def test_an_alert_for_a_case_that_was_only_decided_is_invented() -> None:
    alert = published(ALERT | {"case_id": "case-1", "timestamp": ACTION["timestamp"]}, channel=ALERTS, at=1.25)
    assert broken(feedback(), published(), alert, call()) == {"delivery.nothing-invented"}


def test_a_message_before_everything_that_could_have_caused_it_is_invented() -> None:
    assert broken(published(at=0.5), *KEPT) == {"delivery.nothing-invented"}


def test_a_finding_shows_the_message_s_bytes_and_how_to_see_it_again() -> None:
    found = finding("publish.agree", *told(status_code="REJECTED"))
    assert found.evidence.startswith('PUBLISH workbench:case:action\n{"type": "NOTIFICATION"')
    assert "조치 승인됨" in found.evidence
    listening, calling = found.reproduce
    assert listening == 'redis-cli -u "$HARNESS_REDIS_URL" SUBSCRIBE workbench:case:action'
    assert calling.startswith("curl ")
    assert found.events == (3, 2)


def test_bytes_that_are_no_text_are_shown_escaped() -> None:
    assert finding("publish.utf8-json", *sent(b"\xff")).evidence == "PUBLISH workbench:case:action\n\\xff"
