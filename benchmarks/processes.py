"""What runs beside the measuring one, ended by its own handle."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def started(*arguments: str) -> Iterator[str]:
    """The first line that `python -m` with these arguments prints, which says that it is ready."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline().strip()
            assert line, f"{' '.join(arguments)} ended before it was ready"
            yield line
        finally:
            process.terminate()
