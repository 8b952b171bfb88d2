"""Opens the SQLite databases of the simulated Synapse, all in the same way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from harness.errors import HarnessError


def open_database(path: Path | None, *tables: str) -> sqlite3.Connection:
    """In memory without a path, and then of its own; every statement is a transaction unless one is begun.

    `tables` are created where they are missing. Raises HarnessError for a file that is no database or cannot be opened.
    """
    try:
        database = sqlite3.connect(path or ":memory:", isolation_level=None)
        # Nobody needs the rows of a simulation after a power cut, and every message is a transaction.
        database.execute("PRAGMA synchronous = OFF")
        for table in tables:
            database.execute(table)
    except sqlite3.Error as error:
        raise HarnessError(
            f"{path}: SQLite cannot use this as its database ({error}); give another NOTIFICATION_DATABASE_PATH, "
            "or none to keep the rows in memory"
        ) from error
    return database
