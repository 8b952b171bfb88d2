"""The curated calls of the record endpoint: each one thing that a caller may get right or wrong, and the clashes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from harness import tokens
from harness.generate import Traffic

RECORD_CALL = "/action/record"
DIRECT = f"/aura{RECORD_CALL}"
GATEWAY = f"/api/aura{RECORD_CALL}"
REQUIRED = ("case_id", "request_id", "executor_id", "approved")
OPTIONAL = ("comment", "doc_key")
FULL = {"comment": "검토 후 승인 👍", "doc_key": "1000-1900000001-2024"}
OTHER_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")

_WRONG_TYPES: Mapping[str, tuple[object, ...]] = {
    "case_id": (7, True, None, ["DEMO"], {"id": "DEMO"}, ""),
    "request_id": (7, False, None, [], {}, ""),
    "executor_id": (1.5, True, None, ["u"], {}, ""),
    "approved": ("true", "yes", "", 1, 0, 1.0, None, [], {}),
    "comment": (7, True, ["c"], {}),
    "doc_key": (7, False, [], {"key": "k"}),
}
_ACCEPTED_ALREADY = frozenset(
    {
        "comment is absent",
        "doc_key is null",
        "an empty comment",
        "a request id for the first time",
        "the same request id again",
        "a content type with a charset",
        *(f"approved is {value}" for value in ('"yes"', "1", "0", "1.0")),
    }
)
"""Calls that are accepted, here or by the deployed system, in other words than some other is."""
_NOT_AN_OBJECT = (
    b"",
    b"[]",
    b"null",
    b"true",
    b'"case"',
    b"7",
    b"{",
    b'{"case_id": "c",}',
    b"{'case_id': 'c'}",
    b"\xff",
)


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to the record endpoint."""

    name: str
    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"
    path: str = DIRECT


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a tenant with a secret, at a moment."""

    secret: str | None
    tenant: str
    now: datetime
    token: str | None = None
    """Instead of a secret; then no token can be made that is expired or signed with another one."""

    @property
    def authorization(self) -> str:
        if self.secret is None:
            return f"Bearer {self.token}"
        return f"Bearer {tokens.mint(self.secret, self.tenant, self.now)}"

    def headers(self, **changes: str | None) -> dict[str, str]:
        """A valid call's headers, with some replaced, or left out where None."""
        headers = {
            "Authorization": self.authorization,
            "X-Tenant-ID": self.tenant,
            "Content-Type": "application/json",
        }
        changed = {**headers, **{name.replace("_", "-"): value for name, value in changes.items()}}
        return {name: value for name, value in changed.items() if value is not None}

    def refused_authorizations(self) -> dict[str, str | None]:
        """Every way not to have a valid token, by name."""
        header, _, signature = self.authorization.removeprefix("Bearer ").partition(".")
        foreign = tokens.mint(f"not-{self.secret or 'a-secret-that-anybody-knows-here'}", self.tenant, self.now)
        expired = {}
        if self.secret is not None:
            late = tokens.mint(self.secret, self.tenant, self.now, lifetime=timedelta(minutes=-5))
            expired = {"an expired token": f"Bearer {late}"}
        return {
            "no token": None,
            "an empty Authorization": "",
            "a scheme without a token": "Bearer",
            "another scheme": "Basic aGFybmVzczpoYXJuZXNz",
            "a token without a scheme": self.authorization.removeprefix("Bearer "),
            "a token that is no token": "Bearer not.a.token",
            "a token without its signature": f"Bearer {header}.{signature.partition('.')[0]}.",
            **expired,
            "a token signed with another secret": f"Bearer {foreign}",
            "a token with alg none": f"Bearer {tokens.unsigned(self.tenant, self.now)}",
        }


def curated(traffic: Traffic, caller: Caller) -> Iterator[Call]:
    """All of them, each with ids of its own, so that whatever one leaves behind can be told from the others'."""
    yield from _valid(traffic, caller)
    yield from _refused_tokens(traffic, caller)
    yield from _tenants(traffic, caller)
    yield from _bodies(traffic, caller)
    yield from _methods(traffic, caller)
    yield from _clashes(traffic, caller)


def representative(traffic: Traffic, caller: Caller) -> Iterator[Call]:
    """Every way to be refused, and few ways to be accepted: for a system on which each leaves something behind."""
    return (call for call in curated(traffic, caller) if call.name not in _ACCEPTED_ALREADY)


def _valid(traffic: Traffic, caller: Caller) -> Iterator[Call]:
    for path in (DIRECT, GATEWAY):
        for approved in (True, False):
            body = traffic.call() | FULL | {"approved": approved}
            yield Call(f"approved={approved} on {path}", _json(body), caller.headers(), path=path)
    for name in OPTIONAL:
        yield Call(f"{name} is null", _json(traffic.call() | FULL | {name: None}), caller.headers())
        yield Call(f"{name} is absent", _json(_without(traffic.call() | FULL, name)), caller.headers())
    yield Call("an empty comment", _json(traffic.call() | FULL | {"comment": ""}), caller.headers())
    twice = _json(traffic.call() | FULL)
    yield Call("a request id for the first time", twice, caller.headers())
    yield Call("the same request id again", twice, caller.headers())
    charset = caller.headers(Content_Type="application/json; charset=utf-8")
    yield Call("a content type with a charset", _json(traffic.call() | FULL), charset)


def _refused_tokens(traffic: Traffic, caller: Caller) -> Iterator[Call]:
    for name, authorization in caller.refused_authorizations().items():
        for path in (DIRECT, GATEWAY):
            yield Call(name, _json(traffic.call()), caller.headers(Authorization=authorization), path=path)


def _tenants(traffic: Traffic, caller: Caller) -> Iterator[Call]:
    for path in (DIRECT, GATEWAY):
        other = caller.headers(X_Tenant_ID=f"{caller.tenant}0")
        yield Call("the header of another tenant", _json(traffic.call()), other, path=path)
        none = caller.headers(X_Tenant_ID=None)
        yield Call("no tenant header", _json(traffic.call() | FULL), none, path=path)


def _bodies(traffic: Traffic, caller: Caller) -> Iterator[Call]:
    for name in REQUIRED:
        yield Call(f"no {name}", _json(_without(traffic.call(), name)), caller.headers())
    for name, values in _WRONG_TYPES.items():
        for value in values:
            body = _json(traffic.call() | {name: value})
            yield Call(f"{name} is {json.dumps(value)}", body, caller.headers())
    for wire in _NOT_AN_OBJECT:
        yield Call(f"the body {wire!r}", wire, caller.headers())


def _methods(traffic: Traffic, caller: Caller) -> Iterator[Call]:
    for method in OTHER_METHODS:
        yield Call(f"method {method}", _json(traffic.call()), caller.headers(), method=method)


def _clashes(traffic: Traffic, caller: Caller) -> Iterator[Call]:
    broken = _without(traffic.call(), "approved")
    no_token = caller.headers(Authorization=None)
    other = caller.headers(X_Tenant_ID=f"{caller.tenant}0")
    yield Call("no token, another method", b"", no_token, method="GET")
    yield Call("no token, a field missing", _json(broken), no_token)
    yield Call("another tenant, another method", b"", other, method="PUT")
    yield Call("another tenant, a field missing", _json(_without(traffic.call(), "case_id")), other)


def _without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
