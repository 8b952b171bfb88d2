"""The scenario of a history is read from its own events; a damaged or foreign one is refused with its line."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from expectations import GIVEN, IDS, WHOLE
from histories import history, step

from harness import expect, replay, scenario
from harness.agreement import Agreement
from harness.cli import main
from harness.errors import UsageError
from harness.history import Event, History, load_all, to_line
from harness.recorded import scenario_of
from harness.seats import Settings

STEPS = """\
  - approve: {case: odd, by: api}
  - unordered:
      - expect publish: {by: aura, case: odd}
      - expect no publish: {case: other}
  - expect refetch: reviewer
"""
RECORDED = history(
    step("given", at=0, scenario="한 이야기", file="stories/한 이야기.yaml", text=GIVEN + STEPS, ids=IDS),
    step("approve", at=1, step=0, line=11),
    *WHOLE,
    step("unordered", at=2, step=1, line=12),
    step("expect refetch", at=2, step=2, line=15),
)
ODD: tuple[Any, ...] = (
    None,
    True,
    7,
    1.5,
    "x",
    "\ud800",
    [],
    [7],
    {},
    {"cases": 7},
    {"odd": None},
    {"odd": ["case-1", 7]},
)
Change = Callable[[dict[str, Any]], object]


def with_data(seq: int, data: dict[str, Any]) -> History:
    return History([dataclasses.replace(event, data=data) if event.seq == seq else event for event in RECORDED])


def changed(seq: int, change: Change) -> History:
    data = copy.deepcopy(dict(RECORDED[seq].data))
    change(data)
    return with_data(seq, data)


def test_a_recorded_scenario_is_the_one_that_was_played() -> None:
    told = scenario_of(RECORDED)
    assert told is not None
    assert (told.name, told.file, len(told.steps)) == ("한 이야기", "stories/한 이야기.yaml", 3)
    judged = expect.rejudge(RECORDED)
    assert judged is not None
    assert judged.outcome == "kept"


def test_a_history_of_something_else_has_none() -> None:
    assert scenario_of(history(*WHOLE)) is None
    feed = history(step("approve", at=1, step=0, line=11), step("detect", at=1, step=0, line=7))
    assert scenario_of(feed) is None


@pytest.mark.parametrize(
    ("seq", "change", "said"),
    [
        (1, lambda data: data.pop("scenario"), "scenario is nothing, text was expected"),
        (1, lambda data: data.update(text=7), "text is 7, text was expected"),
        (1, lambda data: data.update(file=None), "file is nothing, text was expected"),
        (1, lambda data: data.pop("ids"), "ids is nothing, an object was expected"),
        (1, lambda data: data.update(ids=[]), "ids is a list, an object was expected"),
        (1, lambda data: data.update(ids={"cases": 7}), "cases is 7, an object was expected"),
        (1, lambda data: data["ids"]["cases"].update(odd=[]), "cases has a list for odd, a list of ids was expected"),
        (1, lambda data: data["ids"]["cases"].pop("other"), "cases has no id of other, expected one for"),
        (1, lambda data: data.update(do=[]), "do is a list, text was expected"),
        (2, lambda data: data.update(step=[1]), "step a list was found, 0 of 3 was expected"),
        (2, lambda data: data.update(step=999), "step 999 was found, 0 of 3 was expected"),
        (2, lambda data: data.update(step=False), "step false was found, 0 of 3 was expected"),
        (2, lambda data: data.update(do="reject"), 'step 0 is "reject", "approve" was expected'),
        (2, lambda data: data.update(RECORDED[1].data), "the scenario stands behind a scenario or a step"),
    ],
)
def test_what_no_player_has_written_is_refused(seq: int, change: Change, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        expect.rejudge(changed(seq, change))
    assert str(refused.value).startswith(f"event {seq}: this line is not an event of a history (")
    assert said in str(refused.value)


def test_a_scenario_that_does_not_load_is_told_with_its_own_lines() -> None:
    with pytest.raises(UsageError) as refused:
        scenario_of(changed(1, lambda data: data.update(text=data["text"].replace("approve", "aprove"))))
    place, *lines = str(refused.value).splitlines()
    assert place == "event 1: the scenario in this line does not load"
    assert lines[0].startswith('stories/한 이야기.yaml:12:5: the unknown verb "aprove"')


def damages(value: Any) -> Iterator[Any]:
    """The value with each of its parts, at any depth, replaced by something odd, or taken out."""
    yield from ODD
    if isinstance(value, dict):
        for name, part in value.items():
            rest = {key: each for key, each in value.items() if key != name}
            yield rest
            yield from ({**value, name: damaged} for damaged in damages(part))


def test_no_damage_to_what_it_tells_of_its_scenario_is_an_accident_or_an_accusation() -> None:
    tried = refused = 0
    for event in (event for event in RECORDED if event.kind == "step"):
        for data in damages(event.data):
            if not isinstance(data, dict):
                continue
            tried += 1
            try:
                judged = expect.rejudge(with_data(event.seq, data))
            except UsageError:
                refused += 1
                continue
            assert judged is None or judged.outcome != "broken", data
    assert tried > refused > 200


def test_check_names_the_line_of_the_second_history_in_a_file(
    agreed: Agreement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "두 이야기.jsonl"
    stories = [scenario.load(each) for each in scenario.paths() if each.stem in ("rag-failed", "approve-by-api")]
    with path.open("w", encoding="utf-8") as out:
        replay.play_all(agreed, stories, Settings(), out=out)
    first, second = load_all(path)
    (given,) = [event for event in second.of("step") if event.data.get("do") == "given"]

    def written(event: Event) -> str:
        damaged = {**event.data, "ids": None}
        return to_line(dataclasses.replace(event, data=damaged) if event is given else event)

    path.write_text("".join(map(written, [*first, *second])), encoding="utf-8")
    assert main(["check", str(path)]) == 2
    line = 1 + [json.loads(each)["data"].get("ids", {}) for each in path.read_text("utf-8").splitlines()].index(None)
    assert line > len(first)
    err = capsys.readouterr().err
    assert err.startswith(f"aura-harness: {path}:{line}: this line is not an event of a history (ids is nothing")
    assert "Traceback" not in err
