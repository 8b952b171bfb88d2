"""Locust in a process of its own, for it changes the one that imports it; and who sees all that is published."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "locust", "-f", str(ROOT / "locustfile.py"), "--headless", "--only-summary")
NEEDED = pytest.mark.skipif(
    importlib.util.find_spec("locust") is None,
    reason="locust is not installed: pip install 'aura-synapse-harness[load]'",
)


def alone() -> dict[str, str]:
    """The environment without what whoever runs the tests has set for the harness."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}


@dataclass(slots=True)
class Run:
    """One that was started: `said` is what it says at first, by the first word of each line."""

    process: subprocess.Popen[str]
    ledger: Path
    history: Path
    said: dict[str, str] = field(default_factory=dict)
    rest: str = ""

    @property
    def redis_url(self) -> str:
        return self.said["redis"].split()[0]

    @property
    def id(self) -> str:
        return self.said["ids"].split()[-1].rstrip("-")

    def end(self) -> int:
        """Its exit code."""
        self.rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode

    def told(self) -> dict[str, Any]:
        """Its ledger."""
        ledger: dict[str, Any] = json.loads(self.ledger.read_text(encoding="utf-8"))
        return ledger


@contextmanager
def locust(folder: Path, *arguments: str) -> Iterator[Run]:
    """Entered when it begins to send."""
    ledger, history = folder / "ledger.json", folder / "history.jsonl"
    process = subprocess.Popen(
        [*COMMAND, "--ledger", str(ledger), "--history", str(history), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=alone(),
    )
    run = Run(process, ledger, history)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            word, _, rest = line.partition(" ")
            run.said[word] = rest.strip()
            run.rest += line
            if word == "ids":
                break
        yield run
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=30)


class Onlooker:
    """Subscribed beside the load, on a connection that nobody cuts: what it saw was published."""

    def __init__(self, redis_url: str, run: str) -> None:
        self._client = redis.Redis.from_url(redis_url)
        self._pubsub = self._client.pubsub()  # type: ignore[no-untyped-call]
        self._mark = f'"{run}-w'.encode()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._enough = threading.Condition()
        self.seen = 0

    def __enter__(self) -> Onlooker:
        self._pubsub.psubscribe("workbench:*")
        assert self._pubsub.get_message(timeout=5) is not None
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def wait_for(self, more: int) -> None:
        with self._enough:
            wanted = self.seen + more
            assert self._enough.wait_for(lambda: self.seen >= wanted, 20), f"{self.seen} of {wanted} were published"

    def _watch(self) -> None:
        try:
            for message in self._pubsub.listen():
                if message["type"] == "pmessage" and self._mark in message["data"] and b"-probe" not in message["data"]:
                    with self._enough:
                        self.seen += 1
                        self._enough.notify_all()
        except (redis.RedisError, OSError, ValueError):
            return
