"""`aura-harness replay`: play scenarios, or publish again what a recorded run published."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.commands.judging import (
    header,
    load_agreement,
    loaded_waivers,
    must_differ,
    opened,
    present,
    reported,
    today,
    unheeded,
    write,
)
from harness.commands.options import (
    command_parser,
    configuration,
    folder,
    live_options,
    positive,
    redaction,
    repeating,
    report_option,
    seconds,
    waivers_option,
    writable,
)
from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from harness.configuration import Configuration
    from harness.redaction import Redaction
    from harness.redis_server import RedisServer
    from harness.replay import Played, Rounds
    from harness.report import Report
    from harness.scenario import Scenario
    from harness.waivers import Waiver

ATTACHING = 60.0
"""Seconds in which a test has to ask in the session that was attached to."""
REPUBLISHED = ("recorded", "redis", "speed")
ATTACHED = frozenset(
    "attach answer user reason redis hitl_timeout patience config contracts history report waivers redact".split()
)
"""The options that are heeded where no scenario is played."""
OWN_REDIS = "own"
"""Instead of a URL: a Redis that is started for the run."""
EXIT_CODES = """exit codes:
  0  every expectation, and every `must`, is kept; with --from, every message was published
  1  one is broken and not waived, in whichever round, or a waiver has to go
  2  wrong usage, or a scenario or a history does not load, or Aura published nothing in it
  3  none is broken, but an expectation could not be proven; with --from, nobody received any message
  4  it could not work, or was interrupted; or, embedded, --repeat wrote different histories
"""


def add(commands: object) -> None:
    purpose = "play scenarios through all three systems"
    replay = command_parser(commands, "replay", purpose, run, EXIT_CODES)
    replay.set_defaults(parser=replay)
    replay.add_argument("scenarios", nargs="*", metavar="NAME|FILE", help="which ones; all without any")
    replay.add_argument("--list", action="store_true", help="name the scenarios, and play none")
    replay.add_argument(
        "--redis",
        metavar="URL",
        default=os.environ.get("HARNESS_REDIS_URL") or None,
        help=f"a real Redis, in wall time, or `{OWN_REDIS}` to start one for the run; embedded and in virtual time "
        "without it (HARNESS_REDIS_URL)",
    )
    replay.add_argument("--timeout", type=seconds, default=2.0, metavar="S", help="Aura's, on a real Redis (2)")
    replay.add_argument("--seed", type=int, default=1, metavar="N", help="the order of what happens at once (1)")
    replay.add_argument(
        "--repeat", type=positive, default=1, metavar="N", help="play them so often; the worst round counts"
    )
    replay.add_argument(
        "--history", type=folder, metavar="DIR", help="keep what was observed, a file for each and each round"
    )
    replay.add_argument("--timeline", action="store_true", help="draw each run as a sequence diagram")
    replay.add_argument(
        "--timeline-to", type=writable, metavar="FILE.html", help="the same as a picture, of the first scenario"
    )

    replay.add_argument(
        "--from",
        dest="recorded",
        type=Path,
        metavar="HISTORY.jsonl",
        help="play nothing: publish on --redis again what Aura published there, byte for byte",
    )
    replay.add_argument("--speed", type=_speed, metavar="N|max", help="with --from: so many times faster (1)")
    attaching = replay.add_argument_group("attaching", "Answer what an Aura asks in a test of its own team's.")
    attaching.add_argument(
        "--attach", metavar="SESSION", help="play nothing but the backend's side of the request of this HITL session"
    )
    attaching.add_argument("--answer", choices=("approve", "reject", "none"), default="approve", help="(approve)")
    attaching.add_argument("--user", default="aura-harness", metavar="ID", help="who answers (aura-harness)")
    attaching.add_argument("--reason", metavar="TEXT", help="why, for a rejection")
    report_option(replay)
    live_options(replay)
    waivers_option(replay)


def run(arguments: argparse.Namespace) -> int:
    if arguments.recorded is not None:
        return _republish(arguments)
    if arguments.speed is not None:
        raise UsageError("--speed is for --from HISTORY.jsonl; scenarios keep the time that they say")
    if arguments.attach is not None:
        return _attach(arguments)
    if arguments.redis != OWN_REDIS:
        return _play(arguments, server=None)
    configured = configuration(arguments)
    if configured.aura is not None or configured.synapse is not None:
        option = "--synapse" if configured.aura is None else "--aura"
        raise UsageError(
            f"{option}: nothing live is connected to a Redis that is started for the run; give the one that it uses "
            f"instead of --redis {OWN_REDIS}"
        )
    from harness.redis_server import private_server

    with private_server() as server:
        arguments.redis = server.url
        return _play(arguments, server=server)


def _play(arguments: argparse.Namespace, *, server: RedisServer | None) -> int:
    from harness import replay
    from harness.report import seats, terminal
    from harness.report.replay import failing, line
    from harness.seats import Settings, Targets
    from harness.waivers import in_force

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
    agreement = load_agreement(arguments)
    must_differ(arguments)
    waivers, day = loaded_waivers(arguments, agreement), today()
    waived = in_force(waivers, day)
    settings = Settings.from_environment(os.environ)
    console = terminal.console()
    configured = configuration(arguments)
    targets = Targets(configured.aura, configured.synapse, configured.triggers)
    if targets.live and not arguments.scenarios and not arguments.allow_writes:
        scenarios = replay.most_telling_first(scenarios)
    repeated = configured if server is None else dataclasses.replace(configured, redis_url=OWN_REDIS)

    def told(played: replay.Played) -> None:
        outcome = played.outcome_without(waived)
        virtual = played.virtual_seconds if configured.redis_url is None else None
        shown = line(played.scenario.name, outcome, virtual=virtual, seconds=played.seconds)
        terminal.show(console, shown, on_one_line=True)
        sys.stdout.flush()
        if outcome != "kept":
            broken = [each for each in played.verdicts if each.outcome == "broken" and each.clause not in waived]
            with unheeded(arguments):
                terminal.show(console, failing(played.judged, broken))
        if arguments.timeline:
            from harness.report.timeline import timeline

            with unheeded(arguments):
                terminal.show(console, timeline(played.history, console.width))

    conditions = replay.Conditions(
        seed=arguments.seed,
        redis_url=configured.redis_url,
        timeout=arguments.timeout,
        server=server,
        targets=targets,
        allow_writes=arguments.allow_writes,
        redact=redaction(arguments),
        folder=arguments.history,
        command=_command(arguments, repeated),
    )
    if leaves := replay.leaves_behind(scenarios, conditions, arguments.repeat):
        print(f"leaves    {leaves}", flush=True)
    try:
        rounds = replay.play_rounds(agreement, scenarios, settings, conditions, rounds=arguments.repeat, told=told)
        interrupted, lost = False, ""
    except replay.Interrupted as stopped:
        if not stopped.rounds:
            raise
        rounds, interrupted, lost = stopped.rounds, True, stopped.why
    shown = replay.worst(rounds, waived)
    differing = replay.differing(rounds) if configured.redis_url is None else ()
    report = _report_of(shown, [each for played in rounds for each in played], waivers, day, differing, interrupted)
    if arguments.timeline_to is not None:
        from harness.report.picture import timeline_html

        arguments.timeline_to.write_text(timeline_html(shown[0].history, shown[0].scenario.title), encoding="utf-8")
    if report.waived or report.faults:
        terminal.show(console, terminal.waivers(report), on_one_line=True)
    if len(rounds) > 1:
        print("\n".join(_compared(rounds, waived, None if configured.redis_url else differing)))
    if interrupted:
        number = sum(map(len, rounds))
        print(f"interrupted in scenario {number} of {len(scenarios) * arguments.repeat}; what was recorded was judged")
        if lost:
            print(lost)
    terminal.show(console, terminal.left_alone(report), on_one_line=True)
    kept = sum(each.outcome_without(waived) == "kept" for each in shown)
    print(f"{kept} of {len(scenarios)} scenarios kept (exit {report.exit_code}); {seats(report.run)}")
    write(arguments, report)
    return report.exit_code


def _attach(arguments: argparse.Namespace) -> int:
    from harness.attach import Answer, attach
    from harness.checks import judge
    from harness.seats import Settings

    _must_only(arguments, f"--attach {arguments.attach}", ATTACHED)
    agreement = load_agreement(arguments)
    must_differ(arguments)
    waivers = loaded_waivers(arguments, agreement)
    configured = configuration(arguments)
    if configured.redis_url is None or configured.redis_url == OWN_REDIS:
        raise UsageError(
            f"--attach {arguments.attach}: give the Redis that the Aura uses, --redis URL (HARNESS_REDIS_URL)"
        )
    answer = Answer({"approve": True, "reject": False}.get(arguments.answer), arguments.user, arguments.reason)
    if answer.approved is None and configured.hitl_timeout is None:
        raise UsageError(
            f"--attach {arguments.attach} --answer none: say how long that Aura waits for an answer, --hitl-timeout S "
            "(hitl_timeout in [aura] of harness.toml)"
        )
    redact = redaction(arguments)
    command = _attaching(arguments, configured, redact)
    name = re.sub(r"[/\\:\0]", "_", arguments.attach)[:80]  # of bytes, a file system takes 255
    path = arguments.history / f"{name}.jsonl" if arguments.history else None
    with opened(path) as out, asyncio.Runner() as runner:
        history = runner.run(
            attach(
                agreement,
                arguments.attach,
                answer,
                Settings.from_environment(os.environ),
                configured.redis_url,
                hitl_timeout=configured.hitl_timeout,
                patience=arguments.patience or ATTACHING,
                command=command,
                redact=redact,
                out=out,
            )
        )
    header(history.run)
    verdicts = [each for each in judge(agreement, history) if each.exercised]
    return present(arguments, reported([history], verdicts, [], [], waivers=waivers, whole=False, today=today()))


def _command(arguments: argparse.Namespace, configured: Configuration) -> tuple[str, ...]:
    """What plays it again, but for the scenario's name; no secret is in it."""
    command = ["aura-harness", "replay", "--seed", str(arguments.seed)]
    if arguments.timeout != arguments.parser.get_default("timeout"):
        command += ["--timeout", f"{arguments.timeout:g}"]
    return (*command, *repeating(arguments, configured))


def _attaching(arguments: argparse.Namespace, configured: Configuration, redact: Redaction | None) -> tuple[str, ...]:
    command = ["aura-harness", "replay", "--attach", arguments.attach, "--answer", arguments.answer]
    for option, text in (("--user", arguments.user), ("--reason", arguments.reason)):
        if text not in (None, arguments.parser.get_default("user")):
            command += [option, text if redact is None else redact.of(text, "user")]
    return (*command, *repeating(arguments, configured))


def _republish(arguments: argparse.Namespace) -> int:
    from collections import Counter

    from harness.bus import open_bus
    from harness.history import load_all
    from harness.report import terminal
    from harness.report.progress import Progress
    from harness.republish import Message, messages, republish

    _must_only(arguments, f"--from {arguments.recorded}", REPUBLISHED)
    if arguments.redis is None:
        raise UsageError(f"--from {arguments.recorded}: give the Redis to publish on, --redis URL (HARNESS_REDIS_URL)")
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


def _must_only(arguments: argparse.Namespace, what: str, heeded: Collection[str]) -> None:
    """What plays no scenario heeds a few options, and nothing else that is said may be lost silently."""
    default: Callable[[str], Any] = arguments.parser.get_default
    changed = {name for name, value in vars(arguments).items() if value != [] and value != default(name)}
    for name in sorted(changed - {*heeded, "parser"}):
        shown = " ".join(arguments.scenarios) if name == "scenarios" else f"--{name.replace('_', '-')}"
        raise UsageError(f"{what}: it plays no scenario; leave out {shown}")


def _report_of(
    shown: Sequence[Played],
    all_rounds: Sequence[Played],
    waivers: Sequence[Waiver],
    today: date,
    differing: Sequence[str],
    interrupted: bool,
) -> Report:
    """The verdicts and outcomes of every round, and of each scenario the round to show."""
    from harness.verdict import merged
    from harness.waivers import in_force

    return reported(
        [each.history for each in all_rounds],
        merged(each.verdicts for each in all_rounds),
        [each.judged for each in shown],
        [each.outcome_without(in_force(waivers, today)) for each in all_rounds],
        waivers=waivers,
        whole=False,
        today=today,
        differing=differing,
        interrupted=interrupted,
    )


def _compared(rounds: Rounds, waived: Collection[str], differing: Collection[str] | None) -> Sequence[str]:
    """A line for each scenario that did not go alike every time it came to its end. Where time is the wall's,
    `differing` is None, and only outcomes are compared: no history is like another."""
    from collections import Counter

    from harness.replay import by_scenario

    lines = []
    for played in by_scenario(rounds):
        several = [each for each in played if each.history.complete]
        name, times = played[0].scenario.name, f"{len(several)} rounds"
        outcomes = Counter(each.outcome_without(waived) for each in several)
        if len(outcomes) > 1:
            counted = ", ".join(f"{outcome} in {number}" for outcome, number in sorted(outcomes.items()))
            lines.append(f"{name} went differently in {times}: {counted}")
        elif name in (differing or ()):
            lines.append(f"{name} wrote different histories in {times}, though nothing in it may differ")
    same = "outcomes" if differing is None else "histories, wall-clock stamps apart"
    return lines or [f"{len(rounds)} rounds, and every time the same {same}"]


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


def _speed(text: str) -> float:
    if text == "max":
        return float("inf")
    try:
        return seconds(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} was found, a number above 0 or `max` was expected") from None
