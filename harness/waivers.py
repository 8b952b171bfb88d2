"""Broken clauses that a team lives with for a while: which, why, who answers for it, and until when.

A waiver changes no verdict. It stands between verdicts and exit code, and it fails the run itself where it has outlived
its date or its reason: what nobody has to look at again is never mended.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from harness import located
from harness.errors import AgreementError, HarnessError
from harness.located import Fields, Located, in_words, quoted
from harness.verdict import Verdict

FILE = "waivers.yaml"
"""What is taken from the current directory if it is there."""
_FIELDS = ("clause", "seat", "reason", "owner", "until")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WORDS = re.compile(r".*\S.*", re.DOTALL)


class WaiverError(HarnessError):
    """A file of waivers does not load. Each complaint begins with `file:line:column` and quotes its line."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Waiver:
    """`until` is the last day on which it holds."""

    clause: str
    seat: str
    reason: str
    owner: str
    until: date
    where: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A waiver for which the run fails, and why."""

    waiver: Waiver
    why: str

    def __str__(self) -> str:
        return f"{self.waiver.where}: {self.why}"


@dataclass(frozen=True, slots=True)
class Waived:
    """What the waivers of a run come to: the clauses that are broken and may be, and the waivers that must go."""

    clauses: Mapping[str, Waiver] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


def load(path: Path, keepers: Mapping[str, str]) -> tuple[Waiver, ...]:
    """The waivers of a file, in its order; `keepers` names the seat of every clause.

    Raises WaiverError with every fault found."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise WaiverError(f"{path}: {error.strerror or error}, expected a list of waivers") from None
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        return ()  # the last one was taken out, and what explains the file left in
    try:
        file = located.load(path, str(path))
    except AgreementError as error:
        raise WaiverError(quoted(str(error).splitlines(), text)) from None
    errors: list[str] = []
    waivers = tuple(_waivers(file, keepers, errors))
    if errors:
        raise WaiverError(quoted(errors, text))
    return waivers


def in_force(waivers: Iterable[Waiver], today: date) -> Mapping[str, Waiver]:
    """Those that have not expired, by clause."""
    return {waiver.clause: waiver for waiver in waivers if today <= waiver.until}


def apply(waivers: Sequence[Waiver], verdicts: Iterable[Verdict], today: date, *, complete: bool = True) -> Waived:
    """A run that was cut off says of no waiver that its clause is kept."""
    said = {verdict.clause: verdict for verdict in verdicts}
    holding = in_force(waivers, today)
    broken = {clause: waiver for clause, waiver in holding.items() if said[clause].outcome == "broken"}
    faults = (_fault(waiver, said[waiver.clause], waiver.clause in holding, complete) for waiver in waivers)
    return Waived(broken, tuple(fault for fault in faults if fault is not None))


def _fault(waiver: Waiver, verdict: Verdict, holds: bool, complete: bool) -> Fault | None:
    if complete and verdict.outcome == "kept":
        times = f"{verdict.exercised} time{'' if verdict.exercised == 1 else 's'}"
        return Fault(waiver, f"{waiver.clause} was exercised {times} and kept; remove its waiver")
    if not holds:
        what = f"the waiver of {waiver.clause} expired on {waiver.until}, and the clause is {verdict.outcome}"
        return Fault(waiver, f"{what}; mend it, or let {waiver.owner} agree on a new date")
    return None


def _waivers(file: Located, keepers: Mapping[str, str], errors: list[str]) -> Iterator[Waiver]:
    if not isinstance(file.data, list):
        errors.append(f"{file.at('')}: {in_words(file.data)}, expected a list of waivers")
        return
    first: dict[str, Waiver] = {}
    for index, item in enumerate(file.data):
        fields = Fields(file, f"/{index}", errors)
        if item == {}:
            fields.complain("", f"an empty object, expected {', '.join(_FIELDS)}")
        waiver = _waiver(fields, keepers)
        fields.done()
        if waiver.clause and first.setdefault(waiver.clause, waiver) is not waiver:
            line = first[waiver.clause].where.rsplit(":", 2)[1]
            fields.complain("/clause", f"{waiver.clause} again (first in line {line}), expected one waiver of it")
        yield waiver


def _waiver(fields: Fields, keepers: Mapping[str, str]) -> Waiver:
    clause, seat = fields.text("clause"), fields.text("seat")
    if clause and clause not in keepers:
        close = difflib.get_close_matches(clause, keepers, n=1)
        hint = f"; did you mean {close[0]}?" if close else "; `aura-harness gate` lists them all"
        fields.complain("/clause", f'there is no clause "{clause}"{hint}')
    elif clause and seat and seat != keepers[clause]:
        fields.complain("/seat", f'seat is "{seat}", expected {keepers[clause]}, which keeps {clause}')
    reason, owner = (fields.text(name, pattern=_WORDS, form="words") for name in ("reason", "owner"))
    return Waiver(clause, seat, reason, owner, _date(fields), fields.where)


def _date(fields: Fields) -> date:
    text = fields.text("until")
    try:
        if text and not _DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text) if text else date.min
    except ValueError:
        fields.complain("/until", f'until is "{text}", expected a date, as in 2026-12-31')
        return date.min
