"""What an embedded load run loads: a private Redis, and the simulated Aura and Synapse, each a process of its own."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from harness.errors import HarnessError
from harness.redis_server import private_server

UP_SECONDS: Final = 20.0
STOP_SECONDS: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
"""Loaded here, for between fork and exec nothing may be."""


@dataclass(frozen=True, slots=True)
class Systems:
    """Where they are."""

    redis_url: str
    aura_url: str
    synapse_url: str
    secret: str


@contextmanager
def embedded() -> Iterator[Systems]:
    """Started, and stopped at the end; on Linux they end with us, too, where we are killed, if our main thread called
    this. Two processes, for two cores. Raises HarnessError when one does not come up."""
    secret = secrets.token_hex(32)
    with private_server(_ends_with_us) as redis, ExitStack() as held:
        urls = {seat: held.enter_context(_served(seat, redis.url, secret)) for seat in ("aura", "synapse")}
        for seat, url in urls.items():
            _await_up(seat, url)
        yield Systems(redis.url, f"{urls['aura']}/aura", urls["synapse"], secret)


@contextmanager
def _served(seat: str, redis_url: str, secret: str) -> Iterator[str]:
    """Its address, which is in the first line that it prints."""
    command = [sys.executable, "-m", "harness.cli", "serve", "--seats", seat, "--port", "0", "--redis", redis_url]
    # Of a process group of its own: Ctrl-C is for us, and it goes on until all is accounted for.
    process = subprocess.Popen(
        [*command, "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
        env={**os.environ, "JWT_SECRET": secret},
        preexec_fn=_ends_with_us,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        if len(line) < 2 or line[0] != "serving":
            said = " ".join([*line, *process.stdout.read().split()])
            raise HarnessError(f"the simulated {seat} did not come up: {said or 'it said nothing'}")
        yield line[1]
    finally:
        _stop(process)


def _ends_with_us() -> None:
    """In the process that begins."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(process: subprocess.Popen[str]) -> None:
    with process:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _await_up(seat: str, url: str) -> None:
    ends = time.monotonic() + UP_SECONDS
    while time.monotonic() < ends:
        try:
            with urllib.request.urlopen(f"{url}/_harness/health", timeout=1) as answer:
                if json.load(answer)["status"] == "up":
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise HarnessError(f"the simulated {seat} at {url} was not up within {UP_SECONDS:g} s")
