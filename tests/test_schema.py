import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness import agreement
from harness.errors import AgreementError
from harness.schema import Validator, compile_schemas, in_brief

SAMPLES = agreement.load().samples


def validator(name: str) -> Validator:
    return compile_schemas(agreement.load())[name]


def found(name: str, value: Any) -> list[tuple[str, str, str]]:
    return [(each.pointer, each.keyword, each.reason) for each in validator(name).violations(value)]


def case_action(**changed: Any) -> dict[str, Any]:
    return {**SAMPLES["case-action-approved"].value, **changed}


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name not in names}


def test_schemas_are_compiled_once_for_an_agreement() -> None:
    assert compile_schemas(agreement.load()) is compile_schemas(agreement.load())


def test_a_schema_that_cannot_be_compiled_is_told_by_its_file(tmp_path: Path) -> None:
    root = Path(shutil.copytree(agreement.contracts_dir(), tmp_path / "contracts"))
    (root / "schemas" / "error.json").write_text('{"type": "thing"}', encoding="utf-8")
    with pytest.raises(AgreementError, match=r"^contracts/schemas/error\.json:1:1: .*expected a JSON Schema$"):
        compile_schemas(agreement.load(root))


def test_a_wrong_constant_is_told_once_with_what_was_expected() -> None:
    assert found("case-action", case_action(category="case_action")) == [
        ("/category", "const", 'is "case_action", expected "CASE_ACTION"')
    ]


@pytest.mark.parametrize("approved", [True, False])
def test_fields_that_disagree_with_approved_are_the_ones_that_are_told(approved: bool) -> None:
    decided = case_action(approved=approved, action_type="?", status_code="REJECTED" if approved else "APPROVED")
    expected = "APPROVED" if approved else "REJECTED"
    assert [where for where, *_ in found("case-action", decided)] == ["/action_type", "/status_code"]
    assert f'expected "{expected}"' in found("case-action", decided)[1][2]


def test_a_missing_field_is_told_by_its_own_pointer() -> None:
    assert found("case-action", without(case_action(), "case_id", "message")) == [
        ("/case_id", "required", "is missing"),
        ("/message", "required", "is missing"),
    ]


def test_a_field_too_many_is_told_by_its_own_pointer_and_last() -> None:
    response = {**SAMPLES["record-response"].value, "data": {"ok": False, "logged": True, "history_id": 7}}
    assert found("record-response", response) == [
        ("/data/ok", "const", "is false, expected true"),
        ("/data/history_id", "additionalProperties", "is not allowed here"),
    ]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"message": ""}, 'is "", expected text that is not empty'),
        ({"message": None}, "is null, expected a string"),
        ({"message": ["a"]}, "is an array, expected a string"),
        ({"approved": "true"}, 'is "true", expected a boolean'),
        ({"approved": 1}, "is 1, expected a boolean"),
        ({"action_type": "approve"}, 'is "approve", expected one of "APPROVE", "REJECT"'),
    ],
)
def test_a_reason_says_what_was_found_and_what_was_expected(changed: dict[str, Any], reason: str) -> None:
    assert [each.reason for each in validator("case-action").violations(case_action(**changed))] == [reason]


@pytest.mark.parametrize("count", [-1, 1.5, True, "1"])
def test_chunks_are_counted_in_whole_numbers_from_zero(count: object) -> None:
    assert not validator("rag-status").is_valid({**SAMPLES["rag-status"].value, "chunks_added": count})


@pytest.mark.parametrize("name", ["comment", "doc_key"])
def test_optional_fields_of_a_request_may_be_null_or_absent(name: str) -> None:
    request = SAMPLES["record-request"].value
    assert validator("record-request").is_valid({**request, name: None, "more": {}})
    assert validator("record-request").is_valid(without(request, name))


@pytest.mark.parametrize(
    ("timestamp", "good"),
    [
        ("2026-02-11T12:00:00", True),
        ("2026-02-11T12:00:00.123456+09:00", True),
        ("2026-02-11 12:00:00", False),
        ("2026-02-11T12:00:00\n", False),
        ("2026-13-11T12:00:00", False),
        ("2026-02-11T12:00", False),
    ],
)
def test_the_answers_timestamp_is_a_date_and_time_with_or_without_offset(timestamp: str, good: bool) -> None:
    response = {**SAMPLES["record-response"].value, "timestamp": timestamp}
    assert validator("record-response").is_valid(response) is good


def test_a_signals_two_words_agree() -> None:
    signal = {"type": "approval", "requestId": "r", "status": "rejected", "timestamp": 1.5}
    assert found("hitl-signal", signal) == [("/status", "const", 'is "rejected", expected "approved"')]


def test_a_field_of_the_dto_is_left_out_and_never_null() -> None:
    instant = "2026-02-11T14:30:00.123456789Z"
    dto = {
        "id": 1,
        "tenantId": 0,
        "type": "GENERIC",
        "title": "알림",
        "content": "x",
        "channel": "workbench:x",
    }
    dto |= {"occurredAt": instant, "createdAt": instant, "payload": {"a": None}}
    assert found("notification-dto", dto) == []
    assert [where for where, *_ in found("notification-dto", {**dto, "readAt": None})] == ["/readAt"]


HOSTILE: list[Any] = [
    None,
    [],
    "\ud83d",
    {"\ud83d": "\ude00"},
    10**30,
    -(10**5000),
    math.inf,
    -math.inf,
    math.nan,
    "\x00",
    {"": {"/": {"~": "\ud800"}}},
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_any_value_gets_an_answer(value: Any) -> None:
    for name in compile_schemas(agreement.load()):
        for whole in (value, {"type": value, "data": {"ok": value}, "message": value, "x": [value]}):
            violations = validator(name).violations(whole)
            assert validator(name).is_valid(whole) is not bool(violations)
            assert all(each.reason.encode() for each in violations)


def test_a_violation_shows_the_value_that_was_really_there() -> None:
    response = {
        **SAMPLES["record-response"].value,
        "status": "\ud83d",
        "data": {"ok": True, "\ud83d": 10**5000},
    }
    violations = {each.pointer: each for each in validator("record-response").violations(response)}
    assert violations["/status"].value == "\ud83d"
    assert violations["/status"].reason == 'is "\\ud83d", expected "SUCCESS"'
    assert violations["/data/\ud83d"].value == 10**5000


def test_a_number_without_end_is_still_a_number() -> None:
    assert validator("alert").is_valid({**SAMPLES["alert"].value, "score": json.loads("1e400")})
    assert not validator("record-request").is_valid({**SAMPLES["record-request"].value, "comment": math.inf})


def test_text_with_a_lone_surrogate_is_text() -> None:
    assert validator("case-action").is_valid(case_action(message="\ud83d", **{"\ude00": 1}))


def test_nesting_without_end_is_answered() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert validator("case-action").is_valid(case_action(x=deep))
    assert not validator("case-action").is_valid(case_action(x=deep, y="\ud83d"))
    assert found("case-action", case_action(x=deep, y="\ud83d"))[0][1] == "depth"


def test_a_long_value_is_shown_in_brief() -> None:
    assert len(in_brief("가" * 1000)) == 59
    assert in_brief({"a": 1}) == "an object"
