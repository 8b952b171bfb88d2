"""Connections of a load run, on a real Redis and a served Synapse: what becomes of a publish, and when one is cut."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from serving import synapse

from harness.errors import HarnessError, UsageError
from harness.live.synapse import SynapseTarget
from harness.load.redis_link import Publisher, RefusedError, Server, Subscriber, UnansweredError
from harness.load.screen import Screen
from harness.stomp import Frame

SECONDS = 10
ALERT = "workbench:alert"


class Noted:
    """What a subscriber or a screen tells, to wait for."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.events: list[str] = []
        self._changed = threading.Condition()

    def took(self, channel: str, wire: bytes) -> None:
        with self._changed:
            self.messages.append((channel, wire))
            self._changed.notify_all()

    def took_one(self) -> bool:
        """Whether it has, or does soon."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self.messages), 0.05)

    def showed(self, frame: Frame) -> None:
        self.took(frame.headers["destination"], frame.body)

    def happened(self, what: str) -> None:
        with self._changed:
            self.events.append(what)
            self._changed.notify_all()

    def until(self, fact: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(fact, SECONDS), (self.messages, self.events)


@contextmanager
def subscribed(url: str, noted: Noted, name: str = "a-load") -> Iterator[Subscriber]:
    one = Subscriber(
        Server(url), name, noted.took, lambda: noted.happened("listening"), lambda why: noted.happened("cut")
    )
    one.start()
    try:
        yield one
    finally:
        one.stop()


@contextmanager
def hanging_up() -> Iterator[str]:
    """The URL of what is greeted as a Redis, and hangs up when it is told to publish."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while b"PUBLISH" not in (asked := connection.recv(4096)):
                    connection.sendall(b"+OK\r\n" * asked.count(b"*"))

        serving = threading.Thread(target=serve)
        serving.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"
        serving.join(SECONDS)


def test_what_is_published_comes_to_the_subscriber_as_it_was(real_redis: str) -> None:
    noted = Noted()
    publisher = Publisher(Server(real_redis), "a-publisher")
    with subscribed(real_redis, noted):
        publisher.publish(ALERT, b"\xff one")
        noted.until(lambda: noted.messages == [(ALERT, b"\xff one")])
    publisher.close()


def test_a_publish_to_nobody_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RefusedError, match="refused"):
        Publisher(Server(f"redis://127.0.0.1:{port}"), "a-publisher").publish(ALERT, b"one")


def test_a_publish_whose_answer_is_lost_is_not_refused_and_not_made_again() -> None:
    with hanging_up() as url:
        publisher = Publisher(Server(url), "a-publisher")
        with pytest.raises(UnansweredError):
            publisher.publish(ALERT, b"one")
        publisher.close()


def test_a_redis_that_says_no_has_refused(real_redis: str) -> None:
    client = redis.Redis.from_url(real_redis)
    client.acl_setuser("reader", enabled=True, passwords=["+word"], commands=["-@all", "+client", "+ping"])
    publisher = Publisher(Server(real_redis.replace("://", "://reader:word@")), "a-publisher")
    with pytest.raises(RefusedError, match="permission"):
        publisher.publish(ALERT, b"one")
    publisher.close()
    client.close()


def test_a_subscriber_that_is_killed_tells_it_and_comes_back(real_redis: str) -> None:
    noted = Noted()
    client = redis.Redis.from_url(real_redis)
    with subscribed(real_redis, noted, "to-be-killed"):
        (listed,) = (each for each in client.client_list(_type="pubsub") if each["name"] == "to-be-killed")
        client.client_kill_filter(_id=listed["id"])
        noted.until(lambda: noted.events == ["listening", "cut", "listening"])
        client.publish(ALERT, "after it")
        noted.until(lambda: noted.messages == [(ALERT, b"after it")])
    client.close()


def test_a_subscriber_that_is_stopped_was_not_cut(real_redis: str) -> None:
    noted = Noted()
    with subscribed(real_redis, noted):
        pass
    assert noted.events == ["listening"]


def test_a_redis_that_is_not_there_is_told_with_the_option() -> None:
    with pytest.raises(HarnessError, match=r"--redis-url redis://:\*\*\*@127.0.0.1:1: cannot be reached"):
        Server("redis://:geheim@127.0.0.1:1").version()
    with pytest.raises(UsageError, match=r"--redis-url http://x: .*give redis://"):
        Server("http://x")


def test_a_real_one_tells_its_version(real_redis: str) -> None:
    assert Server(real_redis).version()[0].isdigit()


def test_a_screen_shows_what_synapse_broadcasts_and_tells_when_it_is_gone(real_redis: str) -> None:
    noted = Noted()

    async def run() -> None:
        async with synapse(real_redis) as url:
            screen = Screen(SynapseTarget(url), noted.showed, lambda why: noted.happened("cut"))
            await asyncio.to_thread(screen.start)
            publishing = Publisher(Server(real_redis), "a-publisher")
            # STOMP confirms no subscription: it is published until one is shown.
            for number in range(100):
                publishing.publish(ALERT, json.dumps({"message": "신규", "number": number}).encode())
                if await asyncio.to_thread(noted.took_one):
                    break
            publishing.close()
        await asyncio.to_thread(noted.until, lambda: noted.events == ["cut"])
        await asyncio.to_thread(screen.stop)

    asyncio.run(run())
    channel, body = noted.messages[0]
    assert (channel, json.loads(body)["content"]) == ("/topic/notifications", "신규")


def test_a_synapse_that_is_not_there_is_told_with_the_option() -> None:
    with pytest.raises(HarnessError, match=r"--synapse http://127.0.0.1:1: STOMP at ws://127.0.0.1:1/ws/notifications"):
        Screen(SynapseTarget("http://127.0.0.1:1"), lambda frame: None, lambda why: None).start()


def test_what_is_no_websocket_is_told() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            screen = Screen(SynapseTarget(url), lambda frame: None, lambda why: None)
            with pytest.raises(HarnessError, match=r"the handshake failed .*404"):
                await asyncio.to_thread(screen.start)

    asyncio.run(run())
