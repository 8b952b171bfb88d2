"""People's text is taken out of a history, and what is left is judged as the whole would have been."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import located, scenario
from harness.agreement import Agreement
from harness.cli import main
from harness.history import decode, encode
from harness.redaction import Redaction
from harness.replay import Conditions, Played, play_all
from harness.seats import Settings

QUICK = ["--examples", "3"]
redacted = Redaction(b"a salt of a run").of


@pytest.mark.parametrize(
    ("value", "gone"),
    [
        ({"comment": "김민수가 승인함"}, "김민수"),
        ({"wire": '{"case_id": "C", "executor_id": "kim@example.com"}'}, "kim@example.com"),
        ({"line": '{"comment":"줄\\n바꿈 \\"따옴표\\" 👍","at":"x"}'}, "따옴표"),
        ({"request": {"userId": "김검토", "context": {"comment": "안"}}}, "김검토"),
        ({"several": [{"reason": "증빙 부족"}, "x"]}, "증빙"),
        ({"body": '{"comment" : "\\uae40"}'}, "uae40"),
    ],
)
def test_what_people_wrote_is_gone(value: dict[str, object], gone: str) -> None:
    assert gone in json.dumps(value, ensure_ascii=False)
    assert gone not in json.dumps(redacted(value), ensure_ascii=False)


def test_equal_texts_get_equal_marks_and_json_stays_json() -> None:
    found = redacted({"comment": "같은 글", "line": '{"comment": "같은 글", "n": 1, "message": "남는 글"}'})
    line = json.loads(found["line"])
    assert line["comment"] == found["comment"] != "같은 글"
    assert (line["n"], line["message"]) == (1, "남는 글")


def test_nothing_else_is_touched() -> None:
    value = {"comment": "", "case": "C-1", "n": 3, "none": None, "wire": {"base64": "/w=="}, "text": "no JSON: comment"}
    assert redacted(value) == value


def test_a_run_without_peoples_text_is_judged_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for options in ([], ["--redact"]):
        path = tmp_path / f"run{len(options)}.jsonl"
        assert main(["gate", *QUICK, "--history", str(path), *options]) == 0
        said.append(capsys.readouterr().out.splitlines()[-1])
    assert said[0] == said[1]
    whole, kept = ((tmp_path / name).read_text(encoding="utf-8") for name in ("run0.jsonl", "run1.jsonl"))
    for text in ("comment: 검토 후 승인", '"검토 후 승인', "김검토"):
        assert text.replace('"', '\\"') in whole
    assert "검토 후 승인" not in kept
    assert "김검토" not in kept
    assert main(["check", str(tmp_path / "run1.jsonl")]) == 0


SCENARIO = """\
title: &who 김민수
steps:
  - request: {user: *who, comment: "두
      줄 😀", n: 1}
  - reject:
      reason: |
        여러
        줄
      base64: BYTES
      user: "이름\\u2028둘"
  - publish: {text: '{"comment": "영희", "x": "남는 글\\u0085"}', user: 'HITL timeout'}
"""


def test_the_file_of_a_scenario_keeps_all_but_peoples_text_and_that_on_its_lines() -> None:
    import base64

    wire = base64.b64encode('{"comment": "김민수"}'.encode("utf-16")).decode()
    text = SCENARIO.replace("BYTES", wire)
    salted = Redaction(b"salt")
    before, after = (located.parse(each, "s.yaml") for each in (text, salted.of_scenario(text)))
    assert after.data["steps"][0]["request"]["user"] == salted.of("김민수", "user")
    assert after.data["steps"][1]["reject"]["reason"] == salted.of("여러\n줄\n", "reason")
    assert after.data["steps"][2]["publish"] == salted.of(before.data["steps"][2]["publish"])
    assert json.loads(base64.b64decode(after.data["steps"][1]["reject"]["base64"]))["comment"] == salted.of(
        "김민수", "user"
    )
    assert after.data["steps"][0]["request"]["n"] == 1
    lines = {at: line for at, (line, _) in before.where.items()}
    assert {at: line for at, (line, _) in after.where.items()} == {**lines, "/steps/0/request/n": 4}
    for gone in ("김민수", "두", "여러", "이름", "영희"):
        assert gone not in salted.of_scenario(text)


@pytest.mark.parametrize("encoding", ["utf-16", "euc-kr", "utf-32"])
def test_peoples_text_is_found_in_bytes_that_are_not_utf_8_and_stay_so(encoding: str) -> None:
    wire = '{"case_id": "C-1", "comment": "김민수가 승인함"}'.encode(encoding)
    kept = decode(redacted({"wire": encode(wire)})["wire"])
    assert "김민수".encode(encoding).removeprefix(b"\xff\xfe") not in kept
    assert "C-1".encode(encoding) in kept or encoding != "euc-kr"
    with pytest.raises(UnicodeDecodeError):
        kept.decode()


def test_a_mark_is_of_its_run_alone() -> None:
    one, other = Redaction(b"one"), Redaction(b"other")
    assert one.of("김민수", "user") == one.of("김민수", "comment") != other.of("김민수", "user")


def test_what_a_redacted_story_waits_for_comes_as_soon_as_in_another(agreed: Agreement) -> None:
    told = [scenario.load(path) for path in scenario.paths() if path.stem == "approve-by-signal"]

    def played(redact: Redaction | None) -> Played:
        (one,) = play_all(agreed, told, Settings(), Conditions(redact=redact))
        return one

    redacted, other = played(Redaction(b"salt")), played(None)
    assert (redacted.outcome, redacted.virtual_seconds) == (other.outcome, other.virtual_seconds)
    assert "김검토" in other.judged.scenario.text
    assert "김검토" not in redacted.judged.scenario.text  # of which a report shows the lines
