"""People's text is taken out of a history, and what is left is judged as the whole would have been."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.redaction import redacted

QUICK = ["--examples", "3"]


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
    whole, kept = (
        [line for line in (tmp_path / name).read_text(encoding="utf-8").splitlines() if '"do":"given"' not in line]
        for name in ("run0.jsonl", "run1.jsonl")
    )  # the files of the scenarios are no people's text
    assert any("검토 후 승인" in line for line in whole)
    assert not any("검토 후 승인" in line for line in kept)
    assert main(["check", str(tmp_path / "run1.jsonl")]) == 0
