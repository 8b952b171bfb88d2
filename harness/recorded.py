"""The scenario that a history was recorded of, read from its own events.

A history may be damaged or somebody else's, and a scenario that is judged by other ids or steps than it was played with
accuses the wrong ones: what no player can have written is refused, with its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import scenario
from harness.errors import UsageError
from harness.history import History
from harness.located import in_words
from harness.scenario import Scenario, ScenarioError

_NAMED_IN = {"case": ("cases", "actions"), "document": ("documents",), "request": ("requests",), "rag": ("rag",)}
"""Where the ids stand that the names in an expectation are for."""


def scenario_of(history: History) -> Scenario | None:
    """None for a history of something else. Raises UsageError with the line of what cannot be."""
    told: Scenario | None = None
    following = 0  # the feed of served systems has steps without their scenarios
    for event in history.of("step"):
        try:
            do = _text(event.data, "do")
            if do == "given":
                if told is not None or following:
                    raise ValueError("the scenario stands behind a scenario or a step, expected it before all of them")
                told = _told(event.data)
            elif "step" in event.data:
                if told is not None:
                    _must_follow(event.data["step"], do, told, following)
                following += 1
        except ScenarioError as error:
            raise UsageError(f"{history.place(event)}: the scenario in this line does not load\n{error}") from None
        except ValueError as error:
            raise UsageError(f"{history.place(event)}: this line is not an event of a history ({error})") from None
    return told


def _told(given: Mapping[str, Any]) -> Scenario:
    told = scenario.parse(_text(given, "text"), Path(f"{_text(given, 'scenario')}.yaml"), _text(given, "file"))
    ids = _object(given, "ids")
    tables = {part: _object(ids, part) for parts in _NAMED_IN.values() for part in parts}
    for part, table in tables.items():
        for name, found in table.items():
            if not isinstance(found, list) or not found or not all(isinstance(each, str) for each in found):
                raise ValueError(f"{part} has {in_words(found)} for {name}, a list of ids was expected")
    for expected in (each for step in told.steps for each in step.expectations):
        for key in expected.arguments.keys() & _NAMED_IN:
            name = expected.arguments[key]
            missing = [part for part in _NAMED_IN[key] if name not in tables[part]]
            if missing:
                raise ValueError(f"{missing[0]} has no id of {name}, expected one for {expected.where}")
    return told


def _must_follow(index: Any, do: str, told: Scenario, following: int) -> None:
    """The steps of a scenario begin one after another."""
    if type(index) is not int or index != following or index >= len(told.steps):
        raise ValueError(f"step {in_words(index)} was found, {following} of {len(told.steps)} was expected")
    if do != told.steps[index].verb:
        raise ValueError(f'step {index} is "{do}", "{told.steps[index].verb}" was expected')


def _text(data: Mapping[str, Any], name: str) -> str:
    if not isinstance(data.get(name), str):
        raise ValueError(f"{name} is {in_words(data.get(name))}, text was expected")
    return str(data[name])


def _object(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"{name} is {in_words(found)}, an object was expected")
    return found
