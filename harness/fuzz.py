"""Schemathesis on the record endpoint: it invents the calls and has checks of its own; the tap records the exchanges.

Each failure goes into the history and is judged with everything else, so a recorded run can be judged again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.clock import Ids
from harness.errors import HarnessError
from harness.http import App, Receive, Scope, Send, read_body, replay

BASE_URL = "http://aura"


@dataclass(frozen=True, slots=True)
class Failure:
    """A check of Schemathesis's that failed. `case` is the id that the call carried in X-Schemathesis-TestCaseId."""

    check: str
    case: str
    message: str


@dataclass(slots=True)
class Fuzz:
    """One run of Schemathesis, in a thread of its own. `stop` ends it after the call under way."""

    specification: Path
    app: App
    headers: Mapping[str, str]
    token: str
    ids: Ids
    seed: int
    examples: int
    on_case: Callable[[], None]
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> tuple[Failure, ...]:
        """Raises HarnessError when Schemathesis itself cannot go on."""
        from schemathesis.engine import events, from_schema

        stream = from_schema(self._schema()).execute()
        failures: list[Failure] = []
        for event in stream:
            if isinstance(event, events.ScenarioFinished):
                failures += _failures(event.recorder)
            elif isinstance(event, events.FatalError):
                raise HarnessError(f"Schemathesis stopped: {event.exception}") from event.exception
            elif isinstance(event, events.NonFatalError):
                raise HarnessError(f"Schemathesis could not work: {event.value}") from event.value
            if self._stop.is_set():
                stream.stop()
        return tuple(failures)

    def _schema(self) -> Any:
        import schemathesis

        loaded = schemathesis.openapi.from_path(self.specification, config=self._config())
        loaded.app = self._marking
        return loaded

    def _config(self) -> Any:
        import schemathesis
        import yaml

        with self.specification.open(encoding="utf-8") as text:
            schemes = yaml.safe_load(text)["components"]["securitySchemes"]
        return schemathesis.Config.from_dict(
            {
                "seed": self.seed,
                "base-url": BASE_URL,
                "headers": dict(self.headers),
                "auth": {"openapi": {name: {"bearer": self.token} for name in schemes}},
                "generation": {"max-examples": self.examples, "allow-x00": False, "database": "none"},
            }
        )

    async def _marking(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ids that name the run, where the invented ones are ids at all: what a call causes can then be told apart."""
        if scope["type"] == "http":
            self.on_case()
            body = self._marked(await read_body(receive))
            length = [(b"content-length", str(len(body)).encode())] if body else []
            others = [header for header in scope["headers"] if header[0].lower() != b"content-length"]
            scope, receive = {**scope, "headers": others + length}, replay(body)
        await self.app(scope, receive, send)

    def _marked(self, wire: bytes) -> bytes:
        try:
            body = json.loads(wire.decode())
        except (ValueError, RecursionError):
            return wire
        if not isinstance(body, dict):
            return wire
        ours = {
            name: self.ids.next(kind)
            for name, kind in (("case_id", "case"), ("request_id", "request"))
            if isinstance(body.get(name), str) and body[name]
        }
        return json.dumps({**body, **ours}).encode() if ours else wire


def _failures(recorder: Any) -> list[Failure]:
    return [
        Failure(check.name, case, f"{check.failure_info.failure.title}: {check.failure_info.failure.message}")
        for case, checks in recorder.checks.items()
        for check in checks
        if check.failure_info is not None
    ]
