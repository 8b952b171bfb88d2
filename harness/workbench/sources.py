"""The three ways by which a browser learns that something happened: STOMP, server-sent events, or asking regularly.

A source knows nothing of cases or tenants, so that a viewer behaves the same on each of them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

from harness.stomp import Channel, ChannelClosedError, Client, Confirm, ProtocolError, StompError

TOPIC = "/topic/notifications"
EVENT = "notification"
POLL_SECONDS = 5.0

LOST = (OSError, ChannelClosedError, ProtocolError, StompError)
"""What a source raises when it cannot connect, or when its connection is gone. A timeout is an OSError."""

Notification = Mapping[str, Any]
"""A NotificationDto as it was sent."""

Source = Callable[[], AbstractAsyncContextManager[AsyncIterator[Notification | None]]]
"""Entered once nothing can be missed any more. Gives each notification, or None when it is time to look for oneself.

Ends, or raises one of LOST, with its connection.
"""

OpenChannel = Callable[[], AbstractAsyncContextManager[Channel]]
OpenStream = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""Entered when the server has answered 200: the body as it comes. Raises OSError when it is refused or lost."""


def stomp(open_channel: OpenChannel, *, name: str, confirm: Confirm | None) -> Source:
    """`name` begins the subscription ids and has to differ between viewers; `confirm` as for `Client.connect`."""

    @asynccontextmanager
    async def connected() -> AsyncIterator[AsyncIterator[Notification | None]]:
        async with open_channel() as channel:
            client = await Client.connect(channel, confirm=confirm, name=name)
            try:
                await client.subscribe(TOPIC)
                async with aclosing(_of_frames(client)) as notifications:
                    yield notifications
            finally:
                await client.abort()

    return connected


def sse(open_stream: OpenStream) -> Source:
    @asynccontextmanager
    async def connected() -> AsyncIterator[AsyncIterator[Notification | None]]:
        async with open_stream() as body, aclosing(_of_stream(body)) as notifications:
            yield notifications

    return connected


def polling(every: float = POLL_SECONDS) -> Source:
    """Asks for nothing itself: what there is to ask for is the viewer's list of recent actions."""

    @asynccontextmanager
    async def connected() -> AsyncIterator[AsyncIterator[Notification | None]]:
        async with aclosing(_ticks(every)) as ticks:
            yield ticks

    return connected


class EventStream:
    """Server-sent events out of the bytes of a body, wherever the sender cut them."""

    def __init__(self) -> None:
        self._rest = b""
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[tuple[str, str]]:
        """The name and the data of each event that is complete now; `message` where it has no name."""
        # A carriage return at the end may be the first half of a line end.
        *lines, self._rest = re.split(rb"\r\n|\n|\r(?!\Z)", self._rest + chunk)
        return list(self._read(line.decode(errors="replace") for line in lines))

    def _read(self, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
        for line in lines:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._event = value
            elif name == "data":
                self._data.append(value)
            elif not line:
                if self._data:
                    yield self._event or "message", "\n".join(self._data)
                self._event, self._data = "", []


async def _of_frames(client: Client) -> AsyncGenerator[Notification | None, None]:
    async for frame in client:
        for notification in _read(frame.text):
            yield notification


async def _of_stream(body: AsyncIterator[bytes]) -> AsyncGenerator[Notification | None, None]:
    events = EventStream()
    async for chunk in body:
        for name, data in events.feed(chunk):
            if name == EVENT:
                for notification in _read(data):
                    yield notification


async def _ticks(every: float) -> AsyncGenerator[Notification | None, None]:
    while True:
        await asyncio.sleep(every)
        yield None


def _read(text: str) -> Iterator[Notification]:
    """Nothing, for what no browser can read."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield value
