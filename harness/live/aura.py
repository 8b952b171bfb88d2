"""A live Aura behind the same face as the simulated one: one tap, one set of cases and one fuzzer serve both."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt

from harness import tokens
from harness.errors import HarnessError, UsageError
from harness.history import Recorder, ids_of
from harness.http import App
from harness.live.address import must_be_headers, must_be_url, shown
from harness.live.forward import forwarded

LOOK_AGAIN = 0.5
"""Seconds between two looks whether it is still there."""
GATEWAY, DIRECT = "/api/aura", "/aura"
CLOCKS_APART = 5.0
"""Seconds that the clocks of two machines may be apart."""


@dataclass(frozen=True, slots=True)
class AuraTarget:
    """Where a live Aura is, and how to call it.

    The path of `url` ends with `/api/aura` (through the gateway) or `/aura` (direct). Of `secret` and `token` one is
    needed; with a token alone no other token can be made, so that an expired one is not tried. `feedback` is its log
    of feedback lines, if that can be read here. `hitl_timeout` is how many seconds it waits for an answer, if that is
    known.
    """

    url: str
    secret: str | None = None
    token: str | None = None
    tenant: str = "7"
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 5.0
    verify: bool | str = True
    feedback: Path | None = None
    hitl_timeout: float | None = None

    def __post_init__(self) -> None:
        must_be_url(self.url, "--aura", f"http://host:9000{DIRECT} (also HARNESS_AURA_URL)")
        parts = urlsplit(self.url)
        if "@" in parts.netloc:
            raise UsageError(
                f"--aura {shown(self.url)}: a user in the URL would take the place of the token in `Authorization`; "
                "leave it out"
            )
        if not parts.path.rstrip("/").endswith(DIRECT):
            raise UsageError(
                f"--aura {shown(self.url)}: its path has to end with {GATEWAY} (through the gateway) or {DIRECT} "
                "(Aura itself)"
            )
        if self.secret is None and self.token is None:
            raise UsageError(
                "--aura needs a secret to sign tokens with (--secret, HARNESS_AURA_SECRET) or a ready token "
                "(--token, HARNESS_AURA_TOKEN)"
            )
        if "" in (self.secret, self.token):
            empty = "token" if self.token == "" else "secret"
            raise UsageError(f"--{empty}: it is empty; give one (also HARNESS_AURA_{empty.upper()})")
        must_be_headers({"X-Tenant-ID": self.tenant}, f"--tenant {self.tenant}")

    @property
    def prefix(self) -> str:
        """What its paths begin with in a history: as the documents name them."""
        return GATEWAY if urlsplit(self.url).path.rstrip("/").endswith(GATEWAY) else DIRECT

    def authorization(self, now: datetime) -> str:
        if self.token is not None:
            return f"Bearer {self.token}"
        assert self.secret is not None
        return f"Bearer {tokens.mint(self.secret, self.tenant, now)}"

    def must_hold(self, now: datetime) -> None:
        """Raises HarnessError for a ready token that has expired: Aura has to refuse it."""
        if self.token is not None and self._state(now) == "expired":
            ago = now.timestamp() - expiry_of(self.token)
            raise HarnessError(
                f"--token: it expired {ago:.0f} s ago; give one that outlasts the run (also HARNESS_AURA_TOKEN)"
            )

    def _state(self, now: datetime) -> str:
        """Of the ready token: while one clock may have it expired and the other not, nobody can say."""
        left = expiry_of(self.token or "") - now.timestamp()
        if abs(left) <= CLOCKS_APART:
            return "unclear"
        return "valid" if left > 0 else "expired"

    def inspect(self, authorization: str | None, now: datetime) -> Mapping[str, str]:
        """What a history may say of an `Authorization` header; without the secret only the given token is valid."""
        if self.secret is not None:
            return tokens.inspect(authorization, self.secret, now)
        if authorization == f"Bearer {self.token}":
            state = self._state(now)
            return {"token": state, **({"tenant": self.tenant} if state == "valid" else {})}
        found = tokens.inspect(authorization, "what signs the token is not known here", now)
        return {"token": "wrong-signature"} if found["token"] == "valid" else found


def remote(target: AuraTarget, client: httpx2.AsyncClient) -> App:
    base = urlsplit(target.url).path.rstrip("/")
    where = f"--aura {shown(target.url)}"
    return forwarded(client, where, target.patience, lambda path: base + path.removeprefix(target.prefix))


async def unreachable(target: AuraTarget) -> None:
    """Raises HarnessError once nobody takes a connection at its address any more: an Aura that is gone says nothing,
    which nobody must take for a promise that it broke."""
    parts = urlsplit(target.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    while True:
        await asyncio.sleep(LOOK_AGAIN)
        try:
            async with asyncio.timeout(target.patience):
                _, writer = await asyncio.open_connection(parts.hostname, port)
        except (OSError, TimeoutError) as error:
            said = str(error) or f"no answer within {target.patience:g} s"
            where = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            raise HarnessError(f"--aura {where}: it was lost during the run ({said})") from error
        writer.close()


def tenant_of(token: str) -> str:
    """Which tenant a ready token is for. Raises UsageError for what is no token."""
    try:
        claims: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
        return str(claims["tenant_id"])
    except (jwt.InvalidTokenError, KeyError) as error:
        raise UsageError(
            "--token: no JSON Web Token with a tenant_id was found; give one (also HARNESS_AURA_TOKEN)"
        ) from error


def expiry_of(token: str) -> float:
    """Seconds since the epoch; infinite for a token that does not say so, or cannot be read."""
    try:
        return float(jwt.decode(token, options={"verify_signature": False})["exp"])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return math.inf


def feedback_reader(path: Path, recorder: Recorder, ours: Callable[[bytes], bool]) -> Callable[[], None]:
    """Records the lines that a live Aura has appended since it was called last, those of this run.

    Called before a message is recorded, it shows whether its line was there by then. Raises UsageError at once for a
    file that cannot be read.
    """
    try:
        seen = path.stat().st_size
    except OSError as error:
        raise UsageError(f"--aura-feedback {path}: {error.strerror or error}; give a file that Aura writes") from error
    rest = b""

    def catch_up() -> None:
        nonlocal rest, seen
        with path.open("rb") as lines:
            lines.seek(seen)
            read = lines.read()
        seen += len(read)
        *whole, rest = (rest + read).split(b"\n")
        for line in whole:
            if ours(line):
                text = line.decode(errors="backslashreplace")
                recorder.record("feedback", {"line": text}, seat="aura", about=ids_of(line))

    return catch_up
