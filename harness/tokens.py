"""JSON Web Tokens as Aura takes them: made for a run, and looked at by the HTTP tap without keeping any."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import jwt

LIFETIME = timedelta(hours=1)
REMEMBERED = 1024
"""Tokens; a caller comes again with the one that it has."""


def mint(secret: str, tenant: str, now: datetime, *, user: str = "harness", lifetime: timedelta = LIFETIME) -> str:
    """A signed token; a negative `lifetime` gives an expired one."""
    return jwt.encode(claims(tenant, now, user=user, lifetime=lifetime), secret, algorithm="HS256")


def unsigned(tenant: str, now: datetime) -> str:
    """A token that claims `alg: none` and carries no signature."""
    return ".".join((_part({"alg": "none", "typ": "JWT"}), _part(claims(tenant, now)), ""))


def claims(tenant: str, now: datetime, *, user: str = "harness", lifetime: timedelta = LIFETIME) -> dict[str, Any]:
    issued = int(now.timestamp())
    return {"sub": user, "tenant_id": tenant, "iat": issued, "exp": issued + int(lifetime.total_seconds())}


def inspect(authorization: str | None, secret: str, now: datetime) -> dict[str, str]:
    """What a history may say of an `Authorization` header: the `token`'s state and, when it is valid, its `tenant`.

    States: `missing`, `malformed`, `alg-none`, `wrong-signature`, `expired`, `valid`, and `unclear` for a scheme that
    is spelled `bearer`: the documents do not say whether that is one.
    """
    if authorization is None or not authorization.strip():
        return {"token": "missing"}
    scheme, _, token = authorization.strip().partition(" ")
    if scheme != "Bearer":
        return {"token": "unclear" if scheme.lower() == "bearer" else "malformed"}
    try:
        found = _signed_claims(token, secret)
        if float(found["exp"]) <= now.timestamp():
            return {"token": "expired"}
        return {"token": "valid", "tenant": str(found["tenant_id"])}
    except jwt.InvalidSignatureError:
        return {"token": "wrong-signature"}
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return {"token": "alg-none" if _is_unsigned(token) else "malformed"}


@lru_cache(REMEMBERED)
def _signed_claims(token: str, secret: str) -> Mapping[str, Any]:
    """What is in a token, expired or not. A refusal is an exception, and not remembered."""
    options: Any = {"verify_exp": False, "verify_iat": False}
    return MappingProxyType(jwt.decode(token, secret, algorithms=["HS256"], options=options))


def _is_unsigned(token: str) -> bool:
    try:
        return str(jwt.get_unverified_header(token).get("alg", "")).lower() == "none"
    except (jwt.InvalidTokenError, ValueError):
        return False


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
