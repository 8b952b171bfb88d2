"""A load run in each of locust's processes: what it begins with, when its users stop, and how the parts of the workers
come together.

It is given locust's environment and calls what every environment has, so that it can be tried without locust.
"""

from __future__ import annotations

import atexit
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal

from harness import agreement
from harness.aura.settings import Settings
from harness.clock import WallClock
from harness.errors import HarnessError
from harness.ledger import Result, merged
from harness.load import options
from harness.load.conclusion import conclude, write
from harness.load.recording import Parts, Spool
from harness.load.redis_link import Server
from harness.load.run import Load, LostError, described
from harness.load.systems import embedded
from harness.load.thresholds import HOPS, Measured
from harness.load.traffic import Traffic

Role = Literal["local", "master", "worker"]
Environment = Any
"""Locust's."""
KINDS: Final = dict(zip(HOPS, ("POST", "REDIS", "DTO", "STOMP"), strict=True))
SENDS: Final = {
    "Reviewer": Settings().case_action_redis_channel,
    "Detector": Settings().workbench_alert_channel,
    "Trainer": Settings().workbench_rag_status_channel,
}
"""On which channel the messages of each class of users come."""
BROKEN: Final = 1
SILENT_SECONDS: Final = 15.0
"""Without a word from a worker that drains after which its part is given up."""
CONNECT_SECONDS: Final = 5.0
SAYS_SO_SECONDS: Final = 1.0
TICK: Final = 0.05
COLLECT, HERE, HISTORY, PART, FAILED = (f"load-{word}" for word in ("collect", "here", "history", "part", "failed"))


class Session:
    """Of one process. Its methods are locust's listeners."""

    def __init__(self) -> None:
        self._role: Role = "local"
        self._held = ExitStack()
        self._closing = threading.Lock()
        self._starting = threading.Lock()
        self._concluding = threading.Lock()
        self._redis = ""
        self._failed = ""
        self._ending = False
        self.load: Load | None = None
        """Of a process that has users, while there is a test."""
        self._test: _Test | None = None

    # ---- Before anything is sent ------------------------------------------------------------------------------------

    def prepare(self, environment: Environment, role: Role) -> None:
        """Everything that can be wrong is told now, and ends the process."""
        self._role = role
        runner = environment.runner
        if role == "worker":
            runner.register_message(COLLECT, self._hand_over, concurrent=True)
            environment.events.quitting.add_listener(self._hand_over)  # the last that is added is called first
            if environment.parsed_options.processes:
                self._take_interrupts(environment)
            return
        atexit.register(self.close)
        try:
            self._begin(environment)
        except HarnessError as error:
            print(f"locustfile: {error}", file=sys.stderr, flush=True)
            self._send_workers_home(environment)
            sys.exit(error.exit_code)
        self._take_interrupts(environment)
        if role == "master":
            listeners = {HERE: self._here, HISTORY: self._history, PART: self._part, FAILED: self._worker_failed}
            for kind, listener in listeners.items():
                runner.register_message(kind, listener)

    def _begin(self, environment: Environment) -> None:
        given = environment.parsed_options
        read = options.read(given)
        given.embedded = not environment.host
        if given.embedded:
            options.must_be_alone(given)
            systems = self._held.enter_context(embedded())
            environment.host, given.redis_url = systems.aura_url, systems.redis_url
            given.synapse, given.secret, given.token, given.tenant = systems.synapse_url, systems.secret, None, "7"
        target = options.target(given, environment.host, embedded=given.embedded)
        redis = Server(target.redis_url)
        self._redis = f"{redis.shown} (Redis {redis.version()})"
        seat = "simulated" if given.embedded else "live"
        print(f"aura       {seat} at {target.aura.url}")
        screen = (
            f"{seat} at {target.synapse.url}" if target.synapse else "none is given, so that no screen is looked at"
        )
        print(f"synapse    {screen}")
        print(f"redis      {self._redis}")
        print(f"sends      {options.told(given, read, embedded=given.embedded)}", flush=True)
        self._prove(environment)

    def _prove(self, environment: Environment) -> None:
        """Before the time of the run begins, and before there are users that would have to be sent home."""
        self._number(environment)
        load = self._load(environment, None)
        load.start()
        load.stop()

    def _number(self, environment: Environment) -> None:
        environment.parsed_options.run_id = f"l{secrets.token_hex(3)}"

    def _send_workers_home(self, environment: Environment) -> None:
        """Those of `--processes` would wait for a master that is no more; they connect first."""
        if self._role != "master":
            return
        runner, ends = environment.runner, time.monotonic() + CONNECT_SECONDS
        while len(runner.clients) < (environment.parsed_options.processes or 0) and time.monotonic() < ends:
            time.sleep(TICK)
        runner.quit()

    # ---- A test -----------------------------------------------------------------------------------------------------

    def start(self, environment: Environment, **_: object) -> None:
        self._ending = False
        if self._role == "worker":
            with self._showing_that_it_lives(environment.runner):
                self._start_load(environment)
            return
        self._number(environment)
        self._test = _Test()
        print(f"ids        begin with {environment.parsed_options.run_id}-", flush=True)
        if self._role == "local":
            with self._starting:
                self._start_load(environment)

    def _start_load(self, environment: Environment) -> None:
        read = options.read(environment.parsed_options)
        load = self._load(environment, Spool(WallClock()) if read.history else None)
        try:
            load.start()
        except HarnessError as error:
            if self._role == "worker":
                environment.runner.send_message(FAILED, {"text": str(error)})
            else:
                self._fail(environment, str(error))
        else:
            self.load = load

    def stopping(self, environment: Environment, **_: object) -> None:
        """Before users are killed, who would leave calls without an answer, and before a start is, which has to say
        what does not work."""
        self._ending = True
        with self._starting:
            pass
        if self.load is not None:
            self.load.settle()

    def stop(self, environment: Environment, **_: object) -> None:
        """Once no user is left. Of a worker, the master asks when it is so for all."""
        with self._concluding:
            self._stop(environment)

    def _stop(self, environment: Environment) -> None:
        test, self._test = self._test, None
        if test is None:
            return
        if self.load is not None:
            load, self.load = self.load, None
            test.results.append(load.stop(drained=load.drain()))
            for lines in load.history():
                test.parts.take(0, lines)
        elif self._role == "master":
            self._test = test  # whose parts are on their way
            self._collect(environment, test)
            self._test = None
        self._conclude(environment, test)

    def quitting(self, environment: Environment, **_: object) -> None:
        """Ctrl-C comes here first, and the ledger is wanted all the same."""
        if self._role != "worker":
            environment.runner.stop()
            with self._concluding:  # which another thread may be about
                pass

    def close(self, **_: object) -> None:
        """Locust may come to its end twice at once, in the thread of a signal and in its main one."""
        with self._closing:
            self._held.close()

    def _load(self, environment: Environment, spool: Spool | None) -> Load:
        given = environment.parsed_options
        read = options.read(given)
        worker = 0 if self._role == "master" else max(environment.runner.worker_index, 0)
        clock = WallClock()

        def fire(hop: str, took: float | None, size: int, error: Exception | None) -> None:
            environment.events.request.fire(
                request_type=KINDS[hop],
                name=hop,
                response_time=None if took is None else took * 1000,
                response_length=size,
                exception=error,
                context={},
            )

        return Load(
            given.run_id,
            worker,
            options.target(given, environment.host, embedded=given.embedded),
            Traffic(read.seed + worker, clock, read.ratio, Settings.from_environment({})),
            agreement.load(),
            clock,
            fire,
            spool,
            still=read.limits.quiet,
        )

    def _conclude(self, environment: Environment, test: _Test) -> None:
        given = environment.parsed_options
        if not test.results:
            if not self._failed:
                self._fail(environment, "no worker has taken part; see what the workers say")
            return
        read = options.read(given)
        result = merged(test.results)
        due = {each.__name__: SENDS[each.__name__] for each in environment.user_classes if each.__name__ in SENDS}
        missing = test.missing(environment.runner.get_worker_index) if self._role == "master" else {}
        found = conclude(result, missing, read, measured(environment.stats), due)
        run = described(
            options.target(given, environment.host, embedded=given.embedded),
            agreement.load(),
            read.seed,
            self._redis,
            options.command(given, None if given.embedded else environment.host),
        )
        write(result, found, test.parts, read, run, test.began)
        test.parts.close()
        print(f"\n{found.text}\n", flush=True)
        if found.faults:
            environment.process_exit_code = BROKEN
        elif not environment.runner.exceptions and only_losses(environment.stats):
            environment.process_exit_code = 0

    def _fail(self, environment: Environment, text: str) -> None:
        """Say it once, and end the run, unless it ends already; not from within, for this is one of its own threads."""
        if not self._failed:
            self._failed = text
            print(f"locustfile: {text}", file=sys.stderr, flush=True)
        environment.process_exit_code = HarnessError.exit_code
        if not self._ending:
            threading.Thread(target=environment.runner.quit, daemon=True).start()

    # ---- Between master and workers ---------------------------------------------------------------------------------

    def _collect(self, environment: Environment, test: _Test) -> None:
        """Wait for all parts, as long as their workers show that they live."""
        for client in tuple(test.heard):
            environment.runner.send_message(COLLECT, None, client)
            test.heard[client] = time.monotonic()
        while missing := test.heard.keys() - test.done - test.failed:
            if all(time.monotonic() - test.heard[client] > SILENT_SECONDS for client in missing):
                return
            time.sleep(TICK)

    def _hand_over(self, environment: Environment, **_: object) -> None:
        """A worker's part: before it what its hops have seen, which locust would report some seconds later."""
        load, self.load = self.load, None
        if load is None:
            return
        runner = environment.runner
        with self._showing_that_it_lives(runner):
            load.settle()
            runner.stop()
            result = load.stop(drained=load.drain())
            stats: dict[str, Any] = {}
            environment.events.report_to_master.fire(client_id=runner.client_id, data=stats)
            runner.send_message("stats", stats)
            for lines in load.history():
                runner.send_message(HISTORY, {"lines": list(lines)})
            runner.send_message(PART, result.to_json())

    @contextmanager
    def _showing_that_it_lives(self, runner: Any) -> Iterator[None]:
        """To the master, which waits for it."""
        over = threading.Event()

        def say_so() -> None:
            runner.send_message(HERE, None)
            while not over.wait(SAYS_SO_SECONDS):
                runner.send_message(HERE, None)

        threading.Thread(target=say_so, daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _here(self, environment: Environment, msg: Any) -> None:
        if self._test is not None:
            self._test.heard[msg.node_id] = time.monotonic()

    def _history(self, environment: Environment, msg: Any) -> None:
        if self._test is not None:
            self._test.parts.take(msg.node_id, msg.data["lines"])
            self._here(environment, msg)

    def _part(self, environment: Environment, msg: Any) -> None:
        if self._test is not None:
            self._test.results.append(Result.from_json(msg.data))
            self._test.done.add(msg.node_id)
            self._here(environment, msg)

    def _worker_failed(self, environment: Environment, msg: Any) -> None:
        if self._test is not None:
            self._test.failed.add(msg.node_id)
        self._fail(environment, msg.data["text"])

    def _take_interrupts(self, environment: Environment) -> None:
        """An interrupt is raised in whatever code runs just then, and would end the subscriber as likely as the run. So
        the first one of a test only ends it, and its ledger is told; a worker of `--processes`, which a terminal's
        Ctrl-C reaches, too, leaves it to the master. The second one is raised."""
        asked = False

        def interrupted(number: int, frame: object) -> None:
            nonlocal asked
            if asked or (self._test is None and self.load is None):
                raise KeyboardInterrupt
            asked = True

        def wait() -> None:  # for a handler of a signal can begin nothing
            while not asked:
                time.sleep(TICK)
            if not self._ending:
                self._end(environment)

        signal.signal(signal.SIGINT, interrupted)
        if self._role != "worker":
            threading.Thread(target=wait, name="load interrupt", daemon=True).start()

    def _end(self, environment: Environment) -> None:
        environment.runner.quit()
        if environment.web_ui is not None:
            environment.web_ui.stop()


class _Test:
    """What comes of a test: the parts of the workers, or of the only process."""

    def __init__(self) -> None:
        self.began = datetime.now(UTC)
        self.parts = Parts()
        self.results: list[Result] = []
        self.heard: dict[str, float] = {}
        """When a worker that takes part said something last."""
        self.done: set[str] = set()
        self.failed: set[str] = set()
        """Who could not begin, and has said why."""

    def missing(self, index: Callable[[str], int]) -> Mapping[str, str]:
        """By number and by locust's name."""
        return {f"{index(client)} ({client})": "it is gone" for client in sorted(self.heard.keys() - self.done)}


def measured(stats: Any) -> dict[str, Measured]:
    """Locust's own figures of each hop that anything reached."""
    entries = {hop: stats.entries.get((hop, kind)) for hop, kind in KINDS.items()}
    return {
        hop: Measured(
            p95=entry.get_response_time_percentile(0.95) / 1000,
            rate=entry.total_rps * (entry.num_requests - entry.num_failures) / max(entry.num_requests, 1),
            count=entry.num_requests - entry.num_none_requests,
        )
        for hop, entry in entries.items()
        if entry is not None
    }


def only_losses(stats: Any) -> bool:
    """Whether all that failed was lost: so many may be, and locust would end with 1 for the first. It has failures as
    exceptions, and those of workers as text."""
    return bool(stats.errors) and all(LostError.__name__ in repr(each.error) for each in stats.errors.values())
