"""STOMP 1.0, 1.1 and 1.2 over WebSocket messages: frames, their text on the wire, and a client.

The client speaks to a `Channel` and never to a socket, so that one and the same client reads a simulated
Synapse on a loop with virtual time and a live one over the network.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harness import history

if TYPE_CHECKING:
    import ssl

    from websockets.asyncio.client import ClientConnection

VERSIONS = ("1.2", "1.1", "1.0")
SUBPROTOCOLS = ("v12.stomp", "v11.stomp", "v10.stomp")
HEARTBEAT = "\n"

_WITH_BODY = frozenset({"SEND", "MESSAGE", "ERROR"})
_UNESCAPED = frozenset({"CONNECT", "STOMP", "CONNECTED"})
_TRANSACTIONS = frozenset({"ACK", "NACK", "BEGIN", "COMMIT", "ABORT"})
COMMANDS = _WITH_BODY | _UNESCAPED | _TRANSACTIONS | {"SUBSCRIBE", "UNSUBSCRIBE", "DISCONNECT", "RECEIPT"}
_ESCAPES: dict[str, dict[str, str]] = {
    "1.0": {},
    "1.1": {"\\": "\\\\", "\n": "\\n", ":": "\\c"},
    "1.2": {"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"},
}
_UNESCAPES = {version: {escape: raw for raw, escape in pairs.items()} for version, pairs in _ESCAPES.items()}
_ESCAPE_SEQUENCE = re.compile(r"\\.?", re.DOTALL)


class ProtocolError(ValueError):
    """What came in is not STOMP, or what should go out cannot be written as STOMP."""


class ChannelClosedError(Exception):
    """The WebSocket is closed; nothing more comes or goes."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"WebSocket closed: code {code}" + (f", {reason}" if reason else ""))
        self.code = code
        self.reason = reason


class StompError(Exception):
    """The server answered with an ERROR frame."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(f"STOMP ERROR: {frame.headers.get('message', '')} {frame.text}".rstrip())
        self.frame = frame


@dataclass(frozen=True, slots=True)
class Frame:
    command: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def encode(frame: Frame, version: str = "1.2") -> bytes:
    """`frame` on the wire. A frame that may have a body gets its true content-length, in bytes, as its last
    header.
    """
    if frame.body and frame.command not in _WITH_BODY:
        raise ProtocolError(f"{frame.command}: found a body of {len(frame.body)} bytes, expected none")
    escapes = {} if frame.command in _UNESCAPED else _ESCAPES[version]
    lines = [frame.command]
    for name, value in frame.headers.items():
        if name != "content-length" or frame.command not in _WITH_BODY:
            lines.append(_header_line(name, value, escapes))
    if frame.command in _WITH_BODY:
        lines.append(f"content-length:{len(frame.body)}")
    return "\n".join(lines).encode() + b"\n\n" + frame.body + b"\0"


def _header_line(name: str, value: str, escapes: Mapping[str, str]) -> str:
    if not escapes and (":" in name or "\n" in name + value):
        raise ProtocolError(f"header {name!r}: {value!r} cannot be written without escapes")
    table = str.maketrans({**escapes})
    return f"{name.translate(table)}:{value.translate(table)}"


def _unescaped(text: str, escapes: Mapping[str, str]) -> str:
    def replacement(found: re.Match[str]) -> str:
        if found[0] not in escapes:
            known = " ".join(escapes)
            raise ProtocolError(f"header {text!r}: found the escape {found[0]!r}, expected one of {known}")
        return escapes[found[0]]

    return _ESCAPE_SEQUENCE.sub(replacement, text) if escapes and "\\" in text else text


class Decoder:
    """Frames out of WebSocket messages, wherever the sender cut them. Heart-beats are taken and give no
    frame.

    After a ProtocolError the decoder is of no more use: where the next frame begins cannot be known.
    """

    def __init__(self, version: str = "1.2", limit: int | None = None) -> None:
        """`limit`: as many bytes may wait at once, complete frames of one message included."""
        self.version = version
        self._limit = limit
        self._buffer = b""
        self._announced = 0

    def feed(self, message: str | bytes) -> list[Frame]:
        self._buffer += message.encode() if isinstance(message, str) else message
        if self._limit is not None and max(len(self._buffer), self._announced) > self._limit:
            raise ProtocolError(f"found more than {self._limit} bytes in the buffer of incoming frames")
        frames: list[Frame] = []
        # What is announced need not be looked through again before it is there.
        if len(self._buffer) < self._announced:
            return frames
        while found := self._next():
            frame, end = found
            frames.append(frame)
            self._buffer = self._buffer[end:]
        return frames

    def _next(self) -> tuple[Frame, int] | None:
        self._announced = 0
        self._buffer = self._buffer.lstrip(b"\r\n" if self.version == "1.2" else b"\n")
        head = self._head()
        if head is None:
            return None
        command, headers, start = head
        end = self._body_end(headers, start)
        if end is None:
            return None
        body = self._buffer[start:end]
        if body and command not in _WITH_BODY:
            raise ProtocolError(f"{command}: found a body of {len(body)} bytes, expected none")
        return Frame(command, headers, body), end + 1

    def _head(self) -> tuple[str, dict[str, str], int] | None:
        line = self._line(0)
        if line is None:
            return None
        command, start = line
        if command not in COMMANDS:
            raise ProtocolError(f"found the command {command!r}, expected one of STOMP")
        escapes = {} if command in _UNESCAPED else _UNESCAPES[self.version]
        headers: dict[str, str] = {}
        while line := self._line(start):
            text, start = line
            if not text:
                return command, headers, start
            name, colon, value = text.partition(":")
            if not name or not colon:
                raise ProtocolError(f"{command}: found the header line {text!r}, expected name:value")
            headers.setdefault(_unescaped(name, escapes), _unescaped(value, escapes))
        return None

    def _line(self, start: int) -> tuple[str, int] | None:
        end = self._buffer.find(b"\n", start)
        if end < 0:
            return None
        line = self._buffer[start:end]
        if self.version == "1.2":
            line = line.removesuffix(b"\r")
            if b"\r" in line:
                raise ProtocolError(f"found a carriage return inside {line!r}, expected a newline after it")
        return line.decode("utf-8", "replace"), end + 1

    def _body_end(self, headers: Mapping[str, str], start: int) -> int | None:
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            end = self._buffer.find(b"\0", start)
            return end if end >= 0 else None
        end = start + int(length)
        if len(self._buffer) <= end:
            self._announced = int(length)
            return None
        if self._buffer[end]:
            raise ProtocolError(f"found no NUL after the {length} bytes of the body")
        return end


class Channel(Protocol):
    """A WebSocket connection. `send` and `receive` raise ChannelClosedError once it is closed."""

    async def send(self, message: str | bytes) -> None: ...

    async def receive(self) -> str | bytes: ...

    async def close(self) -> None: ...


Confirm = Callable[[str, str], Awaitable[object]]
"""Given destination and subscription id, returns once the server holds this subscription."""


class Client:
    """One STOMP session. Iterating gives the MESSAGE frames in their order of arrival; it ends after
    `disconnect`.

    An ERROR frame, a malformed frame and a lost connection are raised to whoever iterates or waits.
    Heart-beats are never asked for: the WebSocket below has its own pings.
    """

    def __init__(self, channel: Channel, *, name: str, confirm: Confirm | None, patience: float) -> None:
        self.headers: Mapping[str, str] = {}
        self._channel = channel
        self._name = name
        self._confirm = confirm
        self._patience = patience
        self._decoder = Decoder()
        self._messages: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[Frame]] = {}
        self._failure: Exception | None = None
        self._subscribed = 0
        self._reader: asyncio.Task[None] | None = None

    @property
    def version(self) -> str:
        return self.headers.get("version", "1.0")

    @classmethod
    async def connect(
        cls,
        channel: Channel,
        *,
        confirm: Confirm | None,
        name: str = "sub",
        host: str = "/",
        versions: Sequence[str] = VERSIONS,
        headers: Mapping[str, str] | None = None,
        patience: float = 5.0,
    ) -> Client:
        """`confirm` is how `subscribe` learns that it took effect: Spring answers no receipt for SUBSCRIBE.
        With None, a subscription is only sent. `name` begins the subscription ids. `patience`, in seconds of
        the loop, bounds the wait for CONNECTED and for the receipt of DISCONNECT.
        """
        client = cls(channel, name=name, confirm=confirm, patience=patience)
        client._reader = asyncio.create_task(client._read())
        try:
            own = {"accept-version": ",".join(versions), "host": host, "heart-beat": "0,0"}
            await client._greet({**own, **(headers or {})})
        except BaseException:
            await client.abort()
            raise
        return client

    async def _greet(self, headers: Mapping[str, str]) -> None:
        frame = await self._ask("CONNECTED", Frame("CONNECT", headers))
        self.headers = frame.headers
        if self.version not in VERSIONS:
            expected = ", ".join(VERSIONS)
            raise ProtocolError(f"CONNECTED: found version {self.version!r}, expected one of {expected}")
        self._decoder.version = self.version

    async def subscribe(self, destination: str, subscription: str | None = None) -> str:
        """The subscription's id, once the server holds it."""
        if subscription is None:
            subscription = f"{self._name}-{self._subscribed}"
            self._subscribed += 1
        headers = {"id": subscription, "destination": destination, "ack": "auto"}
        await self._send(Frame("SUBSCRIBE", headers))
        if self._confirm is not None:
            try:
                async with asyncio.timeout(self._patience):
                    await self._confirm(destination, subscription)
            except TimeoutError:
                found = f"SUBSCRIBE {destination}: found no sign of it at the server within {self._patience} s"
                raise self._failure or TimeoutError(found) from None
        return subscription

    async def unsubscribe(self, subscription: str) -> None:
        await self._send(Frame("UNSUBSCRIBE", {"id": subscription}))

    async def send(self, destination: str, body: bytes, content_type: str = "application/json") -> None:
        await self._send(Frame("SEND", {"destination": destination, "content-type": content_type}, body))

    async def disconnect(self) -> None:
        """Leaves when the server has answered the receipt, and so has handled all that was sent before."""
        try:
            await self._ask("disconnect", Frame("DISCONNECT", {"receipt": "disconnect"}))
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Leaves without a word, as a closed browser tab does."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        await self._channel.close()
        self._messages.put_nowait(None)

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        frame = await self._messages.get()
        if frame is not None:
            return frame
        # Whoever asks again gets the same answer.
        self._messages.put_nowait(None)
        raise self._failure or StopAsyncIteration

    async def _send(self, frame: Frame) -> None:
        if self._failure is not None:
            raise self._failure
        await self._channel.send(_message(encode(frame, self.headers.get("version", "1.2"))))

    async def _ask(self, answer: str, frame: Frame) -> Frame:
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._answers[answer] = future
        try:
            await self._send(frame)
            async with asyncio.timeout(self._patience):
                return await future
        except TimeoutError:
            raise TimeoutError(f"{frame.command}: found no answer within {self._patience} s") from None
        finally:
            del self._answers[answer]

    async def _read(self) -> None:
        try:
            while True:
                for frame in self._decoder.feed(await self._channel.receive()):
                    self._take(frame)
        except Exception as failure:
            # Raised where somebody waits, who would wait forever if this task died alone.
            self._failure = failure
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(failure)
            self._messages.put_nowait(None)

    def _take(self, frame: Frame) -> None:
        if frame.command == "MESSAGE":
            self._messages.put_nowait(frame)
        elif frame.command == "ERROR":
            raise StompError(frame)
        else:
            future = self._answers.get(frame.headers.get("receipt-id", frame.command))
            if future is not None and not future.done():
                future.set_result(frame)


def _message(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


class _Socket:
    """A Channel on a connection of the `websockets` package."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: str | bytes) -> None:
        with self._closing():
            await self._connection.send(message)

    async def receive(self) -> str | bytes:
        with self._closing():
            return await self._connection.recv()

    async def close(self) -> None:
        await self._connection.close()

    @contextmanager
    def _closing(self) -> Iterator[None]:
        from websockets.exceptions import ConnectionClosed

        try:
            yield
        except ConnectionClosed:
            # Without a close frame there is no code: 1006 is what the WebSocket API calls that.
            code, reason = self._connection.close_code or 1006, self._connection.close_reason or ""
            raise ChannelClosedError(code, reason) from None


@asynccontextmanager
async def open_websocket(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Channel]:
    """A Channel over the network, not by way of a proxy that the environment names, for HTTP does not go that way
    either; `tls` is for wss:// only. What the handshake raises is the `websockets` package's own, or OSError."""
    # Only a live target needs it, and it takes a third of the start-up time that the command line may have.
    from websockets.asyncio.client import connect
    from websockets.typing import Subprotocol

    offered = [Subprotocol(name) for name in SUBPROTOCOLS]
    async with connect(
        url, subprotocols=offered, additional_headers=headers, max_size=None, ssl=tls, proxy=None
    ) as connection:
        yield _Socket(connection)


async def record(client: Client, recorder: history.Recorder, seat: str) -> None:
    """The tap: every MESSAGE frame that arrives becomes a `broadcast` event, until the client disconnects."""
    async for frame in client:
        recorder.record("broadcast", as_event(frame), seat=seat)


def as_event(frame: Frame) -> dict[str, object]:
    """What a history says of a MESSAGE frame."""
    return {
        "destination": frame.headers.get("destination"),
        "subscription": frame.headers.get("subscription"),
        "message_id": frame.headers.get("message-id"),
        "body": history.encode(frame.body),
    }
