"""Clients that others wrote receive from the broker over a real WebSocket: what we read ourselves proves too
little.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import stomp  # type: ignore[import-untyped]
from serving import serving
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from harness.stomp import ChannelClosedError, Client, open_websocket
from harness.synapse.broker import SimpleBroker
from harness.synapse.sockjs import sockjs_routes

PATH = "/ws/notifications/websocket"
SOCKJS = "/ws/notifications"
TOPIC = "/topic/notifications"
BODIES = [
    '{"title":"조치 완료","content":"케이스 DEMO00001 승인 ✅"}',
    '{"title":"👩‍👩‍👧‍👦 \\"따옴표\\" \\\\ 줄\\n바꿈: 콜론","content":"' + "가" * 20_000 + '"}',
    '{"title":"학습 완료 😀"}',
]
NODE = Path(__file__).parent / "node"


@asynccontextmanager
async def served(broker: SimpleBroker) -> AsyncIterator[int]:
    """The port of `broker` on loopback."""
    routes = [WebSocketRoute(PATH, broker.endpoint), *sockjs_routes(SOCKJS, broker.endpoint, Random(1))]
    async with serving(Starlette(routes=routes), broker.close_sessions) as port:
        yield port


class Listener(stomp.ConnectionListener):  # type: ignore[misc]
    """Hands what stomp.py tells in its own thread to the test's loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def _tell(self, kind: str, frame: Any = None) -> None:
        self._loop.call_soon_threadsafe(self.events.put_nowait, (kind, frame))

    def on_message(self, frame: Any) -> None:
        self._tell("message", frame)

    def on_error(self, frame: Any) -> None:
        self._tell("error", frame)

    def on_disconnected(self) -> None:
        self._tell("disconnected")


def test_stomp_py_receives_from_the_broker() -> None:
    async def work() -> None:
        broker, listener = SimpleBroker(), Listener()
        async with served(broker) as port:
            connection = stomp.WSStompConnection([("127.0.0.1", port)], ws_path=PATH)
            connection.set_listener("test", listener)
            await asyncio.to_thread(connection.connect, wait=True)
            await asyncio.to_thread(connection.subscribe, TOPIC, id="viewer:1")
            await broker.holds(TOPIC, "viewer:1")
            for body in BODIES:
                assert broker.send(TOPIC, body.encode()) == 1
            for number, body in enumerate(BODIES):
                kind, frame = await listener.events.get()
                assert (kind, frame.body) == ("message", body)
                assert frame.headers["subscription"] == "viewer:1"
                assert frame.headers["content-type"] == "application/json"
                assert frame.headers["message-id"].endswith(f"-{number}")
            await asyncio.to_thread(connection.disconnect, receipt="bye")
            assert await listener.events.get() == ("disconnected", None)
            await broker.until(lambda: broker.sessions == 0)

    asyncio.run(work())


def _missing_for_node() -> str | None:
    node = shutil.which("node")
    if node is None:
        return "no node in PATH"
    found = subprocess.run(
        [node, "-e", '["@stomp/stompjs", "sockjs-client", "ws"].forEach(require.resolve)'],
        cwd=NODE,
        capture_output=True,
        check=False,
    )
    missing = "@stomp/stompjs, sockjs-client or ws is missing: npm install --prefix tests/node"
    return missing if found.returncode else None


@pytest.mark.parametrize(
    ("url", "by"),
    [
        (f"ws://127.0.0.1:{{port}}{PATH}", {"subprotocol": "v12.stomp"}),
        (f"http://127.0.0.1:{{port}}{SOCKJS}", {"subprotocol": "", "transport": "websocket"}),
    ],
    ids=["websocket", "sockjs"],
)
def test_stompjs_receives_from_the_broker(url: str, by: dict[str, str]) -> None:
    if (missing := _missing_for_node()) is not None:
        pytest.skip(missing)

    async def work() -> None:
        broker = SimpleBroker()
        async with served(broker) as port:
            node = await asyncio.create_subprocess_exec(
                "node",
                NODE / "receive.cjs",
                url.format(port=port),
                TOPIC,
                str(len(BODIES)),
                stdout=subprocess.PIPE,
                limit=2**20,
            )
            assert node.stdout is not None
            try:
                assert json.loads(await node.stdout.readline()) == {
                    "connected": {"version": "1.2", "heart-beat": "0,0"},
                    **by,
                }
                await broker.subscribed(TOPIC)
                for body in BODIES:
                    assert broker.send(TOPIC, body.encode()) == 1
                for body in BODIES:
                    told = json.loads(await node.stdout.readline())
                    assert told["body"] == body
                    assert told["headers"]["content-length"] == str(len(body.encode()))
                assert json.loads(await node.stdout.readline()) == {"left": True}
                assert await node.wait() == 0
                await broker.until(lambda: broker.sessions == 0)
            finally:
                if node.returncode is None:
                    node.kill()
                    await node.wait()

    asyncio.run(work())


def test_our_client_receives_over_a_real_websocket_and_learns_that_it_was_cut_off() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with served(broker) as port, open_websocket(f"ws://127.0.0.1:{port}{PATH}") as websocket:
            client = await Client.connect(websocket, confirm=broker.holds)
            await client.subscribe(TOPIC)
            for body in BODIES:
                broker.send(TOPIC, body.encode())
            assert [(await anext(client)).text for _ in BODIES] == BODIES
            broker.close_sessions()
            with pytest.raises(ChannelClosedError, match="code 1001"):
                await anext(client)
            with pytest.raises(ChannelClosedError):
                await client.subscribe(TOPIC)
            await client.abort()

    asyncio.run(work())


def test_our_client_leaves_over_a_real_websocket() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with served(broker) as port, open_websocket(f"ws://127.0.0.1:{port}{PATH}") as websocket:
            client = await Client.connect(websocket, confirm=broker.holds)
            await client.subscribe(TOPIC)
            await client.disconnect()
            assert [frame async for frame in client] == []
            await broker.until(lambda: broker.sessions == 0)

    asyncio.run(work())
