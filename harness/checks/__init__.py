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
from harness.checks.registry import CHECKS, Check, judge

__all__ = ["CHECKS", "Check", "judge"]
