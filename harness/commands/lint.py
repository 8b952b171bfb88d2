"""`aura-harness lint`: is the agreement consistent with itself and with the checks?"""

from __future__ import annotations

import argparse

from harness.commands.options import command_parser
from harness.errors import UsageError

EXIT_CODES = """exit codes:
  0  the agreement is consistent
  1  it is not
  2  wrong usage
  4  it could not work
"""


def add(commands: object) -> None:
    command_parser(commands, "lint", "prove that the agreement is consistent", run, EXIT_CODES)


def run(arguments: argparse.Namespace) -> int:
    from harness.agreement import SEATS, contracts_dir, load
    from harness.checks import CHECKS
    from harness.gate import REACH
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
