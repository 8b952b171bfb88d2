"""One ASGI application for all that is served: the seats at their addresses, and what is ours under `/_harness`."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from harness import scenario
from harness.errors import HarnessError
from harness.scenario import Scenario
from harness.serve.plays import Busy, Impossible, Plays, told

OURS: Final = "/_harness"
HITL: Final = "/api/aura/hitl/"
ADDRESSES: Final = {"aura": ("/aura/", "/api/aura/"), "synapse": ("/api/synapse/", "/ws/notifications")}
STREAM: Final = "/api/synapse/notifications/stream"
PLAY_SECONDS: Final = 2.0
"""How long Aura waits for an answer in a play, unless the call says something else."""
LONGEST_PLAY: Final = 600.0

Health = Callable[[], Awaitable[Mapping[str, Any]]]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What is served. `untapped` is Synapse where answers have no end, which a tap would wait for."""

    aura: ASGIApp | None
    synapse: ASGIApp | None
    untapped: ASGIApp | None
    contracts: Path
    redis_url: str
    plays: Plays
    triggers: Sequence[Route]
    health: Health
    tell: Tell


def create_app(parts: Parts) -> ASGIApp:
    """Browsers of every origin may call, with credentials, as `sockjs-client` does."""
    served = _OnePort(parts, _own(parts))
    return CORSMiddleware(
        served, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], allow_credentials=True, max_age=600
    )


class _OnePort:
    def __init__(self, parts: Parts, own: ASGIApp) -> None:
        self._parts = parts
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "websocket" or path == STREAM:
            await self._lasting(scope, receive, send)
            return
        await (self._seat(path) or self._own)(scope, receive, send)

    def _seat(self, path: str) -> ASGIApp | None:
        seat = seat_of(path)
        return {"aura": self._parts.aura, "synapse": self._parts.synapse}.get(seat) if seat else None

    async def _lasting(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Told when it begins and when it ends."""
        app = self._parts.untapped if seat_of(scope["path"]) == "synapse" else None
        if app is None:
            await self._own(scope, receive, send)
            return
        kind = "WebSocket" if scope["type"] == "websocket" else "event stream"
        self._parts.tell(f"→ synapse  {kind} {scope['path']} opened")
        try:
            await app(scope, receive, send)
        finally:
            self._parts.tell(f"→ synapse  {kind} {scope['path']} closed")


def seat_of(path: str) -> str | None:
    """Whose address it is: the backend answers for HITL, under Aura's name, as its gateway has it."""
    if path.startswith(HITL):
        return "synapse"
    return next((seat for seat, starts in ADDRESSES.items() if path.startswith(starts)), None)


# ---- Under /_harness ------------------------------------------------------------------------------------------------


def _own(parts: Parts) -> Starlette:
    async def health(request: Request) -> Response:
        found = await parts.health()
        return JSONResponse(found, 200 if found["status"] == "up" else 503)

    async def openapi(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return _document(parts, "openapi.yaml", lambda document: _served_openapi(document, base))

    async def asyncapi(request: Request) -> Response:
        return _document(
            parts, "asyncapi.yaml", lambda document: _served_asyncapi(document, request.url.netloc, parts.redis_url)
        )

    async def schema(request: Request) -> Response:
        path = parts.contracts / "schemas" / Path(request.path_params["name"]).name
        if not path.is_file():
            raise HTTPException(404, f"there is no schema {path.name}")
        return FileResponse(path, media_type="application/schema+json")

    async def scenarios(request: Request) -> Response:
        return JSONResponse([_listed(parts.plays, each) for each in scenario.load_all()])

    async def play(request: Request) -> Response:
        seconds = _seconds(request.query_params.get("timeout"))
        return JSONResponse(told(await parts.plays.play(_scenario(request.path_params["name"]), seconds)))

    routes = [
        Route("/health", health),
        Route("/openapi.yaml", openapi),
        Route("/asyncapi.yaml", asyncapi),
        Route("/schemas/{name}", schema),
        Route("/scenarios", scenarios),
        Route("/scenarios/{name}", play, methods=["POST"]),
        *parts.triggers,
    ]
    refusals = {HTTPException: _refused, HarnessError: _failed}
    return Starlette(routes=[Mount(OURS, routes=routes)], exception_handlers=refusals)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404 and not request.url.path.startswith(f"{OURS}/"):
        seat = seat_of(request.url.path)
        detail = f"{seat} is not served here" if seat else f"nothing is served here; see {OURS}/health"
    return JSONResponse({"detail": detail}, error.status_code, headers=error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    status, outcome = 503, "failed"
    if isinstance(error, Impossible):
        status, outcome = 422, "impossible"
    elif isinstance(error, Busy):
        status, outcome = 409, "busy"
    return JSONResponse({"outcome": outcome, "detail": str(error)}, status)


def _document(parts: Parts, name: str, served: Callable[[dict[str, Any]], None]) -> Response:
    """As it stands in the agreement, at the address that it is served at; its references lead to the schemas beside."""
    document = yaml.safe_load((parts.contracts / name).read_text(encoding="utf-8"))
    served(document)
    return Response(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), media_type="application/yaml")


def _served_openapi(document: dict[str, Any], base: str) -> None:
    document["servers"] = [
        {"url": f"{base}/api", "description": "As behind the gateway, which wants X-Tenant-ID."},
        {"url": base, "description": "As Aura itself."},
    ]


def _served_asyncapi(document: dict[str, Any], host: str, redis_url: str) -> None:
    document["servers"]["stomp"]["host"] = host
    document["servers"]["redis"]["host"] = urlsplit(redis_url).netloc.rpartition("@")[2]


def _listed(plays: Plays, each: Scenario) -> dict[str, Any]:
    try:
        plays.must_be_possible(each)
    except Impossible as error:
        return {"name": each.name, "title": each.title, "possible": False, "why": str(error)}
    return {"name": each.name, "title": each.title, "possible": True}


def _scenario(name: str) -> Scenario:
    known = {path.stem: path for path in scenario.paths()}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"GET {OURS}/scenarios lists them"
        raise HTTPException(404, f"there is no scenario {name}; {hint}")
    return scenario.load(known[name])


def _seconds(text: str | None) -> float:
    if text is None:
        return PLAY_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_PLAY:
        raise HTTPException(
            400, f"timeout: {text!r} was found, seconds above 0 and up to {LONGEST_PLAY:g} are expected"
        )
    return seconds
