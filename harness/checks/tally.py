"""Judging message by message, as they come: the checks about one message alone, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.agreement import Agreement
from harness.checks.registry import EACH, Occasions, verdicts
from harness.checks.sight import Sights
from harness.checks.view import Message, of_aura
from harness.verdict import Finding, Verdict

EXAMPLES = 3
"""How many findings of a kind are kept; of the others the number. The kinds are those of the agreement: a clause, a
field of a schema, what was expected of it; so there are only so many."""
LONGEST = 16 * 1024
"""Characters of evidence."""

Kind = tuple[str, str, str]


@dataclass(slots=True)
class _Kept:
    findings: list[Finding] = field(default_factory=list)
    times: int = 0


class Tally:
    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._sights = Sights(agreement)
        self._checks = [(check.judge, Occasions()) for check in EACH.values()]
        self._of = dict(zip(EACH, (occasions for _, occasions in self._checks), strict=True))
        self._kept: dict[Kind, _Kept] = {}

    def judge(self, message: Message) -> tuple[Finding, ...]:
        """What is wrong with it. A message that is not Aura's is not judged."""
        if not of_aura(message):
            return ()
        sight = self._sights.of(message)
        found: tuple[Finding, ...] = ()
        for judge, occasions in self._checks:
            try:
                for occasion in judge(sight):
                    occasions.exercised += 1
                    if occasion is not None:
                        found += (self._keep(occasion),)
            except Exception as error:  # a check that crashes proves nothing, and must not end the watch
                occasions.crash = occasions.crash or repr(error)
        return found

    def times(self, finding: Finding) -> int:
        """How often there was one of its kind so far."""
        return self._kept[_kind(finding)].times

    def verdicts(self, run: Mapping[str, Any]) -> tuple[Verdict, ...]:
        """As `judge` gives them for the history; the last example of a kind stands for all that were not kept."""
        for occasions in self._of.values():
            occasions.findings = []
        for (clause, _, _), kept in self._kept.items():
            *first, last = kept.findings
            self._of[clause].findings += [*first, replace(last, times=kept.times - len(first))]
        return verdicts(self._agreement, run, self._of.get)

    def _keep(self, finding: Finding) -> Finding:
        kept = self._kept.setdefault(_kind(finding), _Kept())
        kept.times += 1
        if len(finding.evidence) > LONGEST:
            left = len(finding.evidence) - LONGEST
            finding = replace(finding, evidence=f"{finding.evidence[:LONGEST]}… (and {left} characters)")
        if len(kept.findings) < EXAMPLES:
            kept.findings.append(finding)
        return finding


def _kind(finding: Finding) -> Kind:
    return finding.clause, finding.pointer, finding.expected
