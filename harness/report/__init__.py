"""What a run says, for people and for machines. A writer knows verdicts and history, and nothing of how they came."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.expect import JudgedScenario
from harness.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """A run and its verdicts. `run` is what the history's first event says of it."""

    run: Mapping[str, Any]
    verdicts: tuple[Verdict, ...]
    exit_code: int
    complete: bool = True
    """Whether the run came to its end."""
    scenarios: tuple[JudgedScenario, ...] = ()

    @property
    def command(self) -> str:
        """What repeats the whole run."""
        return shlex.join(self.run["command"])

    @property
    def seats(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(verdict.seat for verdict in self.verdicts))


def _junit(report: Report) -> str:
    from harness.report import junit

    return junit.write(report)


def _json(report: Report) -> str:
    from harness.report import json

    return json.write(report)


WRITERS: Mapping[str, Callable[[Report], str]] = {"json": _json, "junit": _junit}


def conclusion(report: Report) -> str:
    """One sentence on what the run proved, and how far that goes."""
    said = {
        0: "every must in reach is kept",
        1: f"{_what_counts(report, 'broken')} is broken",
        3: f"{_what_counts(report, 'unproven')} is unproven",
        4: "the run did not come to its end; what it recorded until then was judged",
    }[report.exit_code]
    if report.exit_code == 0 and any(each.outcome == "broken" and each.level == "must" for each in report.verdicts):
        said = "a clause that counts is broken, which was not to fail the run"
    simulated = [seat for seat, how in report.run["seats"].items() if how == "simulated"]
    if len(simulated) == len(report.run["seats"]):
        *first, last = simulated
        all_of_them = f"{', '.join(first)} and {last}" if first else last
        return f"{said} (exit {report.exit_code}); {all_of_them} simulated: this is a self-test"
    return f"{said} (exit {report.exit_code})"


def _what_counts(report: Report, outcome: str) -> str:
    """A clause, or else a scenario's expectation, where that alone is why the run failed."""
    if any(verdict.outcome == outcome and verdict.level == "must" for verdict in report.verdicts):
        return "a clause that counts"
    stories = any(judged.outcome == outcome for judged in report.scenarios)
    return "an expectation of a scenario" if stories else "a clause that counts"


def printable(text: str) -> str:
    """Text that a terminal or an XML file can hold: control, bidirectional and surrogate characters are spelled out."""
    return "".join(f"\\u{ord(c):04x}" if _disturbs(c) else c for c in text)


def _disturbs(character: str) -> bool:
    code = ord(character)
    return (
        (code < 0x20 and character not in "\n\t")
        or 0x7F <= code < 0xA0
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
        or code in (0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)
        or 0xD800 <= code <= 0xDFFF
    )
