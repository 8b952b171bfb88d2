"""A passive tap on a running environment: each message is judged as it comes, and of those that conform none is kept.

Reading goes before judging. What cannot be judged in time waits here, and not in Redis, which would end the connection;
beyond a limit it is counted instead, and said to be. So a watch either judges a message, or tells that it did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import IO, Any

from redis.exceptions import RedisError

from harness.agreement import Agreement
from harness.bus import GONE, HITL_CHANNEL, PATTERNS, Bus, Stream
from harness.checks import SINGLE, Tally
from harness.checks.view import of_aura, read_message
from harness.clock import Clock
from harness.history import FINISHED, Event, encode, to_line, wall
from harness.verdict import Told, Verdict

MOST_WAITING = 64 * 1024 * 1024
"""Bytes that may wait to be judged; what comes beyond is counted, until half of them are done."""
OVERHEAD = 200
"""Bytes that a waiting message costs beside its own."""
BEHIND, IN_TIME = 1.0, 0.1
"""Seconds that the oldest waiting message has waited when a watch is behind, and when it is in time again."""
SLICE, SHORT_SLICE = 0.004, 0.001
"""Seconds of judging after which reading has its turn; less where much waits, for Redis waits for nobody."""
TURN = 2048
"""Messages that are read before others have their turn."""
TOLD_EACH = 3
"""How many findings of a kind are told one by one."""
MOST_CHANNELS = 100
"""Channels that are counted by their name; a session's channel never is."""
LATEST = 5
QUIET = 5.0
"""Seconds without a word from Redis after which it is asked for one; three times as long is too long."""
RETRY = (0.1, 0.2, 0.5, 1.0)
"""Seconds between attempts to subscribe again, the last one again and again."""
LAST_WORDS = 2.0
"""Seconds in which what still waits at the end is judged."""
OTHERS = "other channels"


@dataclass(frozen=True, slots=True)
class Gap:
    """What was not judged. `missed` is how many messages, None where nobody can know it: there was no connection."""

    began: float
    ended: float | None
    missed: int | None
    why: str


@dataclass(slots=True)
class Watch:
    """What was seen so far. `note` is told in words what happens to the watch itself, `found` each finding to tell."""

    agreement: Agreement
    clock: Clock
    out: IO[str] | None = None
    note: Callable[[float, str], None] = lambda at, text: None
    found: Callable[[Told], None] = lambda told: None
    seen: int = 0
    judged: int = 0
    """Aura's messages, for a message of the backend's, or a signal, is none that a clause speaks of."""
    channels: Counter[str] = field(default_factory=Counter)
    gaps: deque[Gap] = field(default_factory=lambda: deque(maxlen=100))
    latest: deque[Told] = field(default_factory=lambda: deque(maxlen=LATEST))
    lag: float = 0.0
    connected: bool = True
    run: Mapping[str, Any] = field(default_factory=dict)
    _tally: Tally = field(init=False)
    _origin: datetime = field(init=False)
    _seq: int = 0

    def __post_init__(self) -> None:
        self._tally = Tally(self.agreement)
        self._origin = self.clock.now() - timedelta(seconds=self.clock.elapsed())

    def begin(self, run: Mapping[str, Any]) -> None:
        """`run` is what the first event of the history says."""
        self.run = run
        self._record("run", 0.0, run)

    def take(self, at: float, channel: bytes, wire: bytes) -> None:
        """Judge one message that came at this time."""
        name = channel.decode(errors="replace")
        self.count(name)
        self._seq += 1
        signal = name.startswith(HITL_CHANNEL)
        event = Event(
            seq=self._seq,
            at=at,
            wall=wall(self._origin + timedelta(seconds=at)),
            kind="hitl_signal" if signal else "published",
            data={"channel": name, "wire": encode(wire), "began": at},
        )
        if self.out is not None:
            self.out.write(to_line(event))
        if signal:
            return
        message = read_message(event, wire)
        self.judged += of_aura(message)
        for finding in self._tally.judge(message):
            told = Told(at, name, finding)
            self.latest.append(told)
            if self._tally.times(finding) <= TOLD_EACH:
                self.found(told)

    def count(self, channel: str) -> None:
        self.seen += 1
        if channel.startswith(HITL_CHANNEL):
            channel = f"{HITL_CHANNEL}*"
        elif channel not in self.channels and len(self.channels) >= MOST_CHANNELS:
            channel = OTHERS
        self.channels[channel] += 1

    def missed(self, gap: Gap) -> None:
        self.gaps.append(gap)
        self._seq += 1
        data = {"do": "gap", "began": gap.began, "ended": gap.ended, "missed": gap.missed, "why": gap.why}
        self._record("fault", self.clock.elapsed(), data)

    def verdicts(self) -> tuple[Verdict, ...]:
        return self._tally.verdicts(self.run)

    def end(self) -> None:
        self._seq += 1
        self._record("step", self.clock.elapsed(), {"do": FINISHED})

    def _record(self, kind: str, at: float, data: Mapping[str, Any]) -> None:
        if self.out is not None:
            at = round(at, 6)
            self.out.write(to_line(Event(self._seq, at, wall(self._origin + timedelta(seconds=at)), kind, data=data)))


def described(agreement: Agreement, bus: Bus, version: str, command: tuple[str, ...]) -> dict[str, Any]:
    """What the first event of a watch's history says."""
    return {
        "harness": version,
        "agreement": agreement.version,
        "seats": {"aura": "watched", "synapse": "not watched", "workbench": "not watched"},
        "reach": [SINGLE],
        "redis": bus.description,
        "seed": 0,
        "tolerance": 0.0,
        "time": "wall",
        "command": list(command),
    }


class Follower:
    """Reads a Redis into a watch, for as long as it is told to."""

    def __init__(self, bus: Bus, watch: Watch) -> None:
        self._bus = bus
        self._watch = watch
        self._waiting: deque[tuple[float, bytes, bytes]] = deque()
        self._bytes = 0
        self._came = asyncio.Event()
        self._heard = 0.0
        self._silent: float | None = None
        self._behind: float | None = None
        self._worst = 0.0
        self._skipped: Gap | None = None
        self._lost: tuple[float, str] | None = None
        self._stream: Stream | None = None

    @property
    def subscribed(self) -> bool:
        return self._stream is not None

    async def follow(self, seconds: float | None, tick: float, on_tick: Callable[[], None]) -> None:
        """Returns after so many seconds, or when it is cancelled; what came until then is judged."""
        self._stream = await self._bus.stream(*PATTERNS)
        overruns = await self._bus.overruns()
        tasks = [
            asyncio.create_task(work, name=f"watch: {name}")
            for name, work in (("read", self._read(overruns)), ("judge", self._judge()), ("listen", self._ask()))
        ]
        began = time.monotonic()
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the end of a watch that was not given one
                while seconds is None or time.monotonic() - began < seconds:
                    left = tick if seconds is None else min(tick, seconds - (time.monotonic() - began))
                    done, _ = await asyncio.wait(tasks, timeout=max(left, 0), return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                    self._say_how_far_behind()
                    on_tick()
        finally:
            for task in tasks:
                await _end(task)
            if self._stream is not None:
                await self._stream.close()
        self._finish()

    # ---- Reading

    async def _read(self, overruns: int | None) -> None:
        while True:
            try:
                await self._read_all()
            except (*GONE, RedisError) as error:
                overruns = await self._again(error, overruns)

    async def _read_all(self) -> None:
        stream, read = self._stream, 0
        assert stream is not None
        while True:
            message = await stream.read()
            self._heard = at = self._watch.clock.elapsed()
            if message is None:
                continue
            self._take(at, *message)
            read += 1
            if read % TURN == 0:
                await asyncio.sleep(0)

    def _take(self, at: float, channel: bytes, wire: bytes) -> None:
        if self._bytes > (MOST_WAITING if self._skipped is None else MOST_WAITING // 2):
            if self._skipped is None:
                self._watch.note(at, f"too far behind: what comes is counted and not judged ({self._how_far(at)})")
                self._skipped = Gap(at, at, 0, "the watch was too far behind")
            self._skipped = replace(self._skipped, ended=at, missed=(self._skipped.missed or 0) + 1)
            self._watch.count(channel.decode(errors="replace"))
            return
        self._resume()
        self._waiting.append((at, channel, wire))
        self._bytes += len(wire) + OVERHEAD
        self._came.set()

    def _resume(self) -> None:
        gap, self._skipped = self._skipped, None
        if gap is not None and gap.ended is not None:
            self._watch.missed(gap)
            told = f"{gap.missed} messages in {gap.ended - gap.began:.1f} s were only counted"
            self._watch.note(self._watch.clock.elapsed(), f"judging again: {told}")

    async def _again(self, error: BaseException, overruns: int | None) -> int | None:
        """Subscribe again, however long it takes. Answers what `overruns` then is."""
        watch = self._watch
        now, why = watch.clock.elapsed(), str(error).rstrip(".")
        last, self._silent = (now if self._silent is None else self._silent), None
        watch.connected, self._lost = False, (last, why)
        watch.note(now, f"the connection to Redis is lost ({why}); what is published now is missed")
        if self._stream is not None:
            await self._stream.close()
            self._stream = None
        attempt = 0
        while self._stream is None:
            await asyncio.sleep(RETRY[min(attempt, len(RETRY) - 1)])
            attempt += 1
            with contextlib.suppress(*GONE, RedisError, TimeoutError):
                self._stream = await self._bus.stream(*PATTERNS)
        counted = await self._bus.overruns()
        why = _reason(why, overruns, counted)
        back = self._heard = watch.clock.elapsed()
        self._lost, watch.connected = None, True
        watch.missed(Gap(last, back, None, why))
        watch.note(
            back, f"subscribed again; missed is what came in {back - last:.2f} s and what waited in Redis: {why}"
        )
        return counted

    async def _ask(self) -> None:
        """A connection that died without a word is noticed."""
        while True:
            await asyncio.sleep(QUIET)
            quiet = self._watch.clock.elapsed() - self._heard
            stream = self._stream
            if stream is None or quiet < QUIET:
                continue
            if quiet > 3 * QUIET:
                self._silent = self._heard
                await stream.close()  # its reader then finds it gone
                continue
            with contextlib.suppress(*GONE, RedisError):
                await stream.ping()

    # ---- Judging

    async def _judge(self) -> None:
        while True:
            if not self._waiting:
                self._came.clear()
                if self._watch.out is not None:
                    self._watch.out.flush()
                await self._came.wait()
            self._judge_for(SLICE if self._bytes < MOST_WAITING // 8 else SHORT_SLICE)
            await asyncio.sleep(0)

    def _judge_for(self, seconds: float) -> None:
        waiting, take = self._waiting, self._watch.take
        until = time.monotonic() + seconds
        while waiting and time.monotonic() < until:
            at, channel, wire = waiting.popleft()
            self._bytes -= len(wire) + OVERHEAD
            take(at, channel, wire)

    def _say_how_far_behind(self) -> None:
        watch, now = self._watch, self._watch.clock.elapsed()
        if self._bytes <= MOST_WAITING // 2:
            self._resume()
        watch.lag = now - self._waiting[0][0] if self._waiting else 0.0
        self._worst = max(self._worst, watch.lag) if self._behind is not None else watch.lag
        if self._behind is None and watch.lag > BEHIND:
            self._behind = now
            watch.note(now, f"behind: {self._how_far(now)}")
        elif self._behind is not None and watch.lag < IN_TIME:
            watch.note(now, f"in time again, after {now - self._behind:.1f} s; at most {self._worst:.1f} s behind")
            self._behind = None

    def _how_far(self, now: float) -> str:
        oldest = self._waiting[0][0] if self._waiting else now
        return f"{len(self._waiting)} messages wait, the oldest for {now - oldest:.1f} s"

    def _finish(self) -> None:
        """What waits is judged as far as there is time, and what is missing is told."""
        watch = self._watch
        self._judge_for(LAST_WORDS)
        now = watch.clock.elapsed()
        self._resume()
        if self._waiting:
            left, began = len(self._waiting), self._waiting[0][0]
            for _, channel, _ in self._waiting:
                watch.count(channel.decode(errors="replace"))
            watch.missed(Gap(began, now, left, "the watch ended while it was behind"))
            watch.note(now, f"ended while behind: the last {left} messages were only counted")
        if self._lost is not None:
            lost, why = self._lost
            watch.missed(Gap(lost, None, None, why))
            watch.note(now, f"ended without a connection, {now - lost:.1f} s after it was lost")
        watch.lag = 0.0


def _reason(error: str, before: int | None, after: int | None) -> str:
    """Redis counts the connections that it ended because too much waited in them; before version 7 it does not."""
    if before is None or after is None:
        return f"{error}; Redis does so when too much waits in it (client-output-buffer-limit pubsub), or stops"
    if after > before:
        return f"{error}; too much waited in it (client-output-buffer-limit pubsub)"
    return error


async def _end(task: asyncio.Task[None]) -> None:
    while not task.done():  # redis-py can swallow a cancellation
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
