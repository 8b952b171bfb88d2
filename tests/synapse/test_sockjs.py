"""SockJS frame by frame, in front of the broker and in front of an application that sends what it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.websockets import WebSocket

from harness.asgi_websocket import AsgiWebSocket, open_asgi_websocket
from harness.stomp import ChannelClosedError
from harness.synapse.broker import SESSION_NOT_RELIABLE, SimpleBroker
from harness.synapse.sockjs import quoted, sockjs_routes
from harness.virtual import run

PATH = "/ws/notifications"
SESSION = f"{PATH}/000/abcd1234/websocket"
TOPIC = "/topic/notifications"
CONNECT = "CONNECT\naccept-version:1.2\nhost:/\nheart-beat:%s\n\n\0"
SUBSCRIBE = f"SUBSCRIBE\nid:sub-0\ndestination:{TOPIC}\n\n\0"

Endpoint = Callable[[WebSocket], Awaitable[None]]


def app(endpoint: Endpoint) -> Starlette:
    return Starlette(routes=sockjs_routes(PATH, endpoint, Random(1)))


@asynccontextmanager
async def opened(endpoint: Endpoint) -> AsyncIterator[AsgiWebSocket]:
    async with open_asgi_websocket(app(endpoint), SESSION) as socket:
        assert await socket.receive() == "o"
        yield socket


def frame(*messages: str) -> str:
    return json.dumps(messages)


def unframed(text: str | bytes) -> str:
    """The one message of an `a` frame."""
    assert str(text)[0] == "a"
    (message,) = json.loads(str(text)[1:])
    return str(message)


async def closed(socket: AsgiWebSocket) -> int:
    with pytest.raises(ChannelClosedError) as end:
        await socket.receive()
    return end.value.code


def test_stomp_goes_in_frames_both_ways() -> None:
    async def scene() -> tuple[str, str]:
        broker = SimpleBroker()
        async with opened(broker.endpoint) as socket:
            # Both in one frame, as a client sends what it kept until the connection was there.
            await socket.send(frame(CONNECT % "0,0", SUBSCRIBE))
            greeting = unframed(await socket.receive())
            await broker.subscribed(TOPIC)
            broker.send(TOPIC, '{"title":"조치 완료 ✅😀"}'.encode())
            return greeting, unframed(await socket.receive())

    greeting, message = run(scene())
    assert greeting == "CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0"
    assert message.endswith('\n\n{"title":"조치 완료 ✅😀"}\0')


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("조치 완료 ✅", '"조치 완료 ✅"'),
        ('\\ " \n\0', '"\\\\ \\" \\n\\u0000"'),
        ("😀", '"\\ud83d\\ude00"'),
        ("👩\u200d👧", '"\\ud83d\\udc69\\u200d\\ud83d\\udc67"'),
        ("a\u2028b\u202fc\u2060d\ufeffe\ufff0f\uffff", '"a\\u2028b\\u202fc\\u2060d\ufeffe\\ufff0f\\uffff"'),
        ("\u200b\u2010\u2070\uffef\u007f", '"\u200b\u2010\u2070\uffef\u007f"'),
        ("\ud800", '"\\ud800"'),
    ],
)
def test_what_clients_cannot_take_raw_is_escaped_and_nothing_else(text: str, escaped: str) -> None:
    assert quoted(text) == escaped
    assert json.loads(escaped) == text


def test_a_beat_comes_whenever_the_server_has_said_nothing_for_25_seconds() -> None:
    async def scene() -> list[float]:
        broker, now, heard = SimpleBroker(), asyncio.get_running_loop().time, []
        async with opened(broker.endpoint) as socket:
            await socket.send(frame(CONNECT % "0,0", SUBSCRIBE))
            await socket.receive()
            for _ in range(2):
                assert await socket.receive() == "h"
                heard.append(now())
            await asyncio.sleep(10)
            broker.send(TOPIC, b"{}")
            assert str(await socket.receive()).startswith("a")
            assert await socket.receive() == "h"
            heard.append(now())
        return heard

    assert run(scene()) == [25.0, 50.0, 85.0]


def test_where_the_server_wants_stomp_heart_beats_there_are_none_of_sockjs() -> None:
    """Even for a client that agrees to none: Spring asks its own side only."""

    async def scene(agreed: str) -> list[str]:
        broker = SimpleBroker(heartbeat=(10_000, 10_000))
        async with opened(broker.endpoint) as socket:
            await socket.send(frame(CONNECT % agreed, SUBSCRIBE))
            await socket.receive()
            await broker.subscribed(TOPIC)
            await asyncio.sleep(99)
            broker.send(TOPIC, b"{}")
            heard = [str(await socket.receive())]
            while "MESSAGE" not in heard[-1]:
                heard.append(str(await socket.receive()))
        return heard[:-1]

    assert run(scene("0,0")) == []
    assert run(scene("0,10000")) == ['a["\\n"]'] * 8


def test_the_messages_of_a_frame_come_one_after_the_other() -> None:
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    async def scene() -> list[str]:
        async with opened(echo) as socket:
            await socket.send(frame("하나", "둘", "셋"))
            return [unframed(await socket.receive()) for _ in range(3)]

    assert run(scene()) == ["하나", "둘", "셋"]


@pytest.mark.parametrize("sent", ["CONNECT", "{}", '"CONNECT"', "[1]", "[null]", "["])
def test_what_is_no_list_of_texts_ends_the_session(sent: str) -> None:
    async def scene() -> tuple[str, int]:
        broker = SimpleBroker()
        async with opened(broker.endpoint) as socket:
            await socket.send(sent)
            told = str(await socket.receive())
            return told, await closed(socket)

    assert run(scene()) == ('c[1007,""]', 1007)


def test_an_empty_message_is_none() -> None:
    async def scene() -> str:
        broker = SimpleBroker()
        async with opened(broker.endpoint) as socket:
            await socket.send("")
            await socket.send(frame())
            await socket.send(frame(CONNECT % "0,0"))
            return unframed(await socket.receive())

    assert run(scene()).startswith("CONNECTED\n")


def test_a_binary_message_is_not_acceptable() -> None:
    async def scene() -> tuple[str, int]:
        async with opened(SimpleBroker().endpoint) as socket:
            await socket.send(b'["x"]')
            told = str(await socket.receive())
            return told, await closed(socket)

    assert run(scene()) == ('c[1003,""]', 1003)


def test_a_server_that_goes_says_so_in_a_frame() -> None:
    async def scene() -> tuple[str, int]:
        broker = SimpleBroker()
        async with opened(broker.endpoint) as socket:
            await socket.send(frame(CONNECT % "0,0"))
            await socket.receive()
            broker.close_sessions()
            told = str(await socket.receive())
            return told, await closed(socket)

    assert run(scene()) == ('c[1001,""]', 1001)


def test_a_client_that_does_not_read_is_not_told_why_it_is_closed() -> None:
    async def give_up(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(SESSION_NOT_RELIABLE)

    async def scene() -> int:
        async with opened(give_up) as socket:
            return await closed(socket)

    assert run(scene()) == SESSION_NOT_RELIABLE


def test_bytes_of_the_application_are_sent_as_text() -> None:
    async def send(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_bytes("한글 😀".encode())
        await websocket.close(1000, "다 했다")

    async def scene() -> tuple[str, str]:
        async with opened(send) as socket:
            return str(await socket.receive()), str(await socket.receive())

    assert run(scene()) == ('a["한글 \\ud83d\\ude00"]', 'c[1000,"다 했다"]')


def test_info_says_that_there_is_a_websocket_and_is_not_kept() -> None:
    async def scene() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app=app(SimpleBroker().endpoint))
        async with httpx2.AsyncClient(transport=transport, base_url="http://synapse") as client:
            asked = [("GET", f"{PATH}/info"), ("GET", f"{PATH}/info"), ("OPTIONS", f"{PATH}/info"), ("GET", PATH)]
            return [await client.request(method, path) for method, path in asked]

    first, second, options, greeting = asyncio.run(scene())
    told, again = first.json(), second.json()
    assert told.pop("entropy") != again.pop("entropy")
    assert told == {"origins": ["*:*"], "cookie_needed": True, "websocket": True}
    assert first.headers["cache-control"].startswith("no-store")
    assert options.status_code == 204
    assert greeting.text == "Welcome to SockJS!\n"
