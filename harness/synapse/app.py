"""Synapse's side of the browser as a Starlette application: the routes together, and how a refusal is answered."""

from __future__ import annotations

import sqlite3
from random import Random
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from harness.clock import Clock
from harness.synapse.answers import refusal
from harness.synapse.broker import SimpleBroker
from harness.synapse.cases import AlreadyDecided, Unknown
from harness.synapse.container import LOST
from harness.synapse.decisions import NoHitl, OtherTenant
from harness.synapse.notification_routes import NOTIFICATIONS
from harness.synapse.sockjs import sockjs_routes
from harness.synapse.sse import EventStreams
from harness.synapse.writer import Unwritable

SOCKJS: Final = "/ws/notifications"
WEBSOCKET: Final = f"{SOCKJS}/websocket"
STREAM: Final = f"{NOTIFICATIONS}/stream"

_STATUS: Final[dict[type[Exception], int]] = {
    OtherTenant: 403,
    Unknown: 404,
    AlreadyDecided: 409,
    sqlite3.Error: 500,
    # One row whose payload is too deep makes the whole page unreadable, as it does for Jackson.
    Unwritable: 500,
    NoHitl: 503,
    # What was asked of Redis got no answer.
    **dict.fromkeys(LOST, 503),
}


def create_app(clock: Clock, *routes: BaseRoute) -> Starlette:
    async def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return refusal(clock, error.status_code, error.detail)
        status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
        return refusal(clock, status, str(error))

    return Starlette(routes=routes, exception_handlers=dict.fromkeys((HTTPException, *_STATUS), refused))


def push_routes(broker: SimpleBroker, streams: EventStreams, seed: int) -> list[BaseRoute]:
    """Where browsers are told of notifications: STOMP on a WebSocket of its own and by SockJS, and the event stream."""
    return [
        WebSocketRoute(WEBSOCKET, broker.endpoint),
        *sockjs_routes(SOCKJS, broker.endpoint, Random(seed)),
        Route(STREAM, streams, methods=["GET"]),
    ]
