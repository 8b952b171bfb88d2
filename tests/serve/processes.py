"""`aura-harness serve` as a process of its own, as people start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

FIRST, LAST = "serving", "call"


@dataclass(frozen=True, slots=True)
class Served:
    process: subprocess.Popen[bytes]
    printed: Path
    greeting: dict[str, str]

    @property
    def url(self) -> str:
        return self.greeting[FIRST].split()[0]

    @property
    def redis_url(self) -> str:
        return self.greeting["redis"].split()[0]

    @property
    def lines(self) -> list[str]:
        return self.printed.read_text(encoding="utf-8").splitlines()

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return httpx2.get(f"{self.url}{path}", headers=_named(headers), timeout=30)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        return httpx2.post(f"{self.url}{path}", json=body, headers=_named(headers), timeout=30)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=10)


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HARNESS_")}
    return {**kept, "PYTHONIOENCODING": "utf-8", **settings}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "harness.cli", "serve", *arguments]


@contextmanager
def served(*arguments: str, port: str = "0", **settings: str) -> Iterator[Served]:
    """Entered when it answers, left when it is gone, and with it what it started."""
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder, "printed")
        with printed.open("wb") as out:
            process = subprocess.Popen(
                command("--port", port, *arguments), stdout=out, stderr=subprocess.STDOUT, env=environment(**settings)
            )
        with process:
            try:
                yield Served(process, printed, _greeting(process, printed))
            finally:
                if process.poll() is None:
                    process.terminate()


def _greeting(process: subprocess.Popen[bytes], printed: Path) -> dict[str, str]:
    """By label; it is complete with the last one."""
    while process.poll() is None:
        lines = printed.read_text(encoding="utf-8").splitlines(keepends=True)
        found = dict(line.strip().split(maxsplit=1) for line in lines if line.endswith("\n"))
        if LAST in found:
            return found
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(printed.read_text(encoding="utf-8"))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
