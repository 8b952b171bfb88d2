"""`aura-harness gate`: drive the seats, and judge what was seen."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from harness.commands.judging import (
    header,
    judged,
    load_agreement,
    loaded_waivers,
    must_differ,
    opened,
    present,
    required_clauses,
)
from harness.commands.options import (
    command_parser,
    configuration,
    judging_options,
    live_options,
    positive,
    redaction,
    repeating,
    writable,
)

if TYPE_CHECKING:
    from harness.agreement import Agreement
    from harness.configuration import Configuration
    from harness.gate import Options
    from harness.replay import Played
    from harness.report.progress import Progress
    from harness.seats import Settings


def add(commands: object) -> None:
    gate = command_parser(commands, "gate", "drive the seats and judge what was seen", run)
    gate.add_argument(
        "--redis",
        metavar="URL",
        default=os.environ.get("HARNESS_REDIS_URL") or None,
        help="a real Redis (redis://, rediss://, unix://); embedded without it (HARNESS_REDIS_URL)",
    )
    gate.add_argument("--seed", type=int, default=1, metavar="N", help="the run repeats with the same seed (1)")
    gate.add_argument("--examples", type=positive, default=200, metavar="N", help="generated inputs of each kind (200)")
    gate.add_argument("--history", type=writable, metavar="FILE", help="keep what was observed, as JSON lines")
    judging_options(gate)
    live_options(gate).add_argument(
        "--may-cut", action="store_true", help="end the live Synapse's connection to Redis once, to see what it loses"
    )


def run(arguments: argparse.Namespace) -> int:
    from harness import gate, replay
    from harness.report import terminal
    from harness.report.progress import Progress
    from harness.seats import Settings, Targets

    agreement = load_agreement(arguments)
    required = required_clauses(arguments, agreement)
    waivers = loaded_waivers(arguments, agreement)
    must_differ(arguments)
    configured = configuration(arguments)
    targets = Targets(configured.aura, configured.synapse, configured.triggers, arguments.may_cut)
    options = gate.Options(
        redis_url=configured.redis_url,
        targets=targets,
        allow_writes=arguments.allow_writes,
        redact=redaction(arguments),
        seed=arguments.seed,
        examples=arguments.examples,
        command=_command(arguments, configured),
    )
    settings = Settings.from_environment(os.environ)
    with (
        opened(arguments.history) as out,
        Progress(terminal.console(sys.stderr)) as progress,
        asyncio.Runner() as runner,
    ):
        history = runner.run(gate.run(agreement, options, settings, out=out, began=header, progress=progress))
        self_test = history.complete and not targets.live
        try:
            played, interrupted = _stories(agreement, settings, options, out, progress) if self_test else (), False
        except replay.Interrupted as stopped:
            played, interrupted = [each for round in stopped.rounds for each in round], True
    histories = [history, *(each.history for each in played)]
    stories = [each.judged for each in played]
    return present(arguments, judged(agreement, histories, stories, required, waivers, interrupted=interrupted))


def _stories(
    agreement: Agreement, settings: Settings, options: Options, out: IO[str] | None, progress: Progress
) -> Sequence[Played]:
    """Every scenario, in virtual time on Redis of its own, whatever the run before was on."""
    from harness import replay, scenario

    scenarios = scenario.load_all()
    conditions = replay.Conditions(seed=options.seed, redact=options.redact)
    done = 0

    def told(played: Played) -> None:
        nonlocal done
        done += 1
        progress("scenarios, embedded", done, len(scenarios))

    return replay.play_all(agreement, scenarios, settings, conditions, out=out, told=told)


def _command(arguments: argparse.Namespace, configured: Configuration) -> tuple[str, ...]:
    """What repeats the run, without any secret."""
    command = ["aura-harness", "gate", "--seed", str(arguments.seed), "--examples", str(arguments.examples)]
    return (*command, *repeating(arguments, configured))
