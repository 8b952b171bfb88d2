"""Fixtures of all tests: the agreement, and a Redis that is once embedded and once real."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

# Loaded before anything else: pytester forgets the modules that a test of its own loads first, and rich, which is asked
# whether it knows a thing, then meets another copy of its own classes.
import harness.report.terminal  # noqa: F401
from harness import agreement
from harness.agreement import Agreement
from harness.redis_server import private_server


@pytest.fixture(scope="session")
def agreed() -> Agreement:
    return agreement.load()


@pytest.fixture(scope="session")
def real_redis() -> Iterator[str]:
    """The URL of a real redis-server of our own."""
    with private_server() as server:
        yield server.url


@pytest.fixture(params=["fake", "real"])
def redis_url(request: pytest.FixtureRequest) -> str | None:
    """None for the embedded Redis, the URL of a real one: whoever asks for it is tested on both."""
    if request.param == "fake":
        return None
    url: str = request.getfixturevalue("real_redis")
    return url


@pytest.fixture
def unanswering() -> Iterator[str]:
    """The URL of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"
