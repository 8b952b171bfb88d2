"""`aura-harness check`: judge a recorded history again."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.commands.judging import (
    header,
    judged,
    load_agreement,
    loaded_waivers,
    must_differ,
    present,
    required_clauses,
)
from harness.commands.options import command_parser, judging_options


def add(commands: object) -> None:
    check = command_parser(commands, "check", "judge a recorded history again", run)
    check.add_argument("recorded", type=Path, metavar="HISTORY.jsonl", help="what `gate --history` wrote")
    judging_options(check)


def run(arguments: argparse.Namespace) -> int:
    from harness.expect import rejudge
    from harness.history import load_all

    agreement = load_agreement(arguments)
    required = required_clauses(arguments, agreement)
    waivers = loaded_waivers(arguments, agreement)
    must_differ(arguments)
    histories = load_all(arguments.recorded)
    scenarios = [judged for judged in map(rejudge, histories) if judged is not None]
    header(histories[0].run)
    return present(arguments, judged(agreement, histories, scenarios, required, waivers))
