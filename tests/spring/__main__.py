"""The commands behind `make spring` and `make spring-deep`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.agreement import load
from harness.commands.judging import judged
from harness.errors import HarnessError
from harness.redis_server import private_server
from harness.report import terminal
from harness.report.progress import Progress
from harness.report.terminal import console
from spring import on_redis, recorded
from spring.answers import Message, simulated
from spring.application import Application, NotAvailable, build
from spring.compare import compare
from spring.mutate import BLOCK, block


def main(arguments: Sequence[str] | None = None) -> int:
    """0 without a difference, 1 with one, 4 where the application is out of reach."""
    parsed = _parser().parse_args(arguments)
    logging.getLogger("harness").addHandler(logging.NullHandler())  # what the simulation logs is compared
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except (NotAvailable, HarnessError) as error:
        print(f"spring: {error}", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        print("spring: interrupted", file=sys.stderr)
        return 4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m spring", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    commands.add_parser("build", help="build the application").set_defaults(run=_build)
    commands.add_parser("recorded", help="ask for the recorded answers again").set_defaults(run=_recorded)
    commands.add_parser("record", help="record all answers anew").set_defaults(run=_record)

    many = commands.add_parser("compare", help="compare both sides on a stream of messages")
    many.add_argument("--messages", type=int, default=100_000)
    many.add_argument("--seed", type=int, default=1)
    many.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes on the simulation's side")
    many.set_defaults(run=_compare)

    live = commands.add_parser("live", help="hold the application on a real Redis to the agreement")
    live.add_argument("--examples", type=int, default=50)
    live.add_argument("--seed", type=int, default=1)
    live.set_defaults(run=_live)

    one = commands.add_parser("one", help="show what both sides answer to a message")
    one.add_argument("channel", type=_hexadecimal, help="in hexadecimal digits, - for no bytes")
    one.add_argument("body", type=_hexadecimal, help="likewise")
    one.set_defaults(run=lambda parsed: _show(Message(parsed.channel, parsed.body)))

    nth = commands.add_parser("nth", help="the same for a message of a stream")
    nth.add_argument("seed", type=int)
    nth.add_argument("place", type=int, help="from 0")
    nth.set_defaults(run=lambda parsed: _show(_nth(parsed.seed, parsed.place)))
    return parser


def _build(arguments: argparse.Namespace) -> int:
    build()
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    with Application() as application, Progress(console(sys.stderr)) as progress:
        tally = compare(
            arguments.seed,
            arguments.messages,
            application.answers,
            jobs=arguments.jobs,
            progress=lambda done: progress("messages compared", done, arguments.messages),
        )
    for difference in tally.differences:
        print(difference.told(arguments.seed))
    print(tally.told(time.monotonic() - began))
    return 1 if tally.differences else 0


def _live(arguments: argparse.Namespace) -> int:
    """0 where every `must` of the consumer that can be seen is kept, nothing that was published at once is lost, and
    neither side keeps an order that Spring does not keep."""
    agreement = load()
    with (
        private_server() as server,
        on_redis.running(server.url, os.environ) as url,
        Progress(console(sys.stderr)) as progress,
    ):
        print(f"the application at {url} on {server.url}", flush=True)
        history = asyncio.run(
            on_redis.whole_run(agreement, server.url, url, arguments.examples, arguments.seed, progress)
        )
        report = judged(agreement, [history], [], frozenset())
        shown = replace(report, verdicts=tuple(each for each in report.verdicts if each.seat == "synapse"))
        terminal.show(console(), terminal.verdicts(shown, console().width))
        said = [each.clause for each in report.verdicts if each.outcome == "broken" and each.level == "must"]
        said += [each.clause for each in report.verdicts if each.outcome == "unproven" and each.in_reach]
        print(on_redis.gap_told(agreement, history))
        for name, start in (("Spring", on_redis.already(url)), ("simulated", on_redis.SIMULATED)):
            status = asyncio.run(on_redis.deep(server.url, start))
            print(f"{name:<10} a page with a payload that is 1000 deep is answered {status}")
            said += [] if status == 500 else [f"{name}: such a page was answered {status}"]
        for slow_first in (False, True):
            for name, start in (("Spring", on_redis.already(url)), ("simulated", on_redis.SIMULATED)):
                burst, broken = asyncio.run(on_redis.at_once(agreement, server.url, start, slow_first=slow_first))
                print(burst.told(name, slow_first))
                said += [each.clause for each in broken]
                # The simulation spends no time on a message: what overtakes one hangs on how Redis cut the burst.
                if not slow_first or start is not on_redis.SIMULATED:
                    said += burst.unlike(name, slow_first)
    print(f"the application on Redis: {'; '.join(said) or 'nothing wrong'}")
    return 1 if said else 0


def _recorded(arguments: argparse.Namespace) -> int:
    kept = recorded.load()
    with Application() as application:
        wrong = [
            (case, answer)
            for case in kept.cases
            for answer in [application.answer(case.message)]
            if case.answered(answer) != case
        ]
        for case, answer in wrong:
            print(f"{case.name}\n  recorded  {case.answer}\n  answered  {answer}")
        print(f"{len(kept.cases)} recorded answers, {len(wrong)} of them wrong; {_told(application.versions)}")
    return 1 if wrong or not kept.cases else 0


def _record(arguments: argparse.Namespace) -> int:
    with Application() as application:
        cases = [case.answered(application.answer(case.message)) for case in recorded.load().cases]
        recorded.save(recorded.Recorded(application.versions, cases))
        print(f"{len(cases)} answers recorded; {_told(application.versions)}")
    return 0


def _show(message: Message) -> int:
    with Application() as application:
        spring, ours = application.answer(message), simulated(message)
    print(f"channel    {message.channel!r}\nbody       {message.body!r}\nspring     {spring}\nsimulated  {ours}")
    return 0 if spring == ours else 1


def _nth(seed: int, place: int) -> Message:
    number, index = divmod(place, BLOCK)
    return list(block(seed, number))[index].message


def _hexadecimal(digits: str) -> bytes:
    return b"" if digits == "-" else bytes.fromhex(digits)


def _told(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


if __name__ == "__main__":
    sys.exit(main())
