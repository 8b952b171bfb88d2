"""What the ledger costs: locust flat out on a private Redis, every message published, received, mapped and told to
locust, once with its ledger and once with a blank one, in turn. Prints messages a second of locust's own processor
time, which others on the machine disturb least, and the ratio.

    python benchmarks/ledger.py [ROUNDS [SECONDS]]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Any

from harness import agreement
from harness.clock import WallClock
from harness.ledger import Ledger
from harness.live.aura import AuraTarget
from harness.load.run import Load, Target
from harness.load.traffic import Ratio, Traffic
from harness.redis_server import private_server

USERS = 50
CHANNEL = "workbench:alert"
SECRET = "a-secret-of-more-than-32-bytes-in-all"


class Blank(Ledger):
    """Numbers messages, and knows nothing of them."""

    def __init__(self) -> None:
        super().__init__("l1", 0)
        self.received = 0
        self._next = 0

    def __len__(self) -> int:
        return self._next

    def send(self, channel: str, lane: int, at: float) -> int:
        self._next += 1
        return self._next - 1

    def sent_at(self, seq: int) -> float:
        return 0.0

    def channel(self, seq: int) -> str:
        return CHANNEL

    def accepted(self, seq: int, at: float) -> None:
        pass

    def delivered(self, seq: int) -> bool:
        self.received += 1
        return True


def main(rounds: int, seconds: float) -> None:
    rates: dict[str, list[float]] = {"blank": [], "ledger": []}
    with private_server() as server:
        for _ in range(rounds):
            for kind, told in rates.items():
                environment = {**os.environ, "LEDGER": kind, "HARNESS_REDIS_URL": server.url}
                command = [
                    sys.executable,
                    "-m",
                    "locust",
                    "-f",
                    __file__,
                    "--headless",
                    "--only-summary",
                    "-L",
                    "ERROR",
                ]
                run = subprocess.run(
                    [*command, "-u", str(USERS), "-r", "1000", "-t", f"{seconds:g}s"],
                    check=True,
                    capture_output=True,
                    text=True,
                    env=environment,
                )
                (line,) = (line for line in run.stdout.splitlines() if line.startswith("received"))
                told.append(float(line.split()[1]))
    for kind, told in rates.items():
        print(f"{kind:8}{'  '.join(f'{rate:8,.0f}' for rate in told)}  messages a second of processor time")
    ratios = [with_it / without for with_it, without in zip(rates["ledger"], rates["blank"], strict=True)]
    print(f"ratio   {'  '.join(f'{ratio:8.3f}' for ratio in ratios)}  median {statistics.median(ratios):.3f}")


def users(kind: str) -> type[Any]:
    """The users of one run, in locust's process, which is the only one that may import it."""
    from locust import User, events, task

    hooks: Any = events
    clock = WallClock()
    target = Target(os.environ["HARNESS_REDIS_URL"], AuraTarget("http://127.0.0.1:1/aura", secret=SECRET), None, True)

    def fire(hop: str, took: float | None, size: int, error: Exception | None) -> None:
        hooks.request.fire(
            request_type="REDIS",
            name=hop,
            response_time=None if took is None else took * 1000,
            response_length=size,
            exception=error,
            context={},
        )

    load = Load("l1", 0, target, Traffic(1, clock, Ratio()), agreement.load(), clock, fire)
    if kind == "blank":
        load.ledger = Blank()

    class Detector(User):
        def on_start(self) -> None:
            self.publisher = load.publisher()
            self.lane = load.lane()

        def wait_time(self) -> float:
            return 0.0

        @task
        def alert(self) -> None:
            load.alert(self.publisher, self.lane)

    def stop(**_: object) -> None:
        time.sleep(0.5)  # what is under way still comes
        ledger = load.ledger
        received = ledger.received if isinstance(ledger, Blank) else ledger.result().total.delivery.reached
        print(f"received {received / (time.process_time() - began[0])} a second", flush=True)

    def start(**_: object) -> None:
        load.listen()
        began.append(time.process_time())

    began: list[float] = []
    hooks.test_start.add_listener(start)
    hooks.test_stop.add_listener(stop)
    return Detector


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["5"])[0]), float((sys.argv[2:] or ["4"])[0]))
elif "LEDGER" in os.environ:
    Detector = users(os.environ["LEDGER"])
