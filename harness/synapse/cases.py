"""Cases, their documents and what was decided about them, in tables that belong to the backend alone.

A decision writes its history and the status of the documents in one transaction, so that nobody sees one without
the other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.synapse.database import open_database
from harness.synapse.instant import Instant
from harness.synapse.java import LONG_MAX, LONG_MIN

OPEN: Final = "OPEN"
APPROVED: Final = "APPROVED"
REJECTED: Final = "REJECTED"

_TABLES: Final = (
    """
    CREATE TABLE IF NOT EXISTS cases (
        tenant_id INTEGER NOT NULL,
        case_id TEXT NOT NULL,
        status TEXT NOT NULL,
        PRIMARY KEY (tenant_id, case_id)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS fi_doc_header (
        tenant_id INTEGER NOT NULL,
        doc_key TEXT NOT NULL,
        case_id TEXT NOT NULL,
        status_code TEXT NOT NULL,
        PRIMARY KEY (tenant_id, doc_key)
    )
    """,
    "CREATE INDEX IF NOT EXISTS fi_doc_header_case ON fi_doc_header (tenant_id, case_id)",
    """
    CREATE TABLE IF NOT EXISTS case_action_history (
        history_id INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant_id INTEGER NOT NULL,
        case_id TEXT NOT NULL,
        request_id TEXT NOT NULL,
        executor_id TEXT NOT NULL,
        approved INTEGER NOT NULL,
        comment TEXT,
        doc_key TEXT,
        fi_doc_updated INTEGER NOT NULL,
        created_at INTEGER NOT NULL -- microseconds since 1970, which sort
    )
    """,
    "CREATE INDEX IF NOT EXISTS case_action_history_case ON case_action_history (tenant_id, case_id)",
    "CREATE INDEX IF NOT EXISTS case_action_history_time ON case_action_history (tenant_id, created_at)",
)
_HISTORY: Final = """
    SELECT
        history_id, tenant_id, case_id, request_id, executor_id, approved, comment, doc_key, fi_doc_updated, created_at
    FROM case_action_history
"""
_INSERT: Final = """
    INSERT INTO case_action_history
        (tenant_id, case_id, request_id, executor_id, approved, comment, doc_key, fi_doc_updated, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OPEN_OF_CASE: Final = "tenant_id = ? AND case_id = ? AND status_code = ?"


class Unknown(Exception):
    """This tenant has no such case or document."""


class AlreadyDecided(Exception):
    """A decision that was taken stands."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decides, about one document of a case or, without a `doc_key`, about all of it."""

    tenant_id: int
    case_id: str
    request_id: str
    executor_id: str
    approved: bool
    comment: str | None = None
    doc_key: str | None = None

    @property
    def action_type(self) -> str:
        return "APPROVE" if self.approved else "REJECT"

    @property
    def status_code(self) -> str:
        """As messages name it; a document's row may say it otherwise."""
        return APPROVED if self.approved else REJECTED


@dataclass(frozen=True, slots=True)
class Action:
    """A decision that was taken: a row of `case_action_history`."""

    history_id: int
    decision: Decision
    fi_doc_updated: int
    """How many documents took its status."""
    created_at: Instant


@dataclass(frozen=True, slots=True)
class Document:
    tenant_id: int
    doc_key: str
    case_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Case:
    """`history` begins with the oldest action."""

    tenant_id: int
    case_id: str
    status: str
    documents: Sequence[Document]
    history: Sequence[Action]


class Cases:
    def __init__(self, path: Path | None = None, approved_status: str = APPROVED) -> None:
        """`approved_status`: how the rows, not the messages, name an approval: APPROVED, or FINALIZED as deployed."""
        self.database = open_database(path, *_TABLES)
        self._approved_status = approved_status

    def close(self) -> None:
        self.database.close()

    def create(self, tenant: int, case_id: str, documents: Iterable[str] = ()) -> None:
        """An open case with open documents, given by their keys. ValueError where one of them exists already."""
        try:
            with self._transaction() as database:
                database.execute("INSERT INTO cases VALUES (?, ?, ?)", (tenant, case_id, OPEN))
                rows = [(tenant, doc_key, case_id, OPEN) for doc_key in documents]
                database.executemany("INSERT INTO fi_doc_header VALUES (?, ?, ?, ?)", rows)
        except sqlite3.IntegrityError as error:
            raise ValueError(f"case {case_id} of tenant {tenant}: it exists, or one of its documents does") from error

    def knows(self, tenant: int, case_id: str) -> bool:
        try:
            self._case_status(tenant, case_id)
        except Unknown:
            return False
        return True

    def case(self, tenant: int, case_id: str) -> Case:
        """Raises Unknown."""
        status = self._case_status(tenant, case_id)
        of_case = "WHERE tenant_id = ? AND case_id = ?"
        documents = self.database.execute(
            f"SELECT tenant_id, doc_key, case_id, status_code FROM fi_doc_header {of_case} ORDER BY rowid",
            (tenant, case_id),
        )
        history = self.database.execute(f"{_HISTORY} {of_case} ORDER BY history_id", (tenant, case_id))
        return Case(
            tenant, case_id, status, tuple(Document(*row) for row in documents), tuple(_action(row) for row in history)
        )

    def document(self, tenant: int, doc_key: str) -> Document:
        """Raises Unknown."""
        row = self.database.execute(
            "SELECT tenant_id, doc_key, case_id, status_code FROM fi_doc_header WHERE tenant_id = ? AND doc_key = ?",
            (tenant, doc_key),
        ).fetchone()
        if row is None:
            raise Unknown(f"There is no document {doc_key}")
        return Document(*row)

    def recent(self, tenant: int, since: Instant | None = None) -> Sequence[Action]:
        """Oldest first; `since` is included, so that who asks from the last one on misses none of the same moment."""
        rows = self.database.execute(
            f"{_HISTORY} WHERE tenant_id = ? AND created_at >= ? ORDER BY created_at, history_id",
            (tenant, LONG_MIN if since is None else _microseconds(since)),
        )
        return tuple(_action(row) for row in rows)

    def decide(self, decision: Decision, now: Instant) -> Action:
        """Writes history and status, both or neither.

        The documents that are still open take the decision's status, and with the last of them the case does. Raises
        Unknown, and AlreadyDecided where the document, or without one the case, is open no more.
        """
        with self._transaction() as database:
            self._must_be_open(decision)
            updated = self._set_status(decision)
            values = (
                *(decision.tenant_id, decision.case_id, decision.request_id, decision.executor_id, decision.approved),
                *(decision.comment, decision.doc_key, updated, _microseconds(now)),
            )
            history_id = database.execute(_INSERT, values).lastrowid
        assert history_id is not None
        return Action(history_id, decision, updated, now)

    def _transaction(self) -> sqlite3.Connection:
        """Entered, it commits on leaving, or rolls back where an exception leaves it."""
        self.database.execute("BEGIN IMMEDIATE")
        return self.database

    def _must_be_open(self, decision: Decision) -> None:
        status, what = self._case_status(decision.tenant_id, decision.case_id), f"Case {decision.case_id}"
        if decision.doc_key is not None:
            document = self.document(decision.tenant_id, decision.doc_key)
            if document.case_id != decision.case_id:
                raise Unknown(f"Case {decision.case_id} has no document {decision.doc_key}")
            status, what = document.status, f"Document {decision.doc_key}"
        if status != OPEN:
            raise AlreadyDecided(f"{what} is decided already: {status}")

    def _set_status(self, decision: Decision) -> int:
        """How many documents took it."""
        tenant, case_id = decision.tenant_id, decision.case_id
        status = self._approved_status if decision.approved else REJECTED
        updated = self.database.execute(
            f"UPDATE fi_doc_header SET status_code = ? WHERE {_OPEN_OF_CASE} AND doc_key = coalesce(?, doc_key)",
            (status, tenant, case_id, OPEN, decision.doc_key),
        ).rowcount
        self.database.execute(
            "UPDATE cases SET status = ? WHERE tenant_id = ? AND case_id = ? "
            f"AND NOT EXISTS (SELECT 1 FROM fi_doc_header WHERE {_OPEN_OF_CASE})",
            (status, tenant, case_id, tenant, case_id, OPEN),
        )
        return updated

    def _case_status(self, tenant: int, case_id: str) -> str:
        row = self.database.execute(
            "SELECT status FROM cases WHERE tenant_id = ? AND case_id = ?", (tenant, case_id)
        ).fetchone()
        if row is None:
            raise Unknown(f"There is no case {case_id}")
        return str(row[0])


def _action(row: Sequence[Any]) -> Action:
    history_id, tenant, case_id, request_id, executor_id, approved, comment, doc_key, updated, micros = row
    decision = Decision(tenant, case_id, request_id, executor_id, bool(approved), comment, doc_key)
    seconds, micros = divmod(micros, 1_000_000)
    return Action(history_id, decision, updated, Instant(seconds, micros * 1000))


def _microseconds(instant: Instant) -> int:
    """As a column of 64 bits holds it, which not every instant fits."""
    return max(LONG_MIN, min(instant.seconds * 1_000_000 + instant.nanos // 1000, LONG_MAX))
