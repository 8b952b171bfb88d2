"""What all of Synapse's endpoints share: the `ApiResponse` envelope, and how a request is read.

The answers are written by the same JSON writer as the broadcasts.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from harness.clock import Clock
from harness.synapse.java import LONG_MAX, LONG_MIN, decode
from harness.synapse.node import Tree, as_text, is_number
from harness.synapse.reader import Unreadable, read_tree
from harness.synapse.writer import write

WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")


def success(clock: Clock, data: Tree = None) -> Response:
    return _enveloped(200, "SUCCESS", "OK", clock, data)


def refusal(clock: Clock, status_code: int, message: str) -> Response:
    return _enveloped(status_code, "ERROR", message, clock)


def tenant_of(request: Request) -> int:
    """Raises HTTPException, as all that reads a request here does."""
    found = request.headers.get("x-tenant-id", "").strip()
    if not found:
        raise HTTPException(400, "The header X-Tenant-ID is missing")
    return long("X-Tenant-ID", found)


def long(name: str, text: str) -> int:
    value = int(text) if WHOLE_NUMBER.fullmatch(text) else LONG_MAX + 1
    if not LONG_MIN <= value <= LONG_MAX:
        raise HTTPException(400, f"{name}: a whole number is expected")
    return value


async def fields_of(request: Request) -> dict[str, Tree]:
    """The JSON object in the body."""
    try:
        fields = read_tree(decode(await request.body()))
    except Unreadable as error:
        raise HTTPException(400, f"The body cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise HTTPException(400, "The body: a JSON object is expected")
    return fields


def text_of(fields: dict[str, Tree], *names: str) -> str | None:
    """The first of these fields that is there and not null; a number is taken for its digits."""
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        if not isinstance(value, str) and not is_number(value):
            raise HTTPException(400, f"{name}: a text is expected")
        # As the database's driver sends it: half a surrogate pair becomes a question mark.
        text = as_text(value).encode("utf-8", "replace").decode()
        if "\0" in text:
            raise HTTPException(400, f"{name}: no U+0000 is expected")
        return text
    return None


def _enveloped(status_code: int, status: str, message: str, clock: Clock, data: Tree = None) -> Response:
    """As everywhere in Synapse, what is null is left out."""
    envelope: dict[str, Tree] = {"status": status, "message": message}
    if data is not None:
        envelope["data"] = data
    envelope["success"] = status == "SUCCESS"
    envelope["timestamp"] = clock.now().replace(tzinfo=None).isoformat()
    return Response(write(envelope), status_code, media_type="application/json")
