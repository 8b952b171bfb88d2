"""HTTP towards Aura: the tap that records every exchange, and a bridge for callers that live in another thread.

A seat is an ASGI application, so one tap serves every caller, and nothing between caller and seat needs a socket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from harness.clock import Clock
from harness.errors import HarnessError
from harness.history import Recorder, encode, ids_of, wall

if TYPE_CHECKING:
    import httpx2

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Inspect = Callable[[str | None], Mapping[str, str]]
"""What a history may say of an `Authorization` header."""

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
ORIGIN = "http://harness"
FAILED = b'{"detail":"Internal Server Error"}'


class Tap:
    """Records each exchange with the application behind it, when the answer is complete.

    An application that raises is answered for with 500, as a server would, and the exception is recorded.
    """

    def __init__(self, app: App, recorder: Recorder, clock: Clock, inspect: Inspect, seat: str) -> None:
        self._app = app
        self._recorder = recorder
        self._clock = clock
        self._inspect = inspect
        self._seat = seat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, moment = self._clock.elapsed(), self._clock.now()
        request = await read_body(receive)
        headers = headers_of(scope["headers"])
        asked = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope.get("query_string", b"").decode("latin-1"),
            "headers": {name: "***" if name in SECRET_HEADERS else value for name, value in headers.items()},
            "auth": dict(self._inspect(headers.get("authorization"))),
            "body": encode(request),
            "began": round(began, 6),
            "began_wall": wall(moment),
        }
        answer: dict[str, Any] = {"status": None, "answer_headers": {}, "answer": b""}

        async def tapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["answer_headers"] = headers_of(message.get("headers", ()))
            elif message["type"] == "http.response.body":
                answer["answer"] += message.get("body", b"")
            await send(message)

        try:
            await self._app(scope, replay(request), tapped)
        except HarnessError as error:  # no answer came, and what became of the call is not known
            answer["error"] = str(error)
            raise
        except Exception as error:
            answer["error"] = repr(error)
            if answer["status"] is None:
                kind = [(b"content-type", b"application/json")]
                await tapped({"type": "http.response.start", "status": 500, "headers": kind})
                await tapped({"type": "http.response.body", "body": FAILED})
        except BaseException as error:  # cut off in the middle: what came of it is not known
            answer["error"] = repr(error)
            raise
        finally:
            data = {**asked, **answer, "answer": encode(answer["answer"])}
            self._recorder.record("http", data, seat=self._seat, about=ids_of(request))


def across_loops(app: App, loop: asyncio.AbstractEventLoop) -> App:
    """`app`, which lives on `loop`, for a caller on another loop in another thread."""

    async def bridge(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_body(receive)
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        running = asyncio.run_coroutine_threadsafe(_call(app, scope, request, keep), loop)
        await asyncio.wrap_future(running)
        for message in messages:
            await send(message)

    return bridge


async def _call(app: App, scope: Scope, request: bytes, send: Send) -> None:
    await app(scope, replay(request), send)


async def read_body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def replay(request: bytes) -> Receive:
    messages = [{"type": "http.request", "body": request, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


def headers_of(raw: Any) -> dict[str, str]:
    """Lower-case names; a header sent twice is joined by a comma, as HTTP has it."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def call(
    app: App, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
) -> tuple[int, Any]:
    """Status and JSON of the answer, None for one that is not JSON. What a failed transport raises is an OSError."""
    import httpx2

    content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    try:
        response = await request(app, method, path, content, {**kind, **headers})
    except httpx2.TransportError as error:
        raise ConnectionError(str(error)) from error
    try:
        return response.status_code, response.json()
    except ValueError:
        return response.status_code, None


async def request(
    app: App, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
) -> httpx2.Response:
    """Straight through the transport, for the cookies and redirects of a client cost as much as the whole call."""
    import httpx2

    asked = httpx2.Request(method, f"{ORIGIN}{path}", content=content, headers=headers)
    response = await httpx2.ASGITransport(app=app).handle_async_request(asked)
    await response.aread()
    return response
