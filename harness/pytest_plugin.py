"""Fixtures for other teams' tests, prefixed `harness_`, and scenario files as pytest items.

pytest loads this module in every project that has the harness installed: a project that uses none of it must not pay
for it, and its YAML is none of our business. So nothing of the harness is imported before a fixture is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.fixtures import HarnessRedis, Messages, Observation, Observe, SimulatedAura, SimulatedSynapse
    from harness.replay import Played
    from harness.scenario import Scenario

COMMENT, SCHEMA = "# yaml-language-server: $schema=", "schema.json"
LONGEST = 4096
"""Bytes of a first line; some YAML is one line of many megabytes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("aura-harness", "the contract between Aura and Synapse")
    group.addoption(
        "--harness-redis",
        metavar="URL",
        help="a real Redis for harness_redis, or `own` to start one for the session; embedded without it",
    )
    group.addoption("--harness-seed", type=int, default=1, metavar="N", help="of harness_messages (1)")


@pytest.fixture(scope="session")
def harness_redis_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The URL of `--harness-redis`, None for the embedded one. A suite may override it with a Redis of its own."""
    url = request.config.getoption("--harness-redis")
    if url != "own":
        yield url
        return
    from harness.redis_server import private_server

    with private_server() as server:
        yield server.url


@pytest.fixture
def harness_redis(harness_redis_url: str | None) -> Iterator[HarnessRedis]:
    """The Redis of this test: `client()`, `async_client()`, and `url` where it has one."""
    from harness.errors import HarnessError
    from harness.fixtures import HarnessRedis

    try:
        redis = HarnessRedis(harness_redis_url)
    except HarnessError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    yield redis
    redis.close()


@pytest.fixture
def harness_observe(request: pytest.FixtureRequest, harness_redis: HarnessRedis) -> Observe:
    """`with harness_observe():` records what Aura publishes, and fails the test where it breaks the agreement.

    Takes the names of clauses, all that were exercised without any; `messages=1`, how many have to come, at most
    `within=2.0` seconds after the block. In an async test, `async with`.
    """
    from harness import agreement
    from harness.fixtures import Observation
    from harness.fixtures.observe import WITHIN

    def observe(*clauses: str, messages: int = 1, within: float = WITHIN) -> Observation:
        return Observation(
            agreement.load(),
            harness_redis,
            clauses,
            messages=messages,
            within=within,
            test=request.node.nodeid,
            fail=lambda text: pytest.fail(text, pytrace=False),
        )

    return observe


@pytest.fixture
def harness_synapse(harness_redis: HarnessRedis) -> Iterator[SimulatedSynapse]:
    """A simulated Synapse on the Redis of this test: `notification(case_id=…)` is what it made of that message."""
    from harness.fixtures import SimulatedSynapse

    consumer = SimulatedSynapse(harness_redis)
    yield consumer
    consumer.close()


@pytest.fixture
def harness_aura(harness_redis: HarnessRedis) -> Iterator[SimulatedAura]:
    """A simulated Aura on the Redis of this test: `raise_alert`, `finish_rag`, `record_action`; `app`, `url`."""
    from harness.fixtures import SimulatedAura

    provider = SimulatedAura(harness_redis)
    yield provider
    provider.close()


@pytest.fixture
def harness_messages(request: pytest.FixtureRequest) -> Messages:
    """Messages by the name of a sample, or of a kind: ordinary, incomplete, extras, borders, twice, hostile."""
    from harness import agreement
    from harness.fixtures.messages import named

    seed: int = request.config.getoption("--harness-seed")
    return lambda name: named(agreement.load(), name, seed)


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
    from harness.seats import Settings

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
