"""`aura-harness watch`: judge every message of a running environment as it comes, and touch nothing."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from harness.commands.judging import load_agreement, must_differ, opened, present
from harness.commands.options import command_parser, duration, report_option, writable
from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from harness.report import Report
    from harness.verdict import Told
    from harness.watch import Watch

EXIT_CODES = """exit codes:
  0  every `must` that a message came by for is kept, or --fail-on never
  1  a `must` is broken
  2  wrong usage, or the agreement does not load
  3  nothing of Aura's was seen that could be judged
  4  it could not work: Redis out of reach, or lost and not back at the end
"""
SCREEN_TICK, LINE_TICK = 0.5, 0.25
"""Seconds between two screens, and between two looks at how far a watch in a pipe is behind."""
LINE_EVERY = 10.0
"""Seconds between two lines that say how it stands."""


def add(commands: object) -> None:
    watch = command_parser(
        commands, "watch", "judge every message of a running environment as it comes", run, EXIT_CODES
    )
    watch.add_argument(
        "--redis",
        metavar="URL",
        default=os.environ.get("HARNESS_REDIS_URL") or None,
        help="the Redis of the environment (redis://, rediss://, unix://); nothing is published or written there "
        "(HARNESS_REDIS_URL)",
    )
    watch.add_argument(
        "--for",
        dest="seconds",
        type=duration,
        metavar="TIME",
        help="how long: 60s, 5m, 2h; without it until Ctrl-C, which is a clean end, too",
    )
    watch.add_argument(
        "--fail-on", choices=("broken", "never"), default="broken", help="what exit code 1 is for (broken)"
    )
    watch.add_argument("--history", type=writable, metavar="FILE", help="keep every message, as JSON lines")
    report_option(watch)


def run(arguments: argparse.Namespace) -> int:
    if arguments.redis is None:
        raise UsageError("--redis: no URL was found; give that of the environment to watch (also HARNESS_REDIS_URL)")
    agreement = load_agreement(arguments)
    must_differ(arguments)
    from harness.clock import WallClock
    from harness.report import terminal
    from harness.watch import Watch

    console = terminal.console()
    with opened(arguments.history) as out:
        watch = Watch(agreement, WallClock(), out)
        with asyncio.Runner() as runner:
            runner.run(_watch(arguments, watch, console))
        watch.end()
        report = _report(arguments, watch)
    if not watch.judged:
        terminal.show(console, "nothing of Aura's came by; is this the Redis that it publishes on?")
    return present(arguments, report)


async def _watch(arguments: argparse.Namespace, watch: Watch, console: Console) -> None:
    from harness import __version__
    from harness.bus import open_bus
    from harness.report import terminal
    from harness.watch import Follower, described

    async with open_bus(arguments.redis, instead=", or see whether this machine may reach it") as bus:
        watch.begin(described(watch.agreement, bus, __version__, _command(arguments)))
        is_terminal = console.is_terminal
        view: _View = _Screen(watch, console, arguments.seconds) if is_terminal else _Lines(watch, console)
        follower = Follower(bus, watch)
        with view.shown():
            await follower.follow(arguments.seconds, view.tick, view.show)
        terminal.show(console, "")


class _View(ABC):
    """How a watch is shown while it goes on."""

    tick = LINE_TICK

    def __init__(self, watch: Watch, console: Console) -> None:
        self.watch = watch
        self.console = console
        self._before: deque[tuple[float, dict[str, int]]] = deque()

    @abstractmethod
    def shown(self) -> AbstractContextManager[None]:
        """For as long as it goes on."""

    @abstractmethod
    def show(self) -> None:
        """Called at each tick."""

    @property
    def now(self) -> float:
        return self.watch.clock.elapsed()

    def rates(self, over: float) -> dict[str, float]:
        """Messages a second of each channel, over so many seconds."""
        now, counts = self.now, dict(self.watch.channels)
        self._before.append((now, counts))
        while len(self._before) > 2 and self._before[0][0] < now - over:
            self._before.popleft()
        then, first = self._before[0]
        return {name: (number - first.get(name, 0)) / max(now - then, 1e-3) for name, number in counts.items()}


class _Lines(_View):
    """A line for each thing that happens, and one now and then for how it stands."""

    def __init__(self, watch: Watch, console: Console) -> None:
        super().__init__(watch, console)
        self._next = LINE_EVERY
        watch.note = self._note
        watch.found = self._found

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        self._line(f"watching {self.watch.run['redis']}: workbench:*, hitl:channel:*")
        self.rates(LINE_EVERY)
        yield
        self._rates()

    def show(self) -> None:
        if self.now >= self._next:
            self._next += LINE_EVERY
            self._rates()

    def _rates(self) -> None:
        from harness.report import watch as report

        broken = sum(found.times for verdict in self.watch.verdicts() for found in verdict.findings)
        self._line(report.rates(self.now, self.watch.channels, self.rates(LINE_EVERY), broken))

    def _note(self, at: float, text: str) -> None:
        from harness.report import watch as report

        self._line(report.note(at, text))

    def _found(self, told: Told) -> None:
        from harness.report import watch as report

        self._line(report.finding(told))

    def _line(self, shown: RenderableType) -> None:
        from harness.report import terminal

        terminal.show(self.console, shown, on_one_line=True)
        sys.stdout.flush()


class _Screen(_View):
    """One screen, which is gone at the end: what it showed stands in the report."""

    tick = SCREEN_TICK

    def __init__(self, watch: Watch, console: Console, until: float | None) -> None:
        from rich.live import Live

        super().__init__(watch, console)
        self._until = until
        self._notes: deque[str] = deque(maxlen=50)
        self._live = Live(console=console, screen=True, auto_refresh=False)
        watch.note = lambda at, text: self._notes.append(f"{at:9.3f} s {text}")

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        with self._live:
            self.show()
            yield
        for text in self._notes:
            self.console.print(text)

    def show(self) -> None:
        from harness.report import watch as report

        watch = self.watch
        shown = report.Screen(
            redis=watch.run["redis"],
            seconds=self.now,
            until=self._until,
            channels=watch.channels,
            rates=self.rates(5 * SCREEN_TICK),
            verdicts=watch.verdicts(),
            latest=tuple(watch.latest),
            notes=self._notes,
            lag=watch.lag,
            connected=watch.connected,
        )
        self._live.update(report.screen(shown), refresh=True)


def _report(arguments: argparse.Namespace, watch: Watch) -> Report:
    from harness.report import Report
    from harness.verdict import exit_code

    verdicts = watch.verdicts()
    code = exit_code(verdicts, whole=False)
    if code == 1 and arguments.fail_on == "never":
        code = 0
    elif code != 1 and not watch.connected:
        code = HarnessError.exit_code
    return Report(watch.run, verdicts, code, complete=watch.connected)


def _command(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What repeats the watch, without the password of its URL."""
    from harness.bus import without_password

    command = ["aura-harness", "watch", "--redis", without_password(arguments.redis)]
    if arguments.contracts:
        command += ["--contracts", str(arguments.contracts)]
    if arguments.seconds is not None:
        command += ["--for", f"{arguments.seconds:g}s"]
    return tuple(command)
