"""What verdicts mean together: their counts, their groups, and the exit code of a run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from harness.verdict import Finding, Group, Level, Outcome, Verdict, counts, exit_code, grouped


def verdict(outcome: Outcome, level: Level = "must", *, clause: str = "a.b", in_reach: bool = True) -> Verdict:
    return Verdict(clause, "aura", level, outcome, in_reach=in_reach)


KEPT, BROKEN, UNPROVEN = verdict("kept"), verdict("broken"), verdict("unproven")
BEYOND = verdict("unproven", clause="a.far", in_reach=False)
SHOULD = {outcome: replace(each, level="should") for outcome, each in zip("kbu", (KEPT, BROKEN, UNPROVEN), strict=True)}


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([KEPT], 0),
        ([KEPT, KEPT, BEYOND], 0),
        ([KEPT, SHOULD["b"]], 0),
        ([KEPT, SHOULD["u"]], 0),
        ([BROKEN], 1),
        ([KEPT, UNPROVEN, BROKEN], 1),
        ([BROKEN, BEYOND, SHOULD["k"]], 1),
        ([KEPT, UNPROVEN], 3),
        ([UNPROVEN], 3),
    ],
)
def test_the_exit_code_tells_the_worst_of_what_must_be_and_is_in_reach(verdicts: list[Verdict], code: int) -> None:
    assert exit_code(verdicts) == code
    assert exit_code(verdicts[::-1]) == code


@pytest.mark.parametrize("verdicts", [[], [BEYOND], [SHOULD["k"]], [SHOULD["k"], BEYOND], [SHOULD["b"]]])
def test_a_run_that_verified_nothing_never_succeeds(verdicts: list[Verdict]) -> None:
    assert exit_code(verdicts) == 3


@pytest.mark.parametrize(
    ("verdicts", "required", "code"),
    [
        ([KEPT, BEYOND], ["a.far"], 3),
        ([KEPT, BEYOND], ["a.other"], 0),
        ([KEPT, replace(SHOULD["u"], clause="a.wish")], ["a.wish"], 3),
        ([KEPT, replace(SHOULD["b"], clause="a.wish")], ["a.wish"], 1),
        ([replace(SHOULD["k"], clause="a.wish")], ["a.wish"], 0),
        ([BROKEN, BEYOND], ["a.far"], 1),
    ],
)
def test_a_clause_that_is_required_counts_whatever_it_is(
    verdicts: list[Verdict], required: Collection[str], code: int
) -> None:
    assert exit_code(verdicts, required) == code


def test_every_outcome_is_counted_in_a_fixed_order() -> None:
    assert list(counts([UNPROVEN, KEPT, BEYOND, KEPT]).items()) == [("kept", 2), ("broken", 0), ("unproven", 2)]
    assert sum(counts([]).values()) == 0


def finding(clause: str = "a.b", expected: str = "200", seen: str = "500", pointer: str = "") -> Finding:
    return Finding(clause, expected, seen, pointer)


def test_findings_are_equal_by_clause_pointer_and_what_was_expected() -> None:
    first, same = finding(seen="500"), finding(seen="404")
    others = [finding(clause="a.c"), finding(expected="401"), finding(pointer="/data")]
    groups = grouped([first, *others, same])
    assert groups == (Group((first, same)), *(Group((other,)) for other in others))
    assert groups[0].first is first


def test_no_findings_make_no_groups() -> None:
    assert grouped([]) == ()


def test_pointer_and_expectation_are_not_run_together() -> None:
    assert len(grouped([finding(pointer="/a", expected="b"), finding(pointer="/", expected="ab")])) == 2
