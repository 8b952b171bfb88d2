"""Who may call: the gateway's conditions, Aura's token and tenant, as pure ASGI middleware."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import jwt
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from harness.clock import Clock

GATEWAY_PREFIX = "/api/"
GATEWAY_BODY_LIMIT = 256 * 1024
REMEMBERED = 1024
"""Tokens; a caller comes again with the one that it has."""


class Gateway:
    """In front of `/api`: a call names its tenant (400 with no body otherwise) and has at most 256 KiB (413)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if not scope["path"].startswith(GATEWAY_PREFIX):
            return None
        headers = Headers(scope=scope)
        if not headers.get("x-tenant-id", "").strip():
            return Response(status_code=400)
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length) > GATEWAY_BODY_LIMIT:
            return Response(status_code=413)
        return None


class Access:
    """A valid token (401 otherwise), and no other tenant than the token's (403). The header may be left out."""

    def __init__(self, app: ASGIApp, secret: str, clock: Clock) -> None:
        self._app = app
        self._secret = secret
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        claims = self._claims(headers.get("authorization", ""))
        if claims is None:
            detail = {"detail": "Missing, invalid or expired token"}
            return JSONResponse(detail, 401, headers={"WWW-Authenticate": "Bearer"})
        tenant = headers.get("x-tenant-id", "").strip()
        if tenant and tenant != str(claims["tenant_id"]):
            return JSONResponse({"detail": "Tenant does not match the token"}, 403)
        return None

    def _claims(self, authorization: str) -> Mapping[str, Any] | None:
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = _signed_claims(token, self._secret)
            return claims if float(claims["exp"]) > self._clock.now().timestamp() else None
        except (jwt.InvalidTokenError, TypeError, ValueError):
            return None


@lru_cache(REMEMBERED)
def _signed_claims(token: str, secret: str) -> Mapping[str, Any]:
    """What is in a token, expired or not: that is told on the run's clock, and PyJWT would read the machine's.

    A refusal is an exception, and not remembered.
    """
    options: Any = {"require": ["sub", "tenant_id", "exp"], "verify_exp": False, "verify_iat": False}
    return MappingProxyType(jwt.decode(token, secret, algorithms=["HS256"], options=options))
