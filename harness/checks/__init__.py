"""Pure functions of agreement and history, one for each clause that a run can reach."""

from harness.checks import (  # noqa: F401  (importing them registers their checks)
    actions,
    delivery,
    hitl,
    http,
    mapping,
    messages,
    refetch,
    subscriber,
)
from harness.checks.registry import CHECKS, EACH, SINGLE, Check, judge
from harness.checks.tally import Tally

__all__ = ["CHECKS", "EACH", "SINGLE", "Check", "Tally", "judge"]
