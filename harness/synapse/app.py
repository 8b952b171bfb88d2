"""Synapse's side of the browser as a Starlette application: the STOMP endpoint, and the stored notifications in the
`ApiResponse` envelope, written by the same JSON writer as the broadcasts.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from harness.clock import Clock
from harness.synapse.broker import SimpleBroker
from harness.synapse.instant import Instant
from harness.synapse.java import LONG_MAX, LONG_MIN
from harness.synapse.node import Tree
from harness.synapse.notification import to_tree
from harness.synapse.store import Page, Store
from harness.synapse.writer import Unwritable, write

WEBSOCKET: Final = "/ws/notifications/websocket"
NOTIFICATIONS: Final = "/api/synapse/notifications"

DEFAULT_SIZE: Final = 20
LARGEST_SIZE: Final = 2000
INT_MAX: Final = 2**31 - 1

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")


def create_app(store: Store, broker: SimpleBroker, clock: Clock) -> Starlette:
    def answer(data: Tree = None) -> Response:
        return _enveloped(200, "SUCCESS", "OK", clock, data)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _enveloped(error.status_code, "ERROR", error.detail, clock)

    async def unwritable(request: Request, error: Exception) -> Response:
        """One row whose payload is too deep makes the whole page unreadable, as it does for Jackson."""
        return _enveloped(500, "ERROR", str(error), clock)

    async def listed(request: Request) -> Response:
        tenant = _tenant(request)
        number = max(0, _integer(request.query_params.get("page", "")))
        size = _integer(request.query_params.get("size", ""))
        return answer(_page(store.page(tenant, number, min(size, LARGEST_SIZE) if size > 0 else DEFAULT_SIZE)))

    async def marked(request: Request) -> Response:
        tenant, row = _tenant(request), _long("id", request.path_params["id"])
        owner = store.tenant_of(row)
        if owner is None:
            raise HTTPException(404, f"There is no notification {row}")
        if owner != tenant:
            raise HTTPException(403, f"Notification {row} belongs to another tenant")
        store.mark_read(row, Instant.of(clock.now()))
        return answer()

    async def all_marked(request: Request) -> Response:
        tenant, user = _tenant(request), request.query_params.get("userId", "")
        count = store.mark_all_read(tenant, _long("userId", user) if user else None, Instant.of(clock.now()))
        return answer({"markedCount": count})

    return Starlette(
        routes=[
            WebSocketRoute(WEBSOCKET, broker.endpoint),
            Route(NOTIFICATIONS, listed, methods=["GET"]),
            Route(f"{NOTIFICATIONS}/read-all", all_marked, methods=["PATCH"]),
            Route(f"{NOTIFICATIONS}/{{id}}", marked, methods=["PATCH"]),
        ],
        exception_handlers={HTTPException: refused, Unwritable: unwritable},
    )


def _enveloped(status_code: int, status: str, message: str, clock: Clock, data: Tree = None) -> Response:
    """As everywhere in Synapse, what is null is left out."""
    envelope: dict[str, Tree] = {"status": status, "message": message}
    if data is not None:
        envelope["data"] = data
    envelope["success"] = status == "SUCCESS"
    envelope["timestamp"] = clock.now().replace(tzinfo=None).isoformat()
    return Response(write(envelope), status_code, media_type="application/json")


def _page(page: Page) -> dict[str, Tree]:
    return {
        "content": [to_tree(dto) for dto in page.content],
        "totalElements": page.total,
        "totalPages": page.pages,
        "size": page.size,
        "number": page.number,
        "first": page.number == 0,
        "last": page.number + 1 >= page.pages,
    }


def _tenant(request: Request) -> int:
    found = request.headers.get("x-tenant-id", "").strip()
    if not found:
        raise HTTPException(400, "The header X-Tenant-ID is missing")
    return _long("X-Tenant-ID", found)


def _long(name: str, text: str) -> int:
    value = int(text) if _WHOLE_NUMBER.fullmatch(text) else LONG_MAX + 1
    if not LONG_MIN <= value <= LONG_MAX:
        raise HTTPException(400, f"{name}: a whole number is expected")
    return value


def _integer(text: str) -> int:
    """Spring takes what is no Java int for 0, and never refuses a page."""
    value = int(text) if _WHOLE_NUMBER.fullmatch(text) else 0
    return value if abs(value) <= INT_MAX else 0
