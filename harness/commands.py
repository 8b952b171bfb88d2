"""What the commands of `aura-harness` do. Everything is imported where it is needed: a command pays for itself only."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from harness.agreement import Agreement
    from harness.expect import JudgedScenario
    from harness.gate import Settings
    from harness.history import History
    from harness.redis_server import RedisServer
    from harness.replay import Played
    from harness.report import Report
    from harness.report.progress import Progress
    from harness.scenario import Scenario


OWN_REDIS = "own"
"""Instead of a URL: a Redis that is started for the run."""


def run_gate(arguments: argparse.Namespace) -> int:
    from harness import gate
    from harness.report import terminal
    from harness.report.progress import Progress

    agreement = _agreement(arguments)
    required = _required(arguments, agreement)
    _must_differ(arguments)
    options = gate.Options(
        redis_url=arguments.redis, seed=arguments.seed, examples=arguments.examples, command=_command(arguments)
    )
    settings = gate.Settings.from_environment(os.environ)
    with (
        _opened(arguments.history) as out,
        Progress(terminal.console(sys.stderr)) as progress,
        asyncio.Runner() as runner,
    ):
        history = runner.run(gate.run(agreement, options, settings, out=out, began=_header, progress=progress))
        played = _stories(agreement, settings, arguments.seed, out, progress) if history.complete else ()
    histories = [history, *(each.history for each in played)]
    return _present(arguments, _judged(agreement, histories, [each.judged for each in played], required))


def _stories(
    agreement: Agreement, settings: Settings, seed: int, out: IO[str] | None, progress: Progress
) -> tuple[Played, ...]:
    """Every scenario, in virtual time on Redis of its own, whatever the run before was on."""
    from harness import replay, scenario

    scenarios = scenario.load_all()
    done = 0

    def told(played: Played) -> None:
        nonlocal done
        done += 1
        progress("scenarios, embedded", done, len(scenarios))

    return replay.play_all(agreement, scenarios, settings, seed=seed, out=out, told=told)


def run_replay(arguments: argparse.Namespace) -> int:
    if arguments.recorded is not None:
        return _republish(arguments)
    if arguments.speed is not None:
        raise UsageError("--speed is for --from HISTORY.jsonl; scenarios keep the time that they say")
    if arguments.redis != OWN_REDIS:
        return _play(arguments, server=None)
    from harness.redis_server import private_server

    with private_server() as server:
        arguments.redis = server.url
        return _play(arguments, server=server)


def _play(arguments: argparse.Namespace, *, server: RedisServer | None) -> int:
    from harness import replay
    from harness.gate import Settings
    from harness.report import terminal
    from harness.report.replay import failing, line

    scenarios = _scenarios(arguments.scenarios)
    if arguments.list:
        for each in scenarios:
            print(f"{each.name:<28} {each.title}")
        return 0
    if arguments.timeline_to is not None and len(scenarios) != 1:
        raise UsageError(f"--timeline-to draws one scenario; {len(scenarios)} were found, name one")
    names = [each.name for each in scenarios]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{twice} was named twice; --repeat N plays scenarios several times")
    agreement = _agreement(arguments)
    settings = Settings.from_environment(os.environ)
    console = terminal.console()
    command = ["aura-harness", "replay", "--seed", str(arguments.seed)]

    def told(played: replay.Played) -> None:
        outcome = played.outcome
        virtual = played.virtual_seconds if arguments.redis is None else None
        shown = line(played.scenario.name, outcome, virtual=virtual, seconds=played.seconds)
        terminal.show(console, shown, on_one_line=True)
        sys.stdout.flush()
        if outcome != "kept":
            broken = [verdict for verdict in played.verdicts if verdict.outcome == "broken"]
            terminal.show(console, failing(played.judged, broken))
        if arguments.timeline:
            from harness.report.timeline import timeline

            terminal.show(console, timeline(played.history, console.width))

    rounds = []
    for _ in range(arguments.repeat):
        played = replay.play_all(
            agreement,
            scenarios,
            settings,
            seed=arguments.seed,
            redis_url=arguments.redis,
            timeout=arguments.timeout,
            server=server,
            folder=arguments.history,
            command=command,
            told=told,
        )
        rounds.append(played)
    last = rounds[-1]
    report = _report_of(last, [each for played in rounds for each in played])
    if arguments.timeline_to is not None:
        from harness.report.picture import timeline_html

        arguments.timeline_to.write_text(timeline_html(last[0].history, last[0].scenario.title), encoding="utf-8")
    _write(arguments, report)
    if arguments.repeat > 1:
        print(_alike(rounds))
    kept = sum(each.outcome == "kept" for each in last)
    counted = f"{kept} of {len(last)} scenarios kept (exit {report.exit_code})"
    print(f"{counted}; aura, synapse and workbench simulated: a self-test")
    return report.exit_code


def _republish(arguments: argparse.Namespace) -> int:
    from collections import Counter

    from harness.bus import open_bus
    from harness.history import load_all
    from harness.report import terminal
    from harness.report.progress import Progress
    from harness.republish import Message, messages, republish

    _must_only_publish(arguments)
    speed = 1.0 if arguments.speed is None else arguments.speed
    histories = load_all(arguments.recorded)
    found = [each for each in map(messages, histories) if each]
    total = sum(map(len, found))
    if not total:
        raise UsageError(f"{arguments.recorded}: Aura published nothing in it; give a history in which it did")
    seconds = sum(each[-1].at - each[0].at for each in found) / speed
    receivers: Counter[int] = Counter()

    async def publish(progress: Progress) -> int:
        def told(message: Message, received: int) -> None:
            receivers[received] += 1
            progress("published again", receivers.total(), total)

        async with open_bus(arguments.redis) as bus:
            pace = "without waiting" if arguments.speed == float("inf") else f"over {seconds:.1f} s"
            print(f"{_counted(total)} of Aura will be published on {bus.description}, {pace}", flush=True)
            return await republish(histories, bus.publisher("aura"), speed, told)

    try:
        with Progress(terminal.console(sys.stderr)) as progress, asyncio.Runner() as runner:
            received = runner.run(publish(progress))
    except KeyboardInterrupt:
        raise HarnessError(f"interrupted; {receivers.total()} of {_counted(total)} published") from None
    for number, count in sorted(receivers.items(), reverse=True):
        print(f"{_counted(count)} received by {number or 'nobody'}")
    if not received:
        print("nobody listened: start what subscribes to workbench:* before (exit 3)")
    return 0 if received else 3


def _counted(messages: int) -> str:
    return f"{messages} message{'' if messages == 1 else 's'}"


def _must_only_publish(arguments: argparse.Namespace) -> None:
    """`--from` plays nothing, so nothing that is said about playing may be lost silently."""
    default: Callable[[str], Any] = arguments.parser.get_default
    changed = {name for name, value in vars(arguments).items() if value != [] and value != default(name)}
    for name in sorted(changed - {"recorded", "redis", "speed", "parser"}):
        shown = " ".join(arguments.scenarios) if name == "scenarios" else f"--{name.replace('_', '-')}"
        raise UsageError(f"--from {arguments.recorded}: it plays no scenario; leave out {shown}")
    if arguments.redis is None:
        raise UsageError(f"--from {arguments.recorded}: give the Redis to publish on, --redis URL (HARNESS_REDIS_URL)")


def _report_of(played: Sequence[Played], all_rounds: Sequence[Played]) -> Report:
    from harness.report import Report
    from harness.verdict import exit_code, merged

    every = merged(each.verdicts for each in all_rounds)
    code = exit_code(every, scenarios=[each.outcome for each in all_rounds], whole=False)
    verdicts = merged(each.verdicts for each in played)
    return Report(played[0].history.run, verdicts, code, scenarios=tuple(each.judged for each in played))


def _alike(rounds: Sequence[Sequence[Played]]) -> str:
    """Whether each scenario wrote the same history every time, wall-clock stamps apart."""
    first, *others = [[_without_wall(each.history) for each in played] for played in rounds]
    differ = {
        played.scenario.name
        for other in others
        for played, one, two in zip(rounds[0], first, other, strict=True)
        if one != two
    }
    if differ:
        return f"the histories of {', '.join(sorted(differ))} differ between the {len(rounds)} rounds"
    return f"{len(rounds)} rounds, and every time the same histories, wall-clock stamps apart"


def _without_wall(history: History) -> list[object]:
    return [(event.seq, event.at, event.kind, event.seat, event.about, event.data) for event in history]


def _scenarios(asked: Sequence[str]) -> tuple[Scenario, ...]:
    """By name, or by file; all that ship without either."""
    import difflib

    from harness import scenario

    known = {path.stem: path for path in scenario.paths()}
    found = []
    for name in asked:
        if name in known:
            found.append(scenario.load(known[name]))
        elif name.endswith((".yaml", ".yml")):
            found.append(scenario.load(Path(name)))
        else:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "`aura-harness replay --list` names them"
            raise UsageError(f"{name}: there is no such scenario, and it is no file *.yaml; {hint}")
    return tuple(found) if asked else scenario.load_all()


def run_check(arguments: argparse.Namespace) -> int:
    from harness.expect import rejudge
    from harness.history import load_all

    agreement = _agreement(arguments)
    required = _required(arguments, agreement)
    _must_differ(arguments)
    histories = load_all(arguments.recorded)
    scenarios = [judged for judged in map(rejudge, histories) if judged is not None]
    _header(histories[0].run)
    return _present(arguments, _judged(agreement, histories, scenarios, required))


def run_lint(arguments: argparse.Namespace) -> int:
    from harness.agreement import contracts_dir, load
    from harness.checks import CHECKS
    from harness.gate import REACH, SEATS
    from harness.lint import lint

    root = arguments.contracts or contracts_dir()
    if not root.is_dir():
        raise UsageError(f"--contracts {root}: there is no such folder")
    problems = lint(root, CHECKS, seats=SEATS, reach=REACH)
    for problem in problems:
        print(f"{problem.where}: {problem.text}")
    if problems:
        print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
        return 1
    agreement = load(root)
    print(
        f"agreement {agreement.version} is consistent: {len(agreement.clauses)} clauses, {len(agreement.schemas)} "
        f"schemas, {len(agreement.mapping)} mapping rows, {len(agreement.samples)} samples"
    )
    return 0


def _agreement(arguments: argparse.Namespace) -> Agreement:
    from harness.agreement import load
    from harness.schema import compile_schemas

    agreement: Agreement = load(arguments.contracts)
    compile_schemas(agreement)  # a schema that is none is found before anything is driven
    return agreement


def _must_differ(arguments: argparse.Namespace) -> None:
    files = [path.resolve() for _, path in arguments.report]
    files += [path.resolve() for path in (getattr(arguments, "history", None),) if path is not None]
    for path in files:
        if files.count(path) > 1:
            raise UsageError(f"{path} is to be written twice; give each report and the history a file of its own")


def _required(arguments: argparse.Namespace, agreement: Agreement) -> frozenset[str]:
    import difflib

    asked = {name for names in arguments.require for name in names.split(",")}
    if "all" in asked:
        return frozenset(agreement.clauses)
    for name in sorted(asked - set(agreement.clauses)):
        close = difflib.get_close_matches(name, agreement.clauses, n=1)
        hint = f"; did you mean {close[0]}?" if close else "; `aura-harness gate` lists them all"
        raise UsageError(f"--require {name}: there is no such clause{hint}")
    return frozenset(asked)


def _judged(
    agreement: Agreement,
    histories: Sequence[History],
    scenarios: Sequence[JudgedScenario],
    required: frozenset[str],
) -> Report:
    """Histories of scenarios alone need not prove every clause."""
    from harness.checks import judge
    from harness.report import Report
    from harness.verdict import exit_code, merged

    verdicts = merged(judge(agreement, history) for history in histories)
    complete = all(history.complete for history in histories)
    whole = len(histories) > len(scenarios)
    code = exit_code(verdicts, required, scenarios=[each.outcome for each in scenarios], whole=whole)
    code = code if complete else HarnessError.exit_code
    return Report(histories[0].run, verdicts, code, complete, tuple(scenarios))


def _present(arguments: argparse.Namespace, report: Report) -> int:
    from harness.report import terminal
    from harness.report.replay import failing

    console = terminal.console()
    terminal.show(console, terminal.verdicts(report, console.width))
    for judged in report.scenarios:
        if judged.outcome != "kept":
            terminal.show(console, failing(judged, ()))
    terminal.show(console, terminal.summary(report), on_one_line=True)
    _write(arguments, report)
    return report.exit_code


def _write(arguments: argparse.Namespace, report: Report) -> None:
    from harness.report import WRITERS

    for kind, path in arguments.report:
        path.write_text(WRITERS[kind](report), encoding="utf-8")


def _header(run: Mapping[str, Any]) -> None:
    from harness.report import terminal

    terminal.show(terminal.console(), terminal.header(run))
    sys.stdout.flush()


def _opened(path: Path | None) -> AbstractContextManager[IO[str] | None]:
    if path is None:
        return nullcontext()
    return path.open("w", encoding="utf-8")


def _command(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What repeats the run, without the password of a Redis URL."""
    from harness.bus import without_password

    command = ["aura-harness", "gate", "--seed", str(arguments.seed), "--examples", str(arguments.examples)]
    if arguments.contracts:
        command += ["--contracts", str(arguments.contracts)]
    if arguments.redis:
        command += ["--redis", without_password(arguments.redis)]
    return tuple(command)
