"""The messages that broken consumers are tried with."""

from __future__ import annotations

import pytest

from harness.clock import Ids
from harness.messages import borders, extras, hostilities, incomplete, ordinary, twice

Message = tuple[str, bytes]


@pytest.fixture(scope="session")
def generated() -> list[Message]:
    """Of every kind some: a fifth of the incomplete ones is enough, and saves the time."""
    ids = Ids("h1")
    several = [*ordinary(1, ids, 2), *list(incomplete(1, ids))[::5], *extras(1, ids), *borders(1, ids)]
    return [(one.channel, one.wire) for one in (*several, *twice(1, ids), *hostilities(1, ids))]
