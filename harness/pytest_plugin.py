"""Scenario files as pytest items: `pytest scenarios/` plays each and shows the lines of a story that went wrong.

pytest loads this module in every project that has the harness installed: a project without scenarios must not pay
for it, and its YAML is none of our business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.replay import Played
    from harness.scenario import Scenario

COMMENT, SCHEMA = "# yaml-language-server: $schema=", "schema.json"
LONGEST = 4096
"""Bytes of a first line; some YAML is one line of many megabytes."""


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    if file_path.suffix != ".yaml" or not _ours(file_path):
        return None
    file: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
    return file


class ScenarioFile(pytest.File):
    def collect(self) -> Iterator[ScenarioItem]:
        import os

        from harness.scenario import ScenarioError, load

        shown = os.path.relpath(self.path, self.config.invocation_params.dir)
        try:
            scenario = load(self.path, shown)
        except ScenarioError as error:
            raise self.CollectError(str(error)) from None
        yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario)


class ScenarioItem(pytest.Item):
    def __init__(self, *, scenario: Scenario, **more: Any) -> None:
        super().__init__(**more)
        self._scenario = scenario
        self._line = scenario.steps[0].line

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._line - 1, self.name

    def runtest(self) -> None:
        played = _played(self._scenario)
        wrong = [each for each in played.expectations if each.outcome != "kept"]
        broken = played.outcome == "broken"
        if broken:
            wrong = [each for each in wrong if each.outcome == "broken"]
        if wrong:
            self._goes_to(wrong[0].step.line)
        if broken:
            pytest.fail(_report(played), pytrace=False)
        if wrong:
            pytest.skip(f"{wrong[0].step.where}: unproven: {wrong[0].expected}; {wrong[0].seen}")

    def _goes_to(self, line: int) -> None:
        """pytest asked for the place before the story was played, and keeps the answer."""
        self._line = line
        vars(self).pop("location", None)


def _ours(path: Path) -> bool:
    """Whether the first line names a schema that is the harness's: other people's editors know such a comment too."""
    try:
        with path.open("rb") as file:
            first = file.readline(LONGEST).decode("utf-8-sig", "replace").rstrip()
    except OSError:
        return False
    if not first.startswith(COMMENT) or not first.endswith(SCHEMA):
        return False
    import json

    from harness.vocabulary import json_schema

    try:
        schema = json.loads((path.parent / first.removeprefix(COMMENT)).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(schema, dict) and schema.get("title") == json_schema()["title"]


def _played(scenario: Scenario) -> Played:
    """As `aura-harness replay` plays it: embedded, in virtual time, with the settings of the environment."""
    import os

    from harness import agreement, replay
    from harness.errors import HarnessError
    from harness.gate import Settings

    try:
        (played,) = replay.play_all(agreement.load(), [scenario], Settings.from_environment(os.environ))
    except HarnessError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    return played


def _report(played: Played) -> str:
    """Its first line is all that pytest's summary shows; the rest is what `aura-harness replay` shows."""
    import io

    from rich.console import Console

    from harness.report import printable, terminal
    from harness.report.replay import failing

    verdicts = [verdict for verdict in played.verdicts if verdict.outcome == "broken"]
    expectation = next((each for each in played.expectations if each.outcome == "broken"), None)
    if expectation is None:
        clause = next(verdict for verdict in verdicts if verdict.level == "must")
        first = f"{played.scenario.where}: {clause.clause} broken by {clause.seat}"
    else:
        by = f" ({expectation.seat})" if expectation.seat else ""
        stopped = f", the story stopped at: {expectation.hop}{by}" if expectation.hop else ""
        first = f"{expectation.step.where}: broken: {expectation.expected}{stopped}"
    told = io.StringIO()
    plain = Console(file=told, force_terminal=False, color_system=None, width=terminal.PIPE_WIDTH, highlight=False)
    terminal.show(plain, failing(played.judged, verdicts), on_one_line=True)
    return f"{printable(first)}\n\n{told.getvalue().rstrip()}"
