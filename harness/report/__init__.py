"""What a run says, for people and for machines. A writer knows verdicts and history, and nothing of how they came.

The command line imports this module for the names of the formats, so what costs time is imported where it is used.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from harness.expect import JudgedScenario
    from harness.verdict import Verdict
    from harness.waivers import Fault, Waiver

FORMATS = ("json", "junit", "ctrf", "github", "markdown", "html")
"""Each is the module of its writer, too."""
ON_STANDARD_OUTPUT = frozenset({"github"})
"""Those that may follow the report for people there: who reads them looks for its own lines."""
SIMULATED = "simulated"

Status = Literal["kept", "broken", "waived", "unproven"]


@dataclass(frozen=True, slots=True)
class Report:
    """A run and its verdicts. `run` is what the history's first event says of it, without the secrets of its URLs."""

    run: Mapping[str, Any]
    verdicts: tuple[Verdict, ...]
    exit_code: int
    complete: bool = True
    """Whether the run came to its end."""
    why: str = ""
    """What kept it from its end, where that is known."""
    scenarios: tuple[JudgedScenario, ...] = ()
    required: frozenset[str] = frozenset()
    """Clauses that count whatever their level and reach."""
    whole: bool = True
    """Whether the run had occasion to prove every clause."""
    waived: Mapping[str, Waiver] = field(default_factory=dict)
    """Of the broken clauses those that may be."""
    faults: tuple[Fault, ...] = ()
    """Waivers for which the run fails."""
    differing: tuple[str, ...] = ()
    """Scenarios that were played several times, and wrote different histories where none may differ."""
    foreign: Mapping[str, int] = field(default_factory=dict)
    """How many messages and notifications of others were left alone; empty where nobody else could be there."""
    began: datetime | None = None
    ended: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "run", without_userinfo(self.run))

    @property
    def command(self) -> str:
        """What repeats the whole run."""
        return shlex.join(self.run["command"])

    @property
    def seats(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(verdict.seat for verdict in self.verdicts))

    def of(self, status: Status) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if self.status(verdict) == status)

    def status(self, verdict: Verdict) -> Status:
        """Its outcome, where it is not broken and waived."""
        return "waived" if verdict.clause in self.waived and verdict.outcome == "broken" else verdict.outcome

    def fails(self, verdict: Verdict) -> bool:
        """Whether the run fails for it."""
        from harness.verdict import fails

        return fails(verdict, self.required, whole=self.whole, waived=self.waived)

    def waiver(self, verdict: Verdict) -> str:
        """Of a waived clause: why, who answers for it, until when, and where that is written."""
        waiver = self.waived[verdict.clause]
        return printable(f"{waiver.reason} ({waiver.owner}, until {waiver.until}; {waiver.where})")

    def how(self, seat: str) -> str:
        """How a seat is there: simulated, or live and where."""
        return how(str(self.run["seats"].get(seat, "absent")))


def write(kind: str, report: Report) -> str:
    """The report in one of FORMATS."""
    from importlib import import_module

    text: str = import_module(f"harness.report.{kind}").write(report)
    return text


def tally(report: Report, seat: str | None = None) -> str:
    """How many clauses are kept, broken, waived and unproven: in all, or of one seat and without the zeros."""
    found = [report.status(verdict) for verdict in report.verdicts if seat in (None, verdict.seat)]
    numbers = {status: found.count(status) for status in ("kept", "broken", "waived", "unproven")}
    shown = (
        f"{number} {status}" for status, number in numbers.items() if number or (seat is None and status != "waived")
    )
    return ", ".join(shown)


def conclusion(report: Report) -> str:
    """One sentence on what the run proved, and how far that goes."""
    return f"{proven(report)} (exit {report.exit_code}); {seats(report.run)}"


def proven(report: Report) -> str:
    """What the exit code says, in words."""
    match report.exit_code:
        case 0:
            waived = sum(verdict.level == "must" for verdict in report.of("waived"))
            but = f", but for {waived} that {'is' if waived == 1 else 'are'} waived" if waived else ""
            if any(report.fails(verdict) and verdict.outcome == "broken" for verdict in report.verdicts):
                return "a clause that counts is broken, which was not to fail the run"
            return f"every must in reach is kept{but}"
        case 1:
            return _what_is_broken(report)
        case 3:
            what = _what_counts(report, "unproven")
            return f"{what} is unproven" if what else "nothing that counts was proven"
    if report.complete and report.differing:
        return f"{_listed(report.differing)} could not be repeated: the rounds wrote different histories"
    why = f" ({printable(without_userinfo(report.why))})" if report.why else ""
    return f"the run did not come to its end{why}; what it recorded until then was judged"


def seats(run: Mapping[str, Any]) -> str:
    """Which systems were real: an all-simulated green is a self-test."""
    live = {seat: how for seat, how in run["seats"].items() if how != SIMULATED}
    told = [f"{seat} {how(without_userinfo(where))}" for seat, where in live.items()]
    simulated = [seat for seat in run["seats"] if seat not in live]
    if simulated:
        told.append(f"{_listed(simulated)} simulated")
    return "; ".join(told) if live else f"{told[0]}: this is a self-test"


def how(where: str) -> str:
    return f"live at {printable(where)}" if "://" in where else printable(where)


def without_userinfo(value: Any) -> Any:
    """The same data, in whose URLs nobody reads a name or password."""
    match value:
        case str():
            return re.sub(r"(?<=://)[^/?#\s]*@", "***@", value)
        case Mapping():
            return {key: without_userinfo(each) for key, each in value.items()}
        case list() | tuple():
            return type(value)(map(without_userinfo, value))
    return value


def left_alone(report: Report) -> str:
    """What of others was seen and not judged; empty where nobody else could be there."""
    return " and ".join(f"{number} {name}" for name, number in report.foreign.items())


def _what_is_broken(report: Report) -> str:
    what = _what_counts(report, "broken")
    return f"{what} is broken" if what else "a waiver has to go"


def _what_counts(report: Report, outcome: str) -> str:
    """For what the exit code is the one of this outcome: a clause, or else a scenario's expectation, or neither."""
    if any(verdict.outcome == outcome and report.fails(verdict) for verdict in report.verdicts):
        return "a clause that counts"
    return "an expectation of a scenario" if any(each.outcome == outcome for each in report.scenarios) else ""


def _listed(names: Collection[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def cut(text: str, length: int, whole: str = "--report json=FILE") -> str:
    """At most so many characters; what is left out is counted, and `whole` is the option that writes all of it."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters; {whole} has them all)"


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
