"""What makes a live Aura raise an alert, finish a RAG run or ask a person, and a live Synapse have a case.

An HTTP call, or a command, of the team whose system it is: without one these things are out of reach.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

from harness.aura.hitl import ApprovalRequest, channel_of, key_of
from harness.bus import Bus, stop_if_cancelled
from harness.errors import HarnessError
from harness.history import Recorder
from harness.live.address import shown

EVENTS = ("detect", "rag", "hitl", "case")
PLACEHOLDERS: Mapping[str, tuple[str, ...]] = {
    "detect": ("case", "severity", "score"),
    "rag": ("document", "chunks", "succeeded"),
    "hitl": ("case", "document", "session", "request", "user", "tenant", "timeout"),
    "case": ("case", "documents", "tenant"),
}
TOLD_TIMEOUT = 5.0
"""Seconds for which Aura is told to wait for an answer, where nobody says how long it does."""
AFTERWARDS = 1.0
"""Seconds after its deadline in which what comes of a request may still be published."""
LOOK_AGAIN = 0.02
"""Seconds between two looks at what Aura has written to Redis."""
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Trigger:
    """Either an HTTP call or a command. `where` is its place in the file that names it."""

    event: str
    where: str
    method: str = "POST"
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    command: tuple[str, ...] = ()
    patience: float = 10.0

    def takes(self, placeholder: str) -> bool:
        return f"{{{placeholder}}}" in json.dumps([self.url, dict(self.headers), self.body, self.command])

    async def pull(self, values: Mapping[str, Any]) -> None:
        """Raises HarnessError where it does not work."""
        await (self._run(values) if self.command else self._call(values))

    async def _call(self, values: Mapping[str, Any]) -> None:
        body = filled(self.body, values)
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} if content is not None else {}
        headers |= {name: str(filled(text, values)) for name, text in self.headers.items()}
        url = str(filled(self.url, values))
        where = f"{self.where}: {self.method} {shown(url)}"
        try:
            async with (
                asyncio.timeout(self.patience),  # the client's own is for each read
                httpx2.AsyncClient(timeout=self.patience, trust_env=False) as client,
            ):
                answer = await client.request(self.method, url, content=content, headers=headers)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise HarnessError(f"{where}: no answer within {self.patience:g} s") from error
        except (httpx2.RequestError, httpx2.InvalidURL, ValueError) as error:
            raise HarnessError(f"{where}: {shown(str(error)) or type(error).__name__}") from error
        if not answer.is_success:
            raise HarnessError(f"{where}: {answer.status_code} was answered, 2xx was expected")

    async def _run(self, values: Mapping[str, Any]) -> None:
        command = [str(filled(part, values)) for part in self.command]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
            )
        except (OSError, ValueError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or error
            raise HarnessError(f"{self.where}: {command[0]}: {why}") from error
        try:
            async with asyncio.timeout(self.patience):
                _, said = await process.communicate()
        except BaseException as error:
            if process.returncode is None:
                process.kill()
                await process.wait()
            if isinstance(error, TimeoutError):
                raise HarnessError(f"{self.where}: {command[0]} took more than {self.patience:g} s") from error
            raise
        if process.returncode:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise HarnessError(f"{self.where}: {command[0]} ended with {process.returncode}: {last}")


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """With every `{name}` replaced; a text that is nothing but one keeps the type of what is put in."""
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole and whole[1] in values:
            return values[whole[1]]
        return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), value)
    if isinstance(value, Mapping):
        return {name: filled(each, values) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [filled(each, values) for each in value]
    return value


def unknown_placeholders(event: str, *parts: Any) -> set[str]:
    """Those that this event does not have."""
    found = set(_PLACEHOLDER.findall(json.dumps(parts, ensure_ascii=False, default=str)))
    return {name for name in found if name.isidentifier()} - set(PLACEHOLDERS[event])


class TriggeredAura:
    """The face of a simulated Aura's publishers and approvals, for a live one."""

    def __init__(self, triggers: Mapping[str, Trigger], bus: Bus, recorder: Recorder, timeout: float | None) -> None:
        """`timeout` is how many seconds it waits for an answer; None where nobody knows."""
        self._triggers = triggers
        self._bus = bus
        self._recorder = recorder
        self._timeout = timeout
        self._patience = TOLD_TIMEOUT if timeout is None else timeout

    async def case_created(self, case_id: str, severity: str, score: float) -> None:
        await self._triggers["detect"].pull({"case": case_id, "severity": severity, "score": score})

    async def rag_finished(self, rag_document_id: str, chunks_added: int, succeeded: bool) -> None:
        values = {"document": rag_document_id, "chunks": chunks_added, "succeeded": succeeded}
        await self._triggers["rag"].pull(values)

    async def ask(self, request: ApprovalRequest) -> asyncio.Task[None]:
        """Returns when Aura listens for the answer; the task ends when it has published what came of it, or when it
        should have."""
        context = request.context
        values = {
            "case": context.get("caseId", context.get("case_id", "")),
            "document": context.get("docKey", context.get("doc_key", "")),
            "session": request.session_id,
            "request": request.request_id,
            "user": request.user_id,
            "tenant": request.tenant_id,
            "timeout": self._patience,
        }
        seen, before = len(self._recorder), self._recorder.elapsed()
        await self._triggers["hitl"].pull(values)
        await self._listening(request, before)
        return asyncio.create_task(self._told(request, seen), name=f"hitl {request.request_id}")

    async def _listening(self, request: ApprovalRequest, before: float) -> None:
        """`before` is a moment at which nobody listened. Looks first who listens and then what is stored: what is found
        then was stored before, as far as one sees."""
        key, channel = key_of(request.request_id), channel_of(request.session_id)
        case = request.context.get("caseId", request.context.get("case_id"))
        about = {"case": case, "request": request.request_id, "session": request.session_id}
        stored = False
        patience = self._triggers["hitl"].patience
        try:
            async with asyncio.timeout(patience):
                while True:
                    looked = self._recorder.elapsed()
                    listening = await self._bus.listeners(channel)
                    text = await self._bus.fetch(key)
                    if text is not None and not stored:
                        stored = True
                        ttl = await self._bus.expires_in(key)
                        data = {"do": "stored", "key": key, "ttl": ttl, "request": object_of(text)}
                        self._recorder.record("hitl_request", data, seat="aura", about=about)
                    if listening:
                        break
                    before = looked
                    stop_if_cancelled()
                    await asyncio.sleep(LOOK_AGAIN)
        except TimeoutError as error:
            where = self._triggers["hitl"].where
            raise HarnessError(
                f"{where}: within {patience:g} s nobody listened on {channel}; the trigger has to make Aura ask with "
                "the session and the request that it is given"
            ) from error
        data = {"do": "waiting", "channel": channel, "timeout": self._timeout, "began": before}
        self._recorder.record("hitl_request", data, seat="aura", about=about)

    async def _told(self, request: ApprovalRequest, seen: int) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience + AFTERWARDS):
                await published(self._recorder, request.request_id, seen)


async def published(recorder: Recorder, request: str, since: int = 0) -> None:
    """Returns when a message about this request was seen on a channel, at `since` or later."""
    while True:
        events = recorder.since(since)
        since += len(events)
        if any(event.kind == "published" and event.about.get("request") == request for event in events):
            return
        await asyncio.sleep(LOOK_AGAIN)


def object_of(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
