"""Load on the publish path: reviewers post actions, a detector and a trainer publish as Aura does, and every message is
accounted for at every hop. What they do is in `harness/load`; here it is given to locust.

    locust -f locustfile.py --headless -u 20 -t 15s
"""

from __future__ import annotations

import logging
import time
from typing import Any

from locust import FastHttpUser, User, events, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from harness.load import options
from harness.load.run import Answer, Load
from harness.load.session import Session
from harness.load.thresholds import RECORD
from harness.load.traffic import Pace

session = Session()
logging.getLogger("httpx2").setLevel(logging.WARNING)


class Paced(User):
    """A user who sends at a pace, and whom nobody stops while a message of theirs is under way."""

    abstract = True

    def on_start(self) -> None:
        self.load = session.load
        if self.load is not None:
            self.begin(self.load)

    def begin(self, load: Load) -> None:
        self.lane = load.lane()
        rate = options.read(self.environment.parsed_options).rate
        self.pace = Pace(rate, self.lane, time.monotonic()) if rate else None
        time.sleep(self.wait_time())

    def wait_time(self) -> float:
        return self.pace.wait(time.monotonic()) if self.pace else 0

    @task
    def send(self) -> None:
        if self.load is None or self.load.stopping:  # None: it could not begin, and has said why
            raise StopUser
        with self.load.sending():
            self.send_one(self.load)

    def send_one(self, load: Load) -> None:
        raise NotImplementedError


class Reviewer(Paced, FastHttpUser):
    """Records decisions."""

    network_timeout = connection_timeout = 10.0
    insecure = False
    weight = 1

    def send_one(self, load: Load) -> None:
        call = load.call(self.lane)
        with self.client.post(
            load.url,
            data=call.body,  # type: ignore[arg-type] # bytes are taken as they are
            headers=dict(load.headers),
            name=RECORD,
            catch_response=True,
            allow_redirects=False,
        ) as answer:
            if not answer.status_code:
                load.failed(call, answer.error)
                return
            headers = dict(answer.headers.items())
            wrong = load.answered(call, Answer(answer.status_code, headers, answer.content or b""))
            if wrong is not None:
                answer.failure(wrong)


class Publishing(Paced):
    abstract = True

    def begin(self, load: Load) -> None:
        self.publisher = load.publisher()
        super().begin(load)

    def on_stop(self) -> None:
        if self.load is not None:
            self.publisher.close()


class Detector(Publishing):
    """Publishes alerts as Aura does."""

    weight = 2

    def send_one(self, load: Load) -> None:
        load.alert(self.publisher, self.lane)


class Trainer(Publishing):
    """Publishes finished RAG runs as Aura does."""

    weight = 1

    def send_one(self, load: Load) -> None:
        load.rag_status(self.publisher, self.lane)


def prepare(environment: Any, runner: Any, **_: Any) -> None:
    workers = isinstance(runner, WorkerRunner)
    session.prepare(environment, "worker" if workers else "master" if isinstance(runner, MasterRunner) else "local")


hooks: Any = events
hooks.init_command_line_parser.add_listener(options.add)
hooks.init.add_listener(prepare)
hooks.test_start.add_listener(session.start)
hooks.test_stopping.add_listener(session.stopping)
hooks.test_stop.add_listener(session.stop)
hooks.quitting.add_listener(session.quitting)
hooks.quit.add_listener(session.close)
