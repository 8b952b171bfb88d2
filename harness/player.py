"""Plays one scenario, step by step, against the simulated systems, and writes down what happens.

In process, on the embedded Redis, time is virtual; on a real Redis the same file takes wall time. Nothing is judged
here: the player only looks at whether an expectation is met yet, to know how long to wait.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis.exceptions import RedisError

from harness import expect, scenario
from harness.aura.hitl import ApprovalRequest, channel_of, key_of
from harness.bus import FAILED, Bus, Link, stop_if_cancelled
from harness.clock import Clock
from harness.history import VIEWER, Recorder
from harness.http import call
from harness.outage import A_MOMENT, Outage
from harness.runner import quiet
from harness.scenario import Scenario, ScenarioError, Step, wire
from harness.seats import Seats, Targets
from harness.workbench.rest import document_path
from harness.workbench.viewer import Refetch, Viewer

TENANT = 7
OK = 200
REDIS = "redis"
"""Where it is written down that the run itself could not reach it."""
AFTERWARDS = 0.2
"""Seconds after the last step in which what is due may still come."""

LONGEST_LOAD = 60.0
"""Seconds that the end of a story waits for what a viewer fetches."""

Ids = dict[str, dict[str, list[str]]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds: the configured HITL timeout, the smallest step of time, what counts as quiet,
    how long an expectation is waited for, and how much longer than no time at all a viewer waits for each answer."""

    timeout: float
    tick: float
    settle: float
    patience: float
    answer: float = 0.0


VIRTUAL = Pace(timeout=300.0, tick=0.01, settle=0.0025, patience=15.0, answer=0.001)
"""Where answers come in no time, nothing ever happens while a viewer fetches."""


def wall(timeout: float) -> Pace:
    return Pace(timeout=timeout, tick=0.5, settle=0.1, patience=8.0)


class Player:
    def __init__(
        self,
        told: Scenario,
        run: str,
        seats: Seats,
        targets: Targets,
        bus: Bus,
        recorder: Recorder,
        clock: Clock,
        pace: Pace,
        outage: Outage | None,
        refusal: str = "",
    ) -> None:
        """`refusal` is why it must not be played at all. `outage` is None for a Redis that is not ours.

        What cannot be done makes a story `unproven` from there on.
        """
        self._scenario = told
        self._judged = told
        """The same scenario, in the words of the history."""
        self._run = run
        self._seats = seats
        self._targets = targets
        self._bus = bus
        self._recorder = recorder
        self._clock = clock
        self._pace = pace
        self._outage = outage
        self._refusal = refusal
        self._impossible = False
        self._ids = _allocated(told, run)
        self._viewers: dict[str, Viewer] = {}
        self._cut: dict[str, Link] = {}

    async def play(self) -> None:
        await self._given()
        async with AsyncExitStack() as open_viewers:
            open_viewers.push_async_callback(self._give_back)
            open_viewers.push_async_callback(self._close_all)
            for viewer in self._scenario.given.viewers.values():
                if viewer.open and self._seats.backend.takes_cases:
                    await self._open(viewer.name)
            for index, step in enumerate(self._scenario.steps):
                if self._impossible:
                    break
                stop_if_cancelled()
                if step.expects:
                    self._begin(index, step)
                    await self._expect(self._judged.steps[index])
                else:
                    await self._do(index, step)
            stop_if_cancelled()
            await asyncio.sleep(AFTERWARDS)
            await self._rest()

    async def _rest(self) -> None:
        """Quiet, and no viewer in the middle of fetching: cut off, it would look as if it had fetched nothing."""
        until = self._clock.elapsed() + LONGEST_LOAD
        await quiet(self._recorder, self._pace.settle)
        while any(viewer.loading for viewer in self._viewers.values()) and self._clock.elapsed() < until:
            await quiet(self._recorder, self._pace.settle)

    # ---- What is there before the story -------------------------------------------------------------------------

    async def _given(self) -> None:
        told = self._scenario
        data = {"do": "given", "scenario": told.name, "file": told.file, "text": told.text, "ids": self._ids}
        kept = self._recorder.record("step", data).data["text"]
        if kept != told.text:  # people's text was taken out of it, as of what is recorded
            self._judged = scenario.parse(kept, Path(f"{told.name}.yaml"), told.file)
        documents: dict[str, list[str]] = {}
        for document in self._scenario.given.documents.values():
            for case, key in zip(self._ids["cases"][document.case], self._ids["documents"][document.name], strict=True):
                documents.setdefault(case, []).append(key)
        for given in self._scenario.given.cases.values():
            for case_id in self._ids["cases"][given.name]:
                await self._seats.backend.give(given.tenant, case_id, documents.get(case_id, ()))

    # ---- Doing -----------------------------------------------------------------------------------------------------

    async def _do(self, index: int, step: Step) -> None:
        begin = partial(self._begin, index, step)
        if why_not := self._why_not(step):
            begin(unproven=why_not)
            self._impossible = True
            return
        arguments = step.arguments
        match step.verb:
            case "detect":
                told = {"severity": arguments["severity"], "score": arguments["score"]}
                causes = [{"case_id": case, **told} for case in self._cases(step)]
                self._cause(begin, "detect", causes)
                created = self._seats.aura.publishers.case_created
                work = (created(cause["case_id"], told["severity"], told["score"]) for cause in causes)
                await self._all(self._tried("aura", each) for each in work)
            case "rag":
                told = {"chunks_added": arguments["chunks"], "succeeded": arguments["succeeded"]}
                (document,) = self._ids["rag"][arguments["document"]]
                begin(rag_document_id=document, **told)
                finished = self._seats.aura.publishers.rag_finished
                await self._tried("aura", finished(document, told["chunks_added"], told["succeeded"]))
            case "request approval":
                begin()
                asked = map(self._seats.aura.approvals.ask, self._requests(step))
                await self._all(self._tried("aura", each) for each in asked)
            case "expire":
                (request,) = self._ids["requests"][arguments["request"]]
                begin(key=key_of(request))
                await self._tried(REDIS, self._bus.delete(key_of(request)))
            case "approve" | "reject":
                begin()
                await (self._decide(step) if arguments["by"] == "api" else self._signal(step))
            case "record":
                begin()
                await self._all(map(self._record, self._bodies(step)))
            case "publish":
                message = wire(arguments, {name: self._id(of) for name, of in arguments.get("ids", {}).items()})
                begin(about=arguments["about"], readable=arguments["readable"])
                await self._tried(REDIS, self._seats.publish(arguments["channel"], message))
            case "open viewer" | "close viewer":
                begin()
                self._must_be_open(step, arguments["viewer"], step.verb == "close viewer")
                await (self._open if step.verb == "open viewer" else self._close)(arguments["viewer"])
            case "cut" | "restore":
                begin()
                await self._connection(step)
            case "stop redis" | "start redis":
                begin()
                self._redis_must_be(step, stopped=step.verb == "start redis")
                await quiet(self._recorder, self._pace.settle)
                assert self._outage is not None
                await (self._outage.begin if step.verb == "stop redis" else self._outage.end)()
            case "wait":
                begin()
                await asyncio.sleep(arguments["for"].within(timeout=self._pace.timeout, tick=self._pace.tick))
            case verb:
                raise AssertionError(f"no way to play {verb}")

    def _why_not(self, step: Step) -> str:
        """Why this run cannot play a step; empty where it can."""
        if self._refusal:
            return self._refusal
        event = {"detect": "detect", "rag": "rag", "request approval": "hitl"}.get(step.verb)
        if event is not None and event not in self._targets.causes:
            return f"a live Aura does this on its own account; name [triggers.{event}] in harness.toml"
        if step.verb in ("stop redis", "start redis") and self._outage is None:
            return "the Redis at a URL is not ours to stop"
        if step.verb in ("cut", "restore") and "seat" in step.arguments and self._link(step) is None:
            return f"the connection of a live {step.arguments['seat']} is not ours to cut"
        decides = step.verb in ("approve", "reject") and "session" not in step.arguments
        if not self._seats.backend.takes_cases and (decides or self._scenario.given.viewers):
            return "a live Synapse decides about its own cases; name [triggers.case] in harness.toml"
        if self._targets.synapse is not None and any(self._scenario.given.settings.values()):
            return "the settings of a live Synapse are its own"
        return ""

    def _link(self, step: Step) -> Link | None:
        return {"aura": self._seats.aura.link, "synapse": self._seats.backend.link}[step.arguments["seat"]]

    def _begin(self, index: int, step: Step, **more: object) -> None:
        self._recorder.record("step", {"do": step.verb, "step": index, "line": step.line, **more})

    def _cause(self, begin: Callable[..., None], do: str, causes: Sequence[Mapping[str, Any]]) -> None:
        """One event each; the first is also the beginning of the step."""
        first, *others = causes
        begin(**first)
        for other in others:
            self._recorder.record("step", {"do": do, **other})

    async def _all(self, several: Iterable[Awaitable[Any]]) -> None:
        await asyncio.gather(*several)

    def _cases(self, step: Step) -> list[str]:
        return self._ids["cases"][step.arguments["case"]]

    def _id(self, name: str) -> str:
        known = (self._ids[kind].get(name) for kind in ("cases", "documents", "requests"))
        return next(ids[0] for ids in known if ids)

    def _document(self, step: Step, index: int) -> str | None:
        name = step.arguments.get("document")
        return None if name is None else self._ids["documents"][name][index]

    def _tenant(self, case: str) -> int:
        return self._scenario.given.cases[case].tenant

    def _requests(self, step: Step) -> list[ApprovalRequest]:
        arguments = step.arguments
        return [
            ApprovalRequest(
                request_id=request,
                session_id=self._session(arguments.get("session"), request),
                user_id=arguments["user"],
                tenant_id=str(self._tenant(arguments["case"])),
                context={"caseId": case, **({"docKey": key} if (key := self._document(step, index)) else {})},
            )
            for index, (case, request) in enumerate(
                zip(self._cases(step), self._ids["requests"][arguments["request"]], strict=True)
            )
        ]

    def _session(self, name: str | None, request: str) -> str:
        return f"{self._run}-session-{name}" if name else f"{request}-session"

    async def _decide(self, step: Step) -> None:
        arguments = step.arguments
        calls = []
        for index, case in enumerate(self._cases(step)):
            body = {"executor_id": arguments["user"], "comment": arguments.get("comment")}
            body["doc_key"] = self._document(step, index)
            path = f"/api/synapse/actions/{quote(case, safe='')}/{step.verb}"
            calls.append(self._decided(step, case, self._post(path, _present(body), self._tenant(arguments["case"]))))
        await self._all(calls)

    async def _decided(self, step: Step, case: str, call: Awaitable[int]) -> None:
        """What a live backend tells Aura of its decision nobody sees; that it decided explains what Aura publishes."""
        began = self._recorder.elapsed()
        if await call == OK and self._targets.synapse is not None:
            data = {"do": "decided", "case": case, "approved": step.verb == "approve", "began": began}
            self._recorder.record("step", data, seat="synapse", about={"case": case})

    async def _signal(self, step: Step) -> None:
        """By the backend, which knows the request; or directly, for whatever session is named."""
        arguments = step.arguments
        requests = self._ids["requests"].get(arguments["request"], [f"{self._run}-{arguments['request']}"])
        if "session" in arguments:
            for request in requests:
                channel = channel_of(self._session(arguments["session"], request))
                await self._tried(REDIS, self._seats.publish(channel, self._signal_of(step, request)))
            return
        body = _present({"userId": arguments["user"], "reason": arguments.get("reason")})
        paths = [f"/api/aura/hitl/{step.verb}/{quote(request, safe='')}" for request in requests]
        await self._all(self._post(path, body, TENANT) for path in paths)

    def _signal_of(self, step: Step, request: str) -> bytes:
        kind = {"approve": ("approval", "approved"), "reject": ("rejection", "rejected")}[step.verb]
        signal = {"type": kind[0], "requestId": request, "status": kind[1], "reason": step.arguments.get("reason")}
        signal["timestamp"] = int(self._clock.now().timestamp())
        return json.dumps(_present(signal), ensure_ascii=False).encode()

    def _bodies(self, step: Step) -> list[dict[str, Any]]:
        arguments = step.arguments
        bodies = []
        for index, case in enumerate(self._cases(step)):
            named = self._ids["requests"].get(arguments.get("request", ""))
            body = {
                "case_id": case,
                "request_id": named[index] if named else f"{case}-record",
                "executor_id": arguments["user"],
                "approved": arguments["approved"],
                "comment": arguments.get("comment"),
                "doc_key": self._document(step, index),
            }
            bodies.append(_present(body))
        return bodies

    # ---- Calls -----------------------------------------------------------------------------------------------------

    async def _record(self, body: Mapping[str, Any]) -> int:
        status, _ = await call(self._seats.aura.app, "POST", self._targets.record_path, body, self._seats.headers())
        return status

    async def _post(self, path: str, body: Mapping[str, Any], tenant: int) -> int:
        status, _ = await call(self._seats.backend.app, "POST", path, body, {"X-Tenant-ID": str(tenant)})
        return status

    async def _fetch(self, tenant: int, path: str, viewer: str = "") -> tuple[int, Any]:
        """`viewer` is who asks, where it is not the run itself."""
        who = {"User-Agent": f"{VIEWER}{quote(viewer)}"} if viewer else {}
        answer = await call(self._seats.backend.app, "GET", path, None, {"X-Tenant-ID": str(tenant), **who})
        await asyncio.sleep(self._pace.answer)
        return answer

    # ---- Connections -------------------------------------------------------------------------------------------------

    async def _open(self, name: str) -> None:
        given = self._scenario.given.viewers[name]
        case = self._ids["cases"][given.shows][0] if given.shows else ""

        def refetched(refetch: Refetch) -> None:
            self._recorder.record("refetch", refetch.as_json(), seat="workbench", about={"case": refetch.case})

        def changed(what: str) -> None:
            self._recorder.record("fault", {"do": what, "viewer": name}, seat="workbench")

        fetch = partial(self._fetch, given.tenant, viewer=name)
        source = self._seats.backend.source(given.by, name)
        make, told_of = self._seats.viewer, {"on_refetch": refetched, "on_change": changed}
        viewer = make(name, given.tenant, case, source, fetch, self._clock, **told_of)
        await viewer.open()
        self._viewers[name] = viewer
        told = {"viewer": name, "case": case, "tenant": given.tenant, "source": given.by}
        self._recorder.record("step", {"do": "open-viewer", **told})

    def _must_be_open(self, step: Step, name: str, wanted: bool) -> None:
        if (name in self._viewers) is not wanted:
            found, expected = ("open", "closed") if not wanted else ("closed", "open")
            raise ScenarioError(f"{step.where}: viewer {name} is {found}, expected {expected} for `{step.verb}`")

    def _redis_must_be(self, step: Step, *, stopped: bool) -> None:
        if self._bus.is_down is not stopped:
            found, expected = ("running", "stopped") if stopped else ("stopped", "running")
            raise ScenarioError(f"{step.where}: Redis is {found}, expected {expected} for `{step.verb}`")

    async def _tried(self, seat: str, work: Awaitable[object]) -> None:
        """What could not be done for want of Redis is written down, and judged by what is expected."""
        try:
            await work
        except (OSError, RedisError) as error:
            self._recorder.record("fault", {"do": FAILED, "error": str(error)}, seat=seat)

    async def _close(self, name: str) -> None:
        self._recorder.record("step", {"do": "close-viewer", "viewer": name})
        await self._viewers.pop(name).close()

    async def _close_all(self) -> None:
        for name in tuple(self._viewers):
            await self._close(name)

    async def _give_back(self) -> None:
        """What the story has taken away and left so: others come after it."""
        if self._outage is not None and self._bus.is_down:
            await self._outage.end()
        for link in tuple(self._cut.values()):
            await link.restore()

    async def _connection(self, step: Step) -> None:
        if "viewer" in step.arguments:
            self._must_be_open(step, step.arguments["viewer"], True)
            viewer = self._viewers[step.arguments["viewer"]]
            await (viewer.cut if step.verb == "cut" else viewer.restore)()
            return
        link = self._link(step)
        assert link is not None
        if step.verb == "cut":
            await quiet(self._recorder, self._pace.settle)
            self._cut[step.arguments["seat"]] = link
            await link.cut()
        else:
            self._cut.pop(step.arguments["seat"], None)
            await link.restore()
        await asyncio.sleep(A_MOMENT)

    # ---- Expecting ---------------------------------------------------------------------------------------------------

    async def _expect(self, step: Step) -> None:
        """Waits until it is met, or no longer; then until all is quiet. What is out of reach is not waited for."""
        await quiet(self._recorder, self._pace.settle)
        await self._look(step)
        deadline, pause = self._clock.elapsed() + self._pace.patience, self._pace.tick
        while not self._met(step) and self._clock.elapsed() < deadline:
            await asyncio.sleep(pause)
            await quiet(self._recorder, self._pace.settle)
            pause = min(2 * pause, 1.0)

    async def _look(self, step: Step) -> None:
        for part in step.expectations:
            if part.verb == "expect document":
                name = part.arguments["document"]
                tenant = self._tenant(self._scenario.given.documents[name].case)
                for key in self._ids["documents"][name]:
                    await self._fetch(tenant, document_path(key))

    def _met(self, step: Step) -> bool:
        parts = {part.where for part in step.expectations if " no " not in part.verb and part.verb != "expect document"}
        if not parts:
            return True
        judged = expect.judge(self._judged, self._recorder.history())
        return all(each.outcome != "broken" for each in judged if each.step.where in parts)


def _allocated(scenario: Scenario, run: str) -> Ids:
    """An id for every name of the story; of a case with copies, and of what belongs to it, as many as there are."""
    ids: Ids = {"cases": {}, "documents": {}, "requests": {}, "rag": {}, "actions": {}}

    def several(name: str, count: int) -> list[str]:
        return [f"{run}-{name}" if count == 1 else f"{run}-{name}-{number}" for number in range(1, count + 1)]

    for case in scenario.given.cases.values():
        ids["cases"][case.name] = several(case.name, case.copies)
        ids["actions"][case.name] = [f"action-{each}" for each in ids["cases"][case.name]]
    for document in scenario.given.documents.values():
        ids["documents"][document.name] = several(document.name, scenario.given.cases[document.case].copies)
    for step in scenario.steps:
        arguments = step.arguments
        if step.verb == "rag":
            ids["rag"][arguments["document"]] = several(arguments["document"], 1)
        elif step.verb in ("request approval", "record") and "request" in arguments:
            count = len(ids["cases"][arguments["case"]])
            ids["requests"].setdefault(arguments["request"], several(arguments["request"], count))
    return ids


def _present(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
