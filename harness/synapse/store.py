"""The table `sys_notifications` in SQLite, which keeps of a notification what PostgreSQL and its driver would keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from harness.synapse.database import open_database
from harness.synapse.instant import Instant
from harness.synapse.node import Tree
from harness.synapse.notification import NotificationDto, check_columns
from harness.synapse.reader import read_tree
from harness.synapse.writer import write

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS sys_notifications (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant_id INTEGER NOT NULL,
        user_id INTEGER,
        title TEXT NOT NULL,
        content TEXT,
        type TEXT NOT NULL,
        channel TEXT NOT NULL,
        occurred_at TEXT NOT NULL,
        created_at TEXT NOT NULL,
        read_at TEXT,
        payload TEXT
    )
"""
_INSERT: Final = """
    INSERT INTO sys_notifications
        (tenant_id, user_id, title, content, type, channel, occurred_at, created_at, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SELECT: Final = """
    SELECT tenant_id, title, content, type, channel, occurred_at, payload, id, user_id, created_at, read_at
    FROM sys_notifications
"""


@dataclass(frozen=True, slots=True)
class Page:
    """`number` counts from 0; `total` is of rows, over all pages."""

    content: Sequence[NotificationDto]
    number: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        return -(-self.total // self.size)


class Store(Protocol):
    def save(self, dto: NotificationDto, now: Instant) -> NotificationDto:
        """The DTO with id and time of creation, else as it was given: a row that is read back may differ from it.

        Raises `Unstorable`, and then nothing is stored.
        """

    def page(self, tenant: int, number: int, size: int) -> Page:
        """The rows of exactly this tenant, newest first."""

    def tenant_of(self, row: int) -> int | None:
        """None where there is no such row."""

    def mark_read(self, row: int, now: Instant) -> None: ...

    def mark_all_read(self, tenant: int, user: int | None, now: Instant) -> int:
        """How many were unread; without a user those of all users and of none."""


class SqliteStore:
    def __init__(self, path: Path | None = None) -> None:
        """In memory without a path. Raises HarnessError for a file that is no database or cannot be opened."""
        self._database = open_database(path, _TABLE)

    def close(self) -> None:
        self._database.close()

    def save(self, dto: NotificationDto, now: Instant) -> NotificationDto:
        check_columns(dto)
        values = (
            dto.tenant_id,
            dto.user_id,
            *map(_text, (dto.title, dto.content, dto.type, dto.channel)),
            _timestamp(dto.occurred_at),
            _timestamp(now),
            # Written as JSON, half a surrogate pair is an escape, which any database holds.
            None if dto.payload is None else write(dto.payload).decode(),
        )
        row = self._database.execute(_INSERT, values).lastrowid
        assert row is not None
        return dto.stored(row, now)

    def page(self, tenant: int, number: int, size: int) -> Page:
        total = self._database.execute("SELECT count(*) FROM sys_notifications WHERE tenant_id = ?", (tenant,))
        # Ids rise as the time of creation does, and decide between rows of the same moment.
        rows = self._database.execute(
            f"{_SELECT} WHERE tenant_id = ? ORDER BY id DESC LIMIT ? OFFSET ?", (tenant, size, number * size)
        )
        return Page(tuple(map(_notification, rows)), number, size, total.fetchone()[0])

    def tenant_of(self, row: int) -> int | None:
        found = self._database.execute("SELECT tenant_id FROM sys_notifications WHERE id = ?", (row,)).fetchone()
        return None if found is None else int(found[0])

    def mark_read(self, row: int, now: Instant) -> None:
        self._database.execute("UPDATE sys_notifications SET read_at = ? WHERE id = ?", (_timestamp(now), row))

    def mark_all_read(self, tenant: int, user: int | None, now: Instant) -> int:
        update = "UPDATE sys_notifications SET read_at = ? WHERE tenant_id = ? AND read_at IS NULL"
        if user is None:
            return self._database.execute(update, (_timestamp(now), tenant)).rowcount
        return self._database.execute(f"{update} AND user_id = ?", (_timestamp(now), tenant, user)).rowcount


def _notification(row: Sequence[Any]) -> NotificationDto:
    tenant, title, content, type_, channel, occurred_at, payload, id_, user, created_at, read_at = row
    return NotificationDto(
        tenant_id=tenant,
        title=title,
        content=content,
        type=type_,
        channel=channel,
        occurred_at=_instant(occurred_at),
        payload=None if payload is None else _object(payload),
        id=id_,
        user_id=user,
        created_at=_instant(created_at),
        read_at=None if read_at is None else _instant(read_at),
    )


def _text(text: str) -> str:
    """As the driver sends it: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def _timestamp(instant: Instant) -> str:
    """A timestamptz holds microseconds, to which the driver rounds."""
    seconds, micros = divmod((instant.nanos + 500) // 1000, 1_000_000)
    return str(Instant(instant.seconds + seconds, micros * 1000))


def _instant(text: str) -> Instant:
    instant = Instant.parse(text)
    assert instant is not None, text
    return instant


def _object(text: str) -> dict[str, Tree]:
    tree = read_tree(text)
    assert isinstance(tree, dict), text
    return tree
