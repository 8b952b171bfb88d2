"""The three sources: what comes out of frames, of a stream and of time, and how the loss of each is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from harness.asgi_websocket import open_asgi_websocket
from harness.stomp import ChannelClosedError
from harness.synapse.broker import SimpleBroker
from harness.virtual import run
from harness.workbench.sources import TOPIC, EventStream, Notification, Source, polling, sse, stomp
from workbench.fakes import Stage, dto, settled

PATH = "/ws/notifications/websocket"


async def all_of(source: Source) -> list[Notification | None]:
    async with source() as news:
        return [one async for one in news]


# Server-sent events.


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_event_has_a_name_and_data_whatever_its_lines_end_with(end: str) -> None:
    lines = ["id: 7", "event: notification", 'data: {"a":', "data:1}", "", ": still here", "", "data: plain", "", ""]
    events = EventStream()
    assert events.feed(end.join(lines).encode() + b":") == [("notification", '{"a":\n1}'), ("message", "plain")]


def test_events_are_read_wherever_the_bytes_are_cut() -> None:
    body = "event: notification\r\ndata: 승인 😀\r\n\r\nevent: x\ndata\n\n".encode()
    for size in range(1, 8):
        events = EventStream()
        found = [event for at in range(0, len(body), size) for event in events.feed(body[at : at + size])]
        assert found == [("notification", "승인 😀"), ("x", "")]


def test_an_event_without_data_is_none_and_gives_its_name_to_no_other() -> None:
    assert EventStream().feed(b"event: notification\n\ndata: 1\n\n") == [("message", "1")]


def stream(*chunks: bytes, then: BaseException | None = None) -> Callable[[], Any]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncIterator[bytes]]:
        async def body() -> AsyncIterator[bytes]:
            for chunk in chunks:
                yield chunk
            if then is not None:
                raise then

        yield body()

    return opened


def event(value: object, name: str = "notification") -> bytes:
    return f"id: 1\nevent: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def test_a_stream_gives_its_notifications_and_nothing_else() -> None:
    broken = b"event: notification\ndata: {\n\n"
    chunks = (event(dto(1)), event(dto(2), "ping"), broken, event([1]), event(dto(3))[:9], event(dto(3))[9:])
    assert run(all_of(sse(stream(*chunks)))) == [dto(1), dto(3)]


def test_a_stream_that_breaks_off_says_so() -> None:
    with pytest.raises(ConnectionError, match="reset"):
        run(all_of(sse(stream(event(dto()), then=ConnectionResetError("reset")))))


# Polling.


def test_polling_says_when_it_is_time() -> None:
    async def scene() -> list[float]:
        times = []
        async with polling(3)() as ticks:
            async for tick in ticks:
                assert tick is None
                times.append(asyncio.get_running_loop().time())
                if len(times) == 3:
                    break
        return times

    assert run(scene()) == [3, 6, 9]


# STOMP, at the simulated broker.


def at(broker: SimpleBroker, name: str = "viewer-1") -> Source:
    app = Starlette(routes=[WebSocketRoute(PATH, broker.endpoint)])
    return stomp(lambda: open_asgi_websocket(app, PATH), name=name, confirm=broker.holds)


def test_a_viewer_follows_the_topic_and_comes_back_after_its_session_was_closed() -> None:
    async def scene(stage: Stage) -> None:
        broker = SimpleBroker()
        async with stage.viewer(at(broker)) as viewer:
            for body in (dto(1), dto(2, case="case-2"), {"content": "승인"}):
                assert broker.send(TOPIC, json.dumps(body, ensure_ascii=False).encode()) == 1
            broker.send(TOPIC, b"{")
            broker.send("/topic/other", json.dumps(dto(3)).encode())
            await settled()
            assert stage.reasons == [("notification", 1)]
            broker.close_sessions()
            stage.backend.approve()
            await asyncio.sleep(6)
            assert stage.reasons[1:] == [("catch-up", None)]
            await viewer.cut()
            assert (broker.sessions, broker.send(TOPIC, b"{}")) == (0, 0)
            await viewer.restore()
            broker.send(TOPIC, json.dumps(dto(4)).encode())
            await settled()
        assert broker.sessions == 0
        assert stage.reasons[-1] == ("notification", 4)

    run(scene(Stage()))


def test_two_viewers_have_a_subscription_each() -> None:
    async def scene(one: Stage, other: Stage) -> None:
        broker = SimpleBroker()
        async with one.viewer(at(broker)), other.viewer(at(broker, "viewer-2")):
            assert broker.send(TOPIC, json.dumps(dto()).encode()) == 2
            await settled()
        assert one.reasons == other.reasons == [("notification", 1)]

    run(scene(Stage(), Stage()))


def test_a_server_that_refuses_is_tried_again() -> None:
    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 1000})

    async def scene(stage: Stage) -> None:
        source = stomp(lambda: open_asgi_websocket(refusing, PATH), name="viewer-1", confirm=None)
        with pytest.raises(ChannelClosedError):
            await all_of(source)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60), stage.viewer(source):
                pytest.fail("it cannot be open")

    run(scene(Stage()))
