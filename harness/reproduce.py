"""How to see a finding again: a curl, a redis-cli. Secrets are named, never shown."""

from __future__ import annotations

import base64
import shlex
from typing import Any

from harness.history import Event, decode

_DROPPED = frozenset({"host", "content-length", "connection", "accept-encoding", "accept", "user-agent"})
_TOKENS = {
    "valid": "",
    "unclear": "a valid token, its scheme spelled bearer",
    "missing": "",
    "malformed": "something that is no bearer token",
    "alg-none": "a token with alg none and no signature",
    "wrong-signature": "a token signed with another secret",
    "expired": "an expired token",
}

_ARGUMENT_LIMIT = 100_000
"""Bytes; Linux hands a program no argument of more than 128 KiB."""


def curl(event: Event) -> str:
    """The call of an `http` event, against $HARNESS_AURA_URL with $HARNESS_TOKEN."""
    data = event.data
    parts = ["curl", "-i", *(["-I"] if data["method"] == "HEAD" else ["-X", data["method"]])]
    query = f"?{data['query']}" if data["query"] else ""
    parts.append(f'"$HARNESS_AURA_URL"{shlex.quote(data["path"] + query)}')
    for name, value in data["headers"].items():
        if name == "authorization":
            if data["auth"]["token"] != "missing":
                parts.append('-H "Authorization: Bearer $HARNESS_TOKEN"')
        elif name not in _DROPPED and not name.startswith("x-schemathesis"):
            parts.append(f"-H {shlex.quote(f'{name}: {value}' if value else f'{name};')}")
    body = decode(data["body"])
    prefix = ""
    if body:
        if "content-type" not in data["headers"]:
            parts.append("-H content-type:")  # curl would declare a form
        if _fits_an_argument(data["body"]):
            parts.append(f"--data-binary {shlex.quote(data['body'])}")
        else:
            prefix = f"echo {base64.b64encode(body).decode()} | base64 -d | "
            parts.append("--data-binary @-")
    token = _TOKENS.get(data["auth"]["token"], "")
    return prefix + " ".join(parts) + (f"  # HARNESS_TOKEN: {token}" if token else "")


def _fits_an_argument(body: Any) -> bool:
    """Whether the body is text that a shell hands over and curl does not take for a file's name."""
    return isinstance(body, str) and "\0" not in body and not body.startswith("@")


def listen(channel: str) -> str:
    """How to see what is published on a channel."""
    return f'redis-cli -u "$HARNESS_REDIS_URL" SUBSCRIBE {shlex.quote(channel)}'


def publish(event: Event) -> str:
    """The message of a `published` event, once more."""
    data = event.data
    client = 'redis-cli -u "$HARNESS_REDIS_URL"'
    channel = shlex.quote(data["channel"])
    wire = decode(data["wire"])
    if isinstance(data["wire"], str) and "\0" not in data["wire"] and len(wire) <= _ARGUMENT_LIMIT:
        return f"{client} PUBLISH {channel} {shlex.quote(data['wire'])}"
    return f"printf %s {base64.b64encode(wire).decode()} | base64 -d | {client} -x PUBLISH {channel}"
