"""A history is on disk as it happens, and reads back exactly as it was."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.history import KINDS, Event, History, Recorder, decode, encode, ids_of, load, to_line, wall

RUN: dict[str, Any] = {
    "harness": "0.1.0",
    "agreement": "1.0.0",
    "seats": {"aura": "simulated"},
    "reach": [],
    "redis": "embedded",
    "seed": 1,
    "tolerance": 0.0,
    "command": ["aura-harness", "gate"],
}
START = datetime(2026, 2, 11, 14, 30, tzinfo=UTC)
AWKWARD = ("", "검토 후 승인", "👍🏽", "a\u2028b\u2029c\u0085d", "\r\n\t\v\f\x1c\x1e", "\0\x7f", '"\\', "\ufeff")


class Steps:
    """A clock that a test sets."""

    seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def elapsed(self) -> float:
        return self.seconds


def recorded(*data: dict[str, Any]) -> History:
    recorder = Recorder(Steps())
    recorder.record("run", RUN)
    for each in data:
        recorder.record("step", each)
    return recorder.history()


def written(path: Path, *lines: str | bytes) -> Path:
    path.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


def line(**changes: Any) -> str:
    event = {"seq": 0, "at": 0.0, "wall": wall(START), "kind": "run", "seat": None, "about": {}, "data": RUN}
    return json.dumps(event | changes) + "\n"


@pytest.mark.parametrize("text", AWKWARD)
def test_text_comes_back_from_disk_as_it_was(text: str, tmp_path: Path) -> None:
    history = recorded({"text": text, text: [text]})
    path = written(tmp_path / "h.jsonl", *map(to_line, history))
    assert list(load(path)) == list(history)


@pytest.mark.parametrize(
    "wire", [*(text.encode() for text in AWKWARD), b"\xff\xfe", bytes(range(256)), b"\xed\xa0\x80"]
)
def test_bytes_come_back_from_disk_as_they_were(wire: bytes, tmp_path: Path) -> None:
    history = recorded({"wire": encode(wire)})
    path = written(tmp_path / "h.jsonl", *map(to_line, history))
    assert decode(load(path)[1].data["wire"]) == wire


def test_text_is_kept_readable_and_what_is_none_as_base64() -> None:
    assert encode("승인 👍".encode()) == "승인 👍"
    assert encode(b"\xff\x00") == {"base64": "/wA="}
    assert "승인" in to_line(recorded({"text": "승인"})[1])


def test_an_event_is_one_line_whatever_its_text() -> None:
    for event in recorded(*({"text": text} for text in AWKWARD)):
        assert to_line(event).encode().count(b"\n") == 1


def test_events_are_numbered_and_stamped_with_one_moment_told_twice() -> None:
    clock = Steps()
    recorder = Recorder(clock)
    recorder.record("run", RUN)
    clock.seconds = 1.23456789
    event = recorder.record("http", {"status": 200}, seat="aura")
    assert (event.seq, event.at, event.seat) == (1, 1.234568, "aura")
    assert event.wall == "2026-02-11T14:30:01.234568+00:00"
    assert event.moment == START + timedelta(seconds=1.234568)
    assert list(recorder.history()) == [Event(0, 0.0, wall(START), "run", data=RUN), event]


def test_an_event_is_flushed_before_record_returns() -> None:
    class Watched(io.StringIO):
        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    out = Watched()
    recorder = Recorder(Steps(), out)
    for kind in ("run", "step", "http"):
        event = recorder.record(kind, {})
        assert out.flushed.endswith(to_line(event))
    assert out.flushed.count("\n") == 3


def test_what_was_recorded_is_on_disk_while_the_file_is_still_open(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    with path.open("w", encoding="utf-8", newline="\n") as out:
        recorder = Recorder(Steps(), out)
        recorder.record("run", RUN)
        recorder.record("step", {"do": "detect"})
        assert list(load(path)) == list(recorder.history())


def test_an_event_is_about_the_ids_that_are_text() -> None:
    about = {"case": "case-1", "request": 7, "session": None, "document": "\ud800"}
    assert Recorder(Steps()).record("run", {}, about=about).about == {"case": "case-1"}


def test_a_kind_that_nobody_knows_cannot_be_recorded() -> None:
    with pytest.raises(AssertionError, match="guess"):
        Recorder(Steps()).record("guess", {})


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"case_id": "c", "request_id": "r", "executor_id": "u"}', {"case": "c", "request": "r"}),
        (b'{"case_id": 7}', {"case": 7, "request": None}),
        (b"[]", {}),
        (b"{", {}),
        (b"\xff", {}),
        (b"[" * 100_000, {}),
    ],
)
def test_the_ids_of_a_body_are_read_as_far_as_they_can_be(body: bytes, ids: dict[str, object]) -> None:
    assert ids_of(body) == ids


def test_a_wall_time_is_in_utc_with_six_digits() -> None:
    seoul = timezone(timedelta(hours=9))
    assert wall(datetime(2026, 2, 11, 23, 30, tzinfo=seoul)) == "2026-02-11T14:30:00.000000+00:00"


def test_events_are_found_by_kind_in_their_order() -> None:
    history = recorded({"n": 1}, {"n": 2})
    assert [event.data["n"] for event in history.of("step")] == [1, 2]
    assert history.of("http") == ()
    assert (len(history), history.run) == (3, RUN)
    assert history[1:] == (history[1], history[2])


@pytest.mark.parametrize("kind", sorted(KINDS - {"run"}))
def test_every_kind_can_be_read(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path / "h.jsonl", line(), line(kind=kind, seq=1))
    assert load(path)[1].kind == kind


@pytest.mark.parametrize(
    "broken",
    [
        "\n",
        "{\n",
        "[]\n",
        "null\n",
        '{"seq": 1}\n',
        line(more=1),
        line(kind="guess"),
        line(wall="yesterday"),
        line(wall=7),
        line(wall="2026-02-11T14:30:00"),
        line(data=[]),
        line(about=None),
        line(about={"case": []}),
        line(at="soon"),
        line(seat=[]),
        line()[:40],
    ],
)
def test_a_line_that_is_no_event_is_told_by_file_and_line(broken: str, tmp_path: Path) -> None:
    path = written(tmp_path / "h.jsonl", line(), line(kind="step", seq=1), broken)
    with pytest.raises(UsageError) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}:3: this line is not an event of a history (")


def test_a_line_nested_beyond_reading_is_told_by_file_and_line(tmp_path: Path) -> None:
    path = written(tmp_path / "h.jsonl", line(), "[" * 100_000 + "\n")
    with pytest.raises(UsageError, match=rf"^{path}:2: this line is not an event"):
        load(path)


def test_a_line_separator_inside_a_text_does_not_shift_the_lines_told(tmp_path: Path) -> None:
    odd = json.dumps(json.loads(line(data=RUN | {"text": "a\u2028b\u0085c"})), ensure_ascii=False) + "\n"
    with pytest.raises(UsageError, match=r"h\.jsonl:2: "):
        load(written(tmp_path / "h.jsonl", odd, "broken\n"))


def test_a_history_begins_with_what_the_run_was(tmp_path: Path) -> None:
    path = written(tmp_path / "h.jsonl")
    with pytest.raises(UsageError, match=r":1: a history begins with an event of kind `run`"):
        load(path)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"h\.jsonl.*: this is not UTF-8 text; give a file that --history wrote"):
        load(written(tmp_path / "h.jsonl", line(), b"\xff\xfe\n"))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jsonl: No such file or directory; give a file"):
        load(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ((line(kind="step"),), 1),
        ((line(), line(seq=1)), 2),
        ((line(), line(kind="step", seq=2)), 2),
        ((line(), line(kind="step", seq=1), line(kind="step", seq=1)), 3),
        ((line(data=RUN | {"seats": 7}),), 1),
        ((line(data={name: value for name, value in RUN.items() if name != "reach"}),), 1),
        ((line(data=RUN | {"tolerance": "x"}),), 1),
    ],
)
def test_lines_that_do_not_follow_each_other_are_told(lines: tuple[str, ...], number: int, tmp_path: Path) -> None:
    path = written(tmp_path / "h.jsonl", *lines)
    with pytest.raises(UsageError, match=rf":{number}: this line is not an event of a history"):
        load(path)


def test_a_history_is_complete_when_its_run_has_finished(tmp_path: Path) -> None:
    assert not load(written(tmp_path / "h.jsonl", line())).complete
    finished = line(kind="step", seq=1, data={"do": "finished"})
    assert load(written(tmp_path / "h.jsonl", line(), finished)).complete


def test_half_a_surrogate_pair_is_kept() -> None:
    history = recorded({"text": "\ud83d"})
    assert json.loads(to_line(history[1]).encode())["data"] == {"text": "\ud83d"}


def test_what_runs_for_days_is_written_and_told_but_not_kept() -> None:
    out = io.StringIO()
    heard: list[Event] = []
    recorder = Recorder(Steps(), out, keep=False, told=heard.append)
    recorder.record("step", {"do": "검토 👍"})
    recorder.record("step", {"do": "again"})
    assert len(recorder) == 2
    assert [event.seq for event in heard] == [0, 1]
    assert out.getvalue() == "".join(map(to_line, heard))
    with pytest.raises(AssertionError, match="nothing was kept"):
        recorder.history()
