"""What the workbench asks of Synapse's REST interface, and what it reads in the answers.

The documents name neither paths nor fields for this, so what is not there is read as nothing instead of an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote


def case_path(case_id: str) -> str:
    return f"/api/synapse/cases/{quote(case_id, safe='')}"


def document_path(doc_key: str) -> str:
    return f"/api/synapse/documents/{quote(doc_key, safe='')}"


def recent_path(since: datetime) -> str:
    """Cut to milliseconds, which is all that some servers keep: an action is better found twice than missed."""
    instant = since.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"/api/synapse/actions/recent?since={quote(instant)}Z"


def status(answer: Any) -> str | None:
    """Of a case or a document."""
    found = _data(answer).get("status")
    return found if isinstance(found, str) else None


def doc_keys(answer: Any) -> tuple[str, ...]:
    """The documents of a case: their keys, or objects that have one."""
    listed = _data(answer).get("documents")
    keys = (_key(one) for one in (listed if isinstance(listed, list) else [_data(answer)]))
    return tuple(key for key in keys if isinstance(key, str))


def actions(answer: Any) -> list[tuple[Any, Any]]:
    """Case and tenant of each recent action."""
    listed = answer.get("data") if isinstance(answer, dict) else None
    actions = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [(_either(one, "case_id", "caseId"), _either(one, "tenant_id", "tenantId")) for one in actions]


def _data(answer: Any) -> Mapping[str, Any]:
    """Out of the `ApiResponse` envelope."""
    data = answer.get("data") if isinstance(answer, dict) else None
    return data if isinstance(data, dict) else {}


def _key(one: Any) -> Any:
    return _either(one, "doc_key", "docKey") if isinstance(one, dict) else one


def _either(fields: Mapping[str, Any], *names: str) -> Any:
    """Under whichever name: messages are written in one style, answers in the other."""
    return next((fields[name] for name in names if name in fields), None)
