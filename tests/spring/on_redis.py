"""The application on a real Redis, held to the agreement as the live consumer of a run, and looked at over time.

What is measured of it is measured of the simulated Synapse, too, which then runs on a port as it does.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import httpx2
from serving import synapse

from harness import gate
from harness.agreement import Agreement
from harness.bus import open_bus
from harness.checks import judge
from harness.checks.notifications import Handling, handlings
from harness.checks.view import View
from harness.clock import Ids, WallClock
from harness.gate import Options
from harness.history import FINISHED, History, Recorder
from harness.live.aura import CLOCKS_APART
from harness.live.synapse import SynapseTarget, live_synapse
from harness.messages import CASE_ACTION, ordinary
from harness.runner import described, quiet
from harness.seats import Settings, Targets
from harness.verdict import Verdict
from spring.application import JAR, NotAvailable, java

STARTED_WITHIN: Final = 90.0
BURST: Final = 2000
SLOW_FIELDS: Final = 20_000
DEEP_TENANT: Final = 1000
LOOKS: Final = 100
REACH: Final = ("redis", "stomp", "rest")

Start = Callable[[str], AbstractAsyncContextManager[str]]
"""Starts a Synapse on the Redis at a URL, and gives its own."""


@contextmanager
def running(redis_url: str, environment: Mapping[str, str]) -> Iterator[str]:
    """The URL of the application, once it serves and has subscribed. Raises NotAvailable with what it said."""
    if not JAR.is_file():
        raise NotAvailable("the application is not built: make spring builds it")
    with tempfile.TemporaryDirectory() as folder:
        port, said = Path(folder, "port"), Path(folder, "said")
        options = ["--server.port=0", f"--port-file={port}", f"--spring.data.redis.url={redis_url}"]
        with said.open("w") as out:
            process = subprocess.Popen([java(environment), "-jar", str(JAR), *options], stdout=out, stderr=out)
            try:
                _await(port, process, said)
                yield f"http://127.0.0.1:{port.read_text()}"
            finally:
                process.terminate()
                process.wait()


def _await(port: Path, process: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    while not port.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            last = " / ".join(said.read_text(errors="replace").splitlines()[-3:])
            raise NotAvailable(f"the application did not come up within {STARTED_WITHIN:g} s: {last}")
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Burst:
    """What became of messages that were published at once."""

    published: int
    handled: int
    inversions: int
    """How many frames came directly behind one that was published later."""
    overtaken: int
    """How many frames came before the first message's."""

    def told(self, name: str, slow_first: bool) -> str:
        what = "behind a slow one" if slow_first else "at once"
        overtaken = f", {self.overtaken} came before the slow one" if slow_first else ""
        return (
            f"{name:<10} {self.published} messages {what}: {self.handled} handled, {self.inversions} adjacent "
            f"inversions{overtaken}"
        )

    def unlike(self, name: str, slow_first: bool) -> list[str]:
        """Where it is not as Spring does it: each message on a thread of its own, which nothing puts in order."""
        if slow_first:
            return [] if self.overtaken else [f"{name}: nothing overtook a slow message"]
        return [] if self.inversions else [f"{name}: {self.published} messages at once kept their order"]

    @classmethod
    def of(cls, found: Sequence[Handling]) -> Burst:
        frames = {one.seq: frame.event.seq for one in found for frames in one.frames.values() for frame in frames[:1]}
        order = sorted(frames, key=lambda seq: frames[seq])
        return cls(
            published=len(found),
            handled=sum(one.handled for one in found),
            inversions=sum(later < earlier for earlier, later in pairwise(order)),
            overtaken=order.index(found[0].seq) if found and found[0].seq in frames else 0,
        )


async def whole_run(
    agreement: Agreement, redis_url: str, url: str, examples: int, seed: int, progress: gate.Progress
) -> History:
    """A whole run: what the simulated Aura publishes, what a consumer must take, what nobody should send, a gap."""
    without = frozenset({"approvals", "schemathesis"})
    options = Options(
        redis_url=redis_url,
        targets=Targets(synapse=SynapseTarget(url), may_cut=True),
        allow_writes=True,
        seed=seed,
        examples=examples,
        without=without,
    )
    return await gate.run(agreement, options, Settings(), progress=progress)


async def at_once(
    agreement: Agreement, redis_url: str, start: Start, *, slow_first: bool
) -> tuple[Burst, list[Verdict]]:
    """Ordinary messages in one transaction; `slow_first` with one before them that takes long to read and to store."""
    clock = WallClock()
    recorder = Recorder(clock)
    ids = Ids(f"b{int(time.time())}")
    async with start(redis_url) as url, open_bus(redis_url) as bus:
        told = described(agreement, bus, 1, REACH, ("make", "spring"), time="wall")
        recorder.record("run", told | {"seats": {**told["seats"], "synapse": url}, "tolerance": CLOCKS_APART})
        bus.leave_alone(lambda wire: ids.run.encode() in wire)
        async with live_synapse(SynapseTarget(url), bus, recorder, ids):
            several = [(one.channel, one.wire) for one in ordinary(1, ids, BURST // 5)]
            await bus.publish_at_once("harness", [_slow(ids), *several[: BURST // 10]] if slow_first else several)
            await quiet(recorder, 1.0)
        recorder.record("step", {"do": FINISHED})
    history = recorder.history()
    broken = [verdict for verdict in judge(agreement, history) if verdict.outcome == "broken"]
    return Burst.of(handlings(View(agreement, history))), broken


async def deep(redis_url: str, start: Start) -> int:
    async with start(redis_url) as url:
        return await _deep(redis_url, url)


async def _deep(redis_url: str, url: str) -> int:
    """How the page of a tenant is answered on which a row stands that cannot be written as JSON: its payload is 1000
    deep."""
    body = f'{{"tenant_id":{DEEP_TENANT},"deep":{"[" * 999}{"]" * 999}}}'.encode()
    async with open_bus(redis_url) as bus, httpx2.AsyncClient(base_url=url, trust_env=False) as rest:
        await bus.publisher("harness")("workbench:alert", body)
        for _ in range(LOOKS):
            answer = await rest.get("/api/synapse/notifications", headers={"X-Tenant-ID": str(DEEP_TENANT)})
            if not answer.is_success or answer.json()["data"]["totalElements"]:
                return answer.status_code
            await asyncio.sleep(0.05)
    return 0


def gap_told(agreement: Agreement, history: History) -> str:
    """What became of the messages for which Redis had ended the application's connection."""
    found = handlings(View(agreement, history))
    lost = [one for one in found if one.cut_off]
    after = next((one for one in found if one.period and one.connected), None)
    came_back = "the next one was handled" if after is not None and after.handled else "the next one was lost as well"
    replayed = sum(one.handled for one in lost)
    return f"CLIENT KILL: {len(lost)} messages published in the gap, {replayed} of them replayed; {came_back}"


def _slow(ids: Ids) -> tuple[str, bytes]:
    many = {f"field {number}": number for number in range(SLOW_FIELDS)}
    message = {"type": "NOTIFICATION", "category": "CASE_ACTION", "message": "느린 메시지", "case_id": ids.next("case")}
    return CASE_ACTION, json.dumps({**message, "extra": many}, ensure_ascii=False).encode()


def already(url: str) -> Start:
    """One that is up."""

    @asynccontextmanager
    async def start(redis_url: str) -> AsyncIterator[str]:
        yield url

    return start


SIMULATED: Final[Start] = synapse
