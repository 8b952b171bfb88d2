"""The record endpoint as the real Aura runs it: FastAPI and pydantic behind four `BaseHTTPMiddleware`, the token by
PyJWT, the feedback line, and a publish by redis-py's pool. It does what the simulated one does, and gives each call an
id, which costs next to nothing.
"""

from __future__ import annotations

import json
import logging
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import redis.asyncio
from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

log = logging.getLogger("hitl_feedback")
REQUIRED = {"require": ["sub", "tenant_id", "exp"]}


class Record(BaseModel):
    case_id: str = Field(min_length=1)
    request_id: str = Field(min_length=1)
    executor_id: str = Field(min_length=1)
    approved: bool
    comment: str | None = None
    doc_key: str | None = None


class Logged(BaseModel):
    ok: bool = True
    logged: bool = True


class Envelope(BaseModel):
    status: str = "SUCCESS"
    message: str = "Action recorded"
    data: Logged = Logged()
    success: bool = True
    timestamp: str


def fastapi_aura(client: redis.asyncio.Redis, feedback: Path, secret: str) -> FastAPI:
    app = FastAPI()
    _protect(app, secret)

    @app.post("/aura/action/record")
    async def record(action: Record) -> Envelope:
        line = json.dumps(_line(action), ensure_ascii=False)
        log.info("%s", line)
        with feedback.open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")
        await client.publish("workbench:case:action", json.dumps(_notification(action), ensure_ascii=False).encode())
        return Envelope(timestamp=datetime.now(UTC).replace(tzinfo=None).isoformat())

    return app


def _protect(app: FastAPI, secret: str) -> None:
    async def handle_errors(request: Request, call_next: RequestResponseEndpoint) -> Response:
        try:
            return await call_next(request)
        except Exception as error:
            return JSONResponse({"detail": str(error)}, 500)

    async def name_request(request: Request, call_next: RequestResponseEndpoint) -> Response:
        name = request.headers.get("x-request-id") or str(uuid.uuid4())
        response = await call_next(request)
        response.headers["x-request-id"] = name
        return response

    async def compare_tenant(request: Request, call_next: RequestResponseEndpoint) -> Response:
        tenant = request.headers.get("x-tenant-id")
        if tenant is not None and tenant != str(request.state.claims["tenant_id"]):
            return JSONResponse({"detail": "another tenant"}, 403)
        return await call_next(request)

    async def authenticate(request: Request, call_next: RequestResponseEndpoint) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            options: Any = REQUIRED
            request.state.claims = jwt.decode(token, secret, algorithms=["HS256"], options=options)
        except jwt.InvalidTokenError:
            return JSONResponse({"detail": "no valid token"}, 401, headers={"WWW-Authenticate": scheme or "Bearer"})
        return await call_next(request)

    for dispatch in (compare_tenant, authenticate, name_request, handle_errors):  # the last one is the outermost
        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)


def _line(action: Record) -> dict[str, Any]:
    told = action.model_dump() | {"comment": action.comment or "", "action_type": _kind(action)}
    return {"event": "hitl_feedback", **told, "at": datetime.now(UTC).isoformat()}


def _notification(action: Record) -> dict[str, Any]:
    return {
        "type": "NOTIFICATION",
        "category": "CASE_ACTION",
        "message": "조치 승인됨" if action.approved else "조치 거절됨",
        "timestamp": datetime.now(UTC).isoformat(),
        "case_id": action.case_id,
        "request_id": action.request_id,
        "executor_id": action.executor_id,
        "action_type": _kind(action),
        "approved": action.approved,
        "status_code": "APPROVED" if action.approved else "REJECTED",
    }


def _kind(action: Record) -> str:
    return "APPROVE" if action.approved else "REJECT"
