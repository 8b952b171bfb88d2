"""Events of the workbench and of the backend's decisions, for the tests of the checks that judge by them.

The defaults are one story: a viewer opens case-1, the backend approves it, and the viewer looks again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from histories import ACTION, CASE_ACTION, DTO, broadcast, call, step

from harness.history import Event

DOCUMENT = "1000-1900000001-2024"
OTHER_DOCUMENT = "1000-1900000002-2024"
OLDER: dict[str, Any] = {
    "type": "case_action_completed",
    **{name: ACTION[name] for name in ("case_id", "request_id", "executor_id", "action_type", "approved")},
    "status_code": "APPROVED",
    "at": "2026-02-11T14:30:01.150Z",
}


def opened(
    viewer: str = "viewer-1", *, case: str = "case-1", tenant: int = 7, source: str = "stomp", at: float = 0.5
) -> Event:
    return step("open-viewer", at=at, viewer=viewer, case=case, tenant=tenant, source=source)


def closed(viewer: str = "viewer-1", *, at: float = 5.0) -> Event:
    return step("close-viewer", at=at, viewer=viewer)


def cut(viewer: str = "viewer-1", *, at: float = 0.9) -> Event:
    return _of_workbench("fault", at, {"do": "viewer-cut", "viewer": viewer})


def restored(viewer: str = "viewer-1", *, at: float = 5.9) -> Event:
    return _of_workbench("fault", at, {"do": "viewer-restored", "viewer": viewer})


def decided(
    *,
    case: str = "case-1",
    document: str | None = DOCUMENT,
    approved: bool = True,
    request: str | None = "request-1",
    at: float = 1.0,
    **more: Any,
) -> Event:
    made = step("decided", at=at, case=case, document=document, approved=approved, request=request, **more)
    return replace(made, seat="synapse")


def announced(
    row: int = 1, *, payload: Mapping[str, Any] = ACTION, tenant: int = 0, at: float = 1.2, **ids: Any
) -> Event:
    """A case action on the topic; `ids` change its payload."""
    changed = {**payload, **ids}
    dto = {**DTO, "id": row, "tenantId": tenant, "channel": CASE_ACTION, "payload": changed}
    return broadcast(dto, at=at)


def loaded(
    viewer: str = "viewer-1",
    *,
    case: str = "case-1",
    tenant: int = 7,
    reason: str = "notification",
    notification: int | None = 1,
    status: str | None = "APPROVED",
    documents: Mapping[str, str | None] | None = None,
    paths: tuple[str, ...] | None = None,
    at: float = 1.3,
) -> Event:
    """A refetch after the approval."""
    seen = {DOCUMENT: "APPROVED"} if documents is None else dict(documents)
    if paths is None:
        paths = (f"/api/synapse/cases/{case}", *(f"/api/synapse/documents/{quote(key, safe='')}" for key in seen))
    data = {
        "viewer": viewer,
        "tenant": tenant,
        "case": case,
        "documents": list(seen),
        "reason": reason,
        "notification": notification if reason == "notification" else None,
        "paths": list(paths),
        "seen": {"case": status, "documents": seen},
    }
    return _of_workbench("refetch", at, data)


def got(path: str, answer: object, *, tenant: int = 7, at: float) -> Event:
    """An answer of the backend, as the tap before it saw it."""
    data = {"method": "GET", "path": path, "headers": {"x-tenant-id": str(tenant)}, "status": 200}
    event = call(at=at)
    return replace(event, seat="synapse", data={**event.data, **data, "answer": json.dumps(answer)})


def first_load(viewer: str = "viewer-1", *, at: float = 0.4, **changes: Any) -> Event:
    """As it was before anybody decided."""
    before: dict[str, Any] = {"status": "OPEN", "documents": {DOCUMENT: "PENDING", OTHER_DOCUMENT: "PENDING"}}
    return loaded(viewer, reason="opened", at=at, **{**before, **changes})


def _of_workbench(kind: str, at: float, data: dict[str, Any]) -> Event:
    return replace(step("", at=at), kind=kind, seat="workbench", data=data)
