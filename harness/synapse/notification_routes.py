"""The stored notifications over REST: pages, and marks that they were read."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.clock import Clock
from harness.synapse.answers import WHOLE_NUMBER, long, success, tenant_of
from harness.synapse.instant import Instant
from harness.synapse.node import Tree
from harness.synapse.notification import to_tree
from harness.synapse.store import Page, Store

NOTIFICATIONS: Final = "/api/synapse/notifications"

DEFAULT_SIZE: Final = 20
LARGEST_SIZE: Final = 2000
INT_MAX: Final = 2**31 - 1


def notification_routes(store: Store, clock: Clock) -> list[Route]:
    async def listed(request: Request) -> Response:
        tenant = tenant_of(request)
        number = max(0, _integer(request.query_params.get("page", "")))
        size = _integer(request.query_params.get("size", ""))
        page = store.page(tenant, number, min(size, LARGEST_SIZE) if size > 0 else DEFAULT_SIZE)
        return success(clock, _page(page))

    async def marked(request: Request) -> Response:
        tenant, row = tenant_of(request), long("id", request.path_params["id"])
        owner = store.tenant_of(row)
        if owner is None:
            raise HTTPException(404, f"There is no notification {row}")
        if owner != tenant:
            raise HTTPException(403, f"Notification {row} belongs to another tenant")
        store.mark_read(row, Instant.of(clock.now()))
        return success(clock)

    async def all_marked(request: Request) -> Response:
        tenant, user = tenant_of(request), request.query_params.get("userId", "")
        count = store.mark_all_read(tenant, long("userId", user) if user else None, Instant.of(clock.now()))
        return success(clock, {"markedCount": count})

    return [
        Route(NOTIFICATIONS, listed, methods=["GET"]),
        Route(f"{NOTIFICATIONS}/read-all", all_marked, methods=["PATCH"]),
        Route(f"{NOTIFICATIONS}/{{id}}", marked, methods=["PATCH"]),
    ]


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


def _integer(text: str) -> int:
    """Spring takes what is no Java int for 0, and never refuses a page."""
    value = int(text) if WHOLE_NUMBER.fullmatch(text) else 0
    return value if abs(value) <= INT_MAX else 0
