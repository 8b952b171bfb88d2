"""The in-memory WebSocket against the smallest applications that show each turn."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.websockets import WebSocket

from harness.asgi_websocket import AsgiApp, AsgiWebSocket, open_asgi_websocket
from harness.stomp import ChannelClosedError
from harness.virtual import run


async def echo(scope: Any, receive: Any, send: Any) -> None:
    websocket = WebSocket(scope, receive, send)
    await websocket.accept(subprotocol="echo")
    while (event := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send({**event, "type": "websocket.send"})


async def failing(scope: Any, receive: Any, send: Any) -> None:
    websocket = WebSocket(scope, receive, send)
    await websocket.accept()
    await websocket.receive()
    raise LookupError("a fault of the application")


async def opened_and_left(app: AsgiApp) -> None:
    async with open_asgi_websocket(app, "/"):
        pass


def test_text_and_bytes_go_there_and_back() -> None:
    async def work() -> None:
        async with open_asgi_websocket(echo, "/x") as websocket:
            assert websocket.subprotocol == "echo"
            for message in ("조치 😀", b"\xff", "", b""):
                await websocket.send(message)
                assert await websocket.receive() == message

    run(work())


def test_the_application_sees_what_was_asked_for() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        await echo(scope, receive, send)

    async def work() -> None:
        url = "wss://synapse/ws/%ED%95%9C?a=1"
        async with open_asgi_websocket(app, url, headers=[("X-Tenant-ID", "7")], subprotocols=["v12.stomp"]):
            assert (seen["scheme"], seen["path"], seen["query_string"]) == ("wss", "/ws/한", b"a=1")
            assert seen["headers"] == [(b"host", b"synapse"), (b"x-tenant-id", b"7")]
            assert seen["subprotocols"] == ["v12.stomp"]

    run(work())


def test_a_path_that_the_application_does_not_have_is_refused() -> None:
    async def work() -> None:
        with pytest.raises(ChannelClosedError, match="refused"):
            await opened_and_left(Starlette())

    run(work())


def test_after_closing_nothing_can_be_sent_and_the_application_has_left() -> None:
    async def work() -> None:
        async with open_asgi_websocket(echo, "/") as websocket:
            await websocket.close()
            with pytest.raises(ChannelClosedError, match="code 1000"):
                await websocket.send("x")
            with pytest.raises(ChannelClosedError, match="code 1000"):
                await websocket.receive()

    run(work())


def test_what_the_application_raises_is_raised_on_leaving() -> None:
    async def work() -> None:
        async with open_asgi_websocket(failing, "/") as websocket:
            await websocket.send("x")
            with pytest.raises(ChannelClosedError):
                await websocket.receive()

    with pytest.raises(LookupError, match="a fault of the application"):
        run(work())


def test_a_window_makes_the_application_wait_for_the_reader() -> None:
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        for number in range(4):
            await websocket.send_text(str(number))
            sent.append(number)
        await websocket.close(4000, "enough")

    async def work() -> None:
        async with open_asgi_websocket(app, "/", window=2) as websocket:
            assert await websocket.receive() == "0"
            assert len(sent) <= 3
            assert [await websocket.receive() for _ in range(3)] == ["1", "2", "3"]
            with pytest.raises(ChannelClosedError, match="code 4000, enough"):
                await websocket.receive()
            assert isinstance(websocket, AsgiWebSocket)

    run(work())
