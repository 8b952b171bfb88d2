"""Pure functions of agreement and history, one for each clause that a run can reach."""

from harness.checks import actions, delivery, http, mapping, messages, refetch, subscriber  # noqa: F401  (to register their checks)
from harness.checks.registry import CHECKS, Check, judge

__all__ = ["CHECKS", "Check", "judge"]
