"""Load on the publish path: reviewers post actions, a detector and a trainer publish as Aura does, and every message is
accounted for at every hop. What it does is in `harness/load`; here it is given to locust.

    locust -f locustfile.py --headless -u 20 -t 15s
"""

from __future__ import annotations

import atexit
import logging
import secrets
import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import gevent
from locust import FastHttpUser, User, events, task
from locust.exception import StopUser
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from harness import agreement
from harness.aura.settings import Settings
from harness.clock import WallClock
from harness.errors import HarnessError
from harness.ledger import Result, merged
from harness.load import conclusion, options
from harness.load.pace import Pace
from harness.load.recording import Parts, Spool
from harness.load.redis_link import Server
from harness.load.run import Answer, Load, described
from harness.load.systems import embedded
from harness.load.thresholds import HOPS, Measured
from harness.load.traffic import Traffic

WAIT_FOR_WORKER = 15.0
"""Seconds without a word from a worker that drains after which its part is given up."""
KINDS = dict(zip(HOPS, ("POST", "REDIS", "DTO", "STOMP"), strict=True))

logging.getLogger("httpx2").setLevel(logging.WARNING)
held = ExitStack()
atexit.register(held.close)
state: Worker | Master | None = None
failed: str = ""


# ---- Users -----------------------------------------------------------------------------------------------------------


class Paced:
    """A user who sends at a pace, and whom nobody stops while a message of theirs is under way."""

    def on_start(self) -> None:
        self.load = loaded()
        self.lane = self.load.lane()
        rate = options.read(self.environment.parsed_options).rate
        self.pace = Pace(rate, self.lane, time.monotonic()) if rate else None
        time.sleep(self.wait_time())

    def wait_time(self) -> float:
        return self.pace.wait(time.monotonic()) if self.pace else 0

    def send(self) -> None:
        if self.load.stopping:
            raise StopUser
        self.load.under_way += 1
        try:
            self.send_one()
        finally:
            self.load.under_way -= 1


class Reviewer(Paced, FastHttpUser):
    """Records decisions."""

    network_timeout = connection_timeout = 10.0
    insecure = False
    weight = 1

    @task
    def record(self) -> None:
        self.send()

    def send_one(self) -> None:
        load = self.load
        call = load.call(self.lane)
        with self.client.post(
            load.url,
            data=call.body,
            headers=load.headers,
            name="HTTP record",
            catch_response=True,
            allow_redirects=False,
        ) as answer:
            if answer.status_code:
                wrong = load.answered(
                    call, Answer(answer.status_code, dict(answer.headers.items()), answer.content or b"")
                )
                if wrong is not None:
                    answer.failure(wrong)
            else:
                load.failed(call, answer.error)


class Publishing(Paced):
    def on_start(self) -> None:
        super().on_start()
        self.publisher = self.load.publisher()

    def on_stop(self) -> None:
        self.publisher.close()


class Detector(Publishing, User):
    """Publishes alerts as Aura does."""

    weight = 2

    @task
    def alert(self) -> None:
        self.send()

    def send_one(self) -> None:
        self.load.alert(self.publisher, self.lane)


class Trainer(Publishing, User):
    """Publishes finished RAG runs as Aura does."""

    weight = 1

    @task
    def rag_status(self) -> None:
        self.send()

    def send_one(self) -> None:
        self.load.rag_status(self.publisher, self.lane)


# ---- One worker, or the only process ---------------------------------------------------------------------------------


class Worker:
    """Its load, from the start of a test to its part of the ledger."""

    def __init__(self, environment: Any) -> None:
        given = environment.parsed_options
        read = options.read(given)
        clock, settings = WallClock(), Settings.from_environment({})
        index = max(environment.runner.worker_index, 0)
        self.environment = environment
        self.load = Load(
            given.run_id,
            index,
            options.target(given, environment.host, embedded=given.embedded),
            Traffic(read.seed + index, clock, read.ratio, settings),
            agreement.load(),
            clock,
            self.fire,
            Spool(clock) if read.history else None,
        )
        self.load.start()

    def fire(self, hop: str, took: float | None, size: int, error: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type=KINDS[hop],
            name=hop,
            response_time=None if took is None else took * 1000,
            response_length=size,
            exception=error,
            context={},
        )

    def part(self) -> Result:
        """Once its users have stopped."""
        self.environment.runner.stop()
        drained = self.load.drain()
        return self.load.stop(drained=drained)


class Master:
    """What comes of a test: the parts of the workers, or of the only process."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.began = datetime.now(UTC)
        self.redis = environment.parsed_options.redis_shown
        self.parts = Parts()
        self.results: list[Result] = []
        self.heard: dict[str, float] = {}
        """When a worker that takes part said something last."""
        self.done: set[str] = set()
        self.concluded = False
        self.worker: Worker | None = None
        """Where there is only one process."""

    def collect(self) -> None:
        """Wait for all parts, as long as their workers show that they live."""
        for client in self.heard:
            self.environment.runner.send_message("load-collect", None, client)
            self.heard[client] = time.monotonic()
        while missing := self.heard.keys() - self.done:
            if all(time.monotonic() - self.heard[client] > WAIT_FOR_WORKER for client in missing):
                break
            time.sleep(0.05)

    def conclude(self) -> None:
        if self.concluded:
            return
        self.concluded = True
        given = self.environment.parsed_options
        missing = dict.fromkeys(self.heard.keys() - self.done, "it is gone")
        if not self.results:
            if not failed:
                fail(self.environment, "no worker has taken part; give some time to connect (--expect-workers)")
            return
        result, read = merged(self.results), options.read(given)
        found = conclusion.conclude(result, missing, read, self.hops())
        target = options.target(given, self.environment.host, embedded=given.embedded)
        command = options.command(
            given, None if given.embedded else self.environment.host, given.num_users, given.run_time
        )
        run = described(target, agreement.load(), read.seed, self.redis, command)
        conclusion.write(result, found, self.parts, read, run, self.began)
        self.parts.close()
        print(f"\n{found.text}\n", flush=True)
        if found.exit_code:
            self.environment.process_exit_code = found.exit_code

    def hops(self) -> dict[str, Measured]:
        stats = self.environment.stats
        entries = {hop: stats.get(hop, kind) for hop, kind in KINDS.items()}
        return {
            hop: Measured(
                entry.get_response_time_percentile(0.95) / 1000,
                entry.total_rps,
                entry.num_requests - entry.num_none_requests,
            )
            for hop, entry in entries.items()
            if entry.num_requests
        }


def working() -> Worker | None:
    return state.worker if isinstance(state, Master) else state


def loaded() -> Load:
    worker = working()
    if worker is None:
        raise StopUser
    return worker.load


def fail(environment: Any, text: str) -> None:
    """Say it once, and end the run."""
    global failed
    if not failed:
        failed = text
        print(f"locustfile: {text}", file=sys.stderr, flush=True)
    environment.process_exit_code = HarnessError.exit_code
    gevent.spawn(environment.runner.quit)


# ---- What locust tells -----------------------------------------------------------------------------------------------


@events.init_command_line_parser.add_listener
def add_options(parser: Any, **_: Any) -> None:
    options.add(parser)


@events.init.add_listener
def prepare(environment: Any, runner: Any, **_: Any) -> None:
    """Everything that can be wrong is told before anything is sent."""
    if isinstance(runner, WorkerRunner):
        runner.register_message("load-collect", hand_over, concurrent=True)
        environment.events.quitting.add_listener(lambda environment, **_: hand_over(environment, None))
        if environment.parsed_options.processes:
            leave_interrupts_to_the_master()
        return
    try:
        begin(environment)
    except HarnessError as error:
        print(f"locustfile: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    if isinstance(runner, MasterRunner):
        for kind, listener in (
            ("load-here", here),
            ("load-history", history),
            ("load-part", part),
            ("load-failed", no),
        ):
            runner.register_message(kind, listener)


def begin(environment: Any) -> None:
    given = environment.parsed_options
    read = options.read(given)
    given.embedded = not environment.host
    if given.embedded:
        if given.redis_url:
            raise options.UsageError(
                "--redis-url (or HARNESS_REDIS_URL) is given without --host; give both, or none for a private Redis"
            )
        systems = held.enter_context(embedded())
        environment.host, given.redis_url = systems.aura_url, systems.redis_url
        given.synapse, given.secret, given.tenant = systems.synapse_url, systems.secret, "7"
    target = options.target(given, environment.host, embedded=given.embedded)
    redis = Server(target.redis_url)
    print(f"aura       {'simulated' if given.embedded else 'live'} at {target.aura.url}")
    print(f"synapse    {target.synapse.url if target.synapse else 'none is given: no hop broadcast'}")
    given.redis_shown = f"{redis.shown} (Redis {redis.version()})"
    print(f"redis      {given.redis_shown}")
    print(f"sends      {told(given, read)}", flush=True)


def told(given: Any, read: Any) -> str:
    pace = (
        "as fast as it goes: this measures throughput" if read.rate is None else f"{read.rate:g} a second of each user"
    )
    until = f"for {given.run_time} s" if given.run_time else "until Ctrl-C"
    leaves = "" if given.embedded else "; each action leaves a feedback line, each message a notification's row"
    return f"{given.num_users or 1} users, {pace}, {until}{leaves}"


@events.test_start.add_listener
def start(environment: Any, **_: Any) -> None:
    global state
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        try:
            state = Worker(environment)
        except HarnessError as error:
            runner.send_message("load-failed", {"text": str(error)})
            return
        runner.send_message("load-here", None)
        return
    environment.parsed_options.run_id = f"l{secrets.token_hex(3)}"
    print(f"ids        begin with {environment.parsed_options.run_id}-", flush=True)
    state = Master(environment)
    if isinstance(runner, LocalRunner):
        try:
            state.worker = Worker(environment)
        except HarnessError as error:
            fail(environment, str(error))


@events.test_stopping.add_listener
def stopping(environment: Any, **_: Any) -> None:
    """Before users are killed, who would leave calls without an answer."""
    worker = working()
    if worker is not None:
        worker.load.settle()


@events.test_stop.add_listener
def stop(environment: Any, **_: Any) -> None:
    if not isinstance(state, Master):
        return
    if worker := state.worker:
        state.results.append(worker.part())
        for lines in worker.load.history():
            state.parts.take(0, lines)
    else:
        state.collect()
    state.conclude()


@events.quitting.add_listener
def quitting(environment: Any, **_: Any) -> None:
    """Ctrl-C comes here first, and the ledger is wanted all the same."""
    if not isinstance(environment.runner, WorkerRunner):
        environment.runner.stop()


@events.quit.add_listener
def close(**_: Any) -> None:
    held.close()


# ---- Between master and workers --------------------------------------------------------------------------------------


def hand_over(environment: Any, msg: Any, **_: Any) -> None:
    """A worker's part: first what its hops have seen, which locust would report some seconds later."""
    global state
    worker, state = state, None
    runner = environment.runner
    if not isinstance(worker, Worker):
        return
    living = gevent.spawn(say_so, runner)
    try:
        result = worker.part()
        stats: dict[str, Any] = {}
        environment.events.report_to_master.fire(client_id=runner.client_id, data=stats)
        runner.send_message("stats", stats)
        for lines in worker.load.history():
            runner.send_message("load-history", {"lines": list(lines)})
        runner.send_message("load-part", result.to_json())
    finally:
        living.kill()


def say_so(runner: Any) -> None:
    while True:
        runner.send_message("load-here", None)
        gevent.sleep(1)


def here(environment: Any, msg: Any, **_: Any) -> None:
    if isinstance(state, Master):
        state.heard[msg.node_id] = time.monotonic()


def history(environment: Any, msg: Any, **_: Any) -> None:
    if isinstance(state, Master):
        state.parts.take(msg.node_id, msg.data["lines"])


def part(environment: Any, msg: Any, **_: Any) -> None:
    if isinstance(state, Master):
        state.heard.setdefault(msg.node_id, time.monotonic())
        state.results.append(Result.from_json(msg.data))
        state.done.add(msg.node_id)


def no(environment: Any, msg: Any, **_: Any) -> None:
    fail(environment, msg.data["text"])


def leave_interrupts_to_the_master() -> None:
    """A terminal's Ctrl-C reaches all processes of `--processes`; the first is the master's to act on."""
    seen = []

    def interrupted(number: int, frame: object) -> None:
        seen.append(number)
        if len(seen) > 1 or state is None:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)
