"""Aura's HTTP side as a Starlette application: the record endpoint, behind tokens and tenants, direct and by gateway.

Refusals come in the deployed order: the gateway's tenant header and size limit, then 401, 403, 405 and 422.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from harness.aura.access import Access, Gateway
from harness.aura.actions import Actions
from harness.aura.body import Unprocessable, read_action
from harness.aura.settings import Settings
from harness.clock import Clock


def create_app(settings: Settings, actions: Actions, clock: Clock) -> Starlette:
    async def record(request: Request) -> Response:
        action = read_action(request.headers.get("content-type"), await request.body())
        await actions.record(action)
        return JSONResponse(
            {
                "status": "SUCCESS",
                "message": "Action recorded",
                "data": {"ok": True, "logged": True},
                "success": True,
                "timestamp": clock.now().replace(tzinfo=None).isoformat(),
            }
        )

    routes = [Route("/aura/action/record", record, methods=["POST"])]
    return Starlette(
        routes=[Mount("/api", routes=routes), *routes],
        middleware=[Middleware(Gateway), Middleware(Access, secret=settings.jwt_secret, clock=clock)],
        exception_handlers={HTTPException: _refused, Unprocessable: _unprocessable},
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


async def _unprocessable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unprocessable)
    return JSONResponse({"detail": list(error.detail)}, 422)
