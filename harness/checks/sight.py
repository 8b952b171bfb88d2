"""One message as a check sees it: alone, as a watch has it, or with what it was published for, as a run shows it.

The clauses about one message alone are judged from this, so that the same functions judge a message as it comes and
a whole history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.agreement import Agreement
from harness.checks.view import ALERT, CASE_ACTION, RAG_STATUS, Cause, Message, View
from harness.schema import Validator, Violation, compile_schemas

CATEGORIES = {ALERT: "AI_DETECT", RAG_STATUS: "RAG_STATUS", CASE_ACTION: "CASE_ACTION"}
_SCHEMAS = {ALERT: "alert", RAG_STATUS: "rag-status", CASE_ACTION: "case-action"}

Wordings = Mapping[tuple[str, bool | None], str]
"""The texts of the documents' samples, by channel and decision."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One of Aura's messages. `violations` are against the schema of its channel, on an unknown one the common one."""

    message: Message
    violations: tuple[Violation, ...]
    wordings: Wordings
    cause: Cause | None = None

    @property
    def readable(self) -> bool:
        return isinstance(self.message.value, dict)

    @property
    def misplaced(self) -> bool:
        """Whether its category belongs to another channel: which fields it should have cannot be said then."""
        category = self.message.field("category")
        return category in CATEGORIES.values() and category != CATEGORIES.get(self.message.channel)


class Sights:
    """Makes them, by one agreement."""

    def __init__(self, agreement: Agreement) -> None:
        self._wordings = _wordings(agreement)
        validators = compile_schemas(agreement)
        self._common = validators["notification"]
        self._validators: Mapping[str, Validator] = {
            channel: validators[schema] for channel, schema in _SCHEMAS.items()
        }

    def of(self, message: Message, cause: Cause | None = None) -> Sight:
        violations: tuple[Violation, ...] = ()
        if isinstance(message.value, dict):
            violations = self._validators.get(message.channel, self._common).violations(message.value)
        return Sight(message, violations, self._wordings, cause)


def sights(view: View) -> tuple[Sight, ...]:
    """All of Aura's messages of a history, each with what it was published for."""
    if "sights" not in view.cache:
        make = Sights(view.agreement)
        view.cache["sights"] = tuple(
            make.of(message, view.cause_of.get(message.event.seq)) for message in view.notifications
        )
    found: tuple[Sight, ...] = view.cache["sights"]
    return found


def _wordings(agreement: Agreement) -> Wordings:
    found: dict[tuple[str, Any], str] = {}
    for sample in agreement.samples.values():
        if sample.channel in CATEGORIES and sample.keeper == "aura":
            found[sample.channel, sample.value.get("approved")] = sample.value["message"]
    return found
