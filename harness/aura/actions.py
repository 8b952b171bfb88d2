"""What Aura does with a decided action: a feedback line first, then the notification. It writes to no database."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.aura.publishers import Action, Publishers
from harness.clock import Clock

log = logging.getLogger("harness.aura")
feedback_log = logging.getLogger("hitl_feedback")

Feedback = Callable[[str], None]
"""Keeps one line of feedback, given without its line end."""


@dataclass(frozen=True, slots=True)
class Actions:
    publishers: Publishers
    feedback: Feedback
    clock: Clock

    async def record(self, action: Action) -> None:
        self.feedback(self.line(action))
        await self.tell(action)

    async def tell(self, action: Action) -> None:
        """A publish that fails is logged and changes nothing: the action is recorded by its feedback line."""
        try:
            await self.publishers.action_recorded(action)
        except Exception as error:  # as deployed: whatever goes wrong with Redis
            log.warning("case action %s was not published: %s", action.request_id, error)

    def line(self, action: Action) -> str:
        line = {
            "event": "hitl_feedback",
            "case_id": action.case_id,
            "request_id": action.request_id,
            "executor_id": action.executor_id,
            "action_type": action.action_type,
            "approved": action.approved,
            "comment": action.comment or "",
            "doc_key": action.doc_key,
            "at": self.clock.now().isoformat(),
        }
        return json.dumps(line, ensure_ascii=False)


def feedback_writer(path: Path | None) -> Feedback:
    """Logs every line on `hitl_feedback`, and appends it to the file where one is set."""

    def write(line: str) -> None:
        feedback_log.info("%s", line)
        if path is not None:
            # Unbuffered: the line is one write, whole in the file whoever else appends to it.
            with path.open("ab", buffering=0) as lines:
                lines.write(f"{line}\n".encode())

    return write
