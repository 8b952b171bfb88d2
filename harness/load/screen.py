"""A screen that sees every notification that Synapse broadcasts: STOMP on a blocking WebSocket, which says when it was
cut off.

The `websockets` package without its connections, which need an event loop or three threads: bytes go in, frames come
out.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from harness.errors import HarnessError
from harness.live.address import shown, trusted
from harness.live.synapse import TOPIC, SynapseTarget
from harness.stomp import SUBPROTOCOLS, VERSIONS, Decoder, Frame, ProtocolError, encode

RETRY_SECONDS: Final = 0.2
CHUNK: Final = 64 * 1024
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class ClosedError(Exception):
    """The connection is gone, or was never there."""


class Screen:
    """Calls `take` with each MESSAGE frame."""

    def __init__(self, target: SynapseTarget, take: Callable[[Frame], None], cut: Callable[[str], None]) -> None:
        """`cut` is told when the connection is found to be gone. STOMP does not confirm a subscription: that it is
        there again shows with the first frame."""
        self._target = target
        self._take = take
        self._cut = cut
        self._session: _Session | None = None
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Returns when it has asked for the topic. Raises HarnessError when it cannot."""
        try:
            self._session = _Session(self._target)
        except ClosedError as error:
            raise HarnessError(
                f"--synapse {shown(self._target.url)}: STOMP at {shown(self._target.websocket)}: {error}; correct the "
                "URL (also HARNESS_SYNAPSE_URL)"
            ) from error
        self._thread = threading.Thread(target=self._run, name="load screen", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        if self._session is not None:
            self._session.close()
        if self._thread is not None:
            self._thread.join(self._target.patience)

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._read()
            except ClosedError as error:
                if self._stopped:
                    return
                self._cut(str(error))
                self._again()

    def _again(self) -> None:
        while not self._stopped:
            time.sleep(RETRY_SECONDS)
            try:
                self._session = _Session(self._target)
            except ClosedError:
                continue
            return

    def _read(self) -> None:
        session = self._session
        assert session is not None
        while True:
            for frame in session.receive():
                if frame.command == "MESSAGE":
                    self._take(frame)
                elif frame.command == "ERROR":
                    raise ClosedError(f"STOMP ERROR {frame.headers.get('message', '')}")
            time.sleep(0)  # others have their turn


class _Session:
    """One WebSocket, greeted and subscribed. Everything raises ClosedError once it is gone."""

    def __init__(self, target: SynapseTarget) -> None:
        self._decoder = Decoder()
        try:
            uri = parse_uri(target.websocket)
            offered = [Subprotocol(name) for name in SUBPROTOCOLS]
            self._protocol = ClientProtocol(uri, subprotocols=offered, max_size=None)
            self._socket = _connected(target, target.patience)
        except (OSError, InvalidURI) as error:
            raise ClosedError(f"cannot be reached ({error})") from error
        try:
            self._greet(target.headers)
        except BaseException:
            self.close()
            raise
        self._socket.settimeout(None)

    def receive(self) -> list[Frame]:
        """The next frames; none for a message that holds none, a heart-beat."""
        return self._decoded(self._messages())

    def close(self) -> None:
        """Ends a `receive` that waits elsewhere, too."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _greet(self, headers: Mapping[str, str]) -> None:
        request = self._protocol.connect()
        request.headers.update(dict(headers))
        self._protocol.send_request(request)
        self._flush()
        while self._protocol.state is not OPEN:
            waiting = self._messages()
            if self._protocol.handshake_exc is not None:
                raise ClosedError(f"the handshake failed ({self._protocol.handshake_exc})")
        own = {"accept-version": ",".join(VERSIONS), "host": "/", "heart-beat": "0,0"}
        self._send(Frame("CONNECT", own))
        frames = self._decoded(waiting)
        while not frames:
            frames = self.receive()
        if frames[0].command != "CONNECTED":
            raise ClosedError(f"{frames[0].command} was answered to CONNECT")
        self._decoder.version = frames[0].headers.get("version", "1.0")
        self._send(Frame("SUBSCRIBE", {"id": f"load-{os.getpid()}", "destination": TOPIC, "ack": "auto"}))

    def _send(self, frame: Frame) -> None:
        self._protocol.send_text(encode(frame, self._decoder.version))
        self._flush()

    def _flush(self) -> None:
        try:
            for data in self._protocol.data_to_send():
                if data:
                    self._socket.sendall(data)
        except OSError as error:
            raise ClosedError(str(error)) from error

    def _messages(self) -> list[bytes]:
        """What came with the next bytes."""
        try:
            data = self._socket.recv(CHUNK)
        except OSError as error:
            raise ClosedError(str(error) or type(error).__name__) from error
        if not data:
            raise ClosedError("closed by the server")
        self._protocol.receive_data(data)
        self._flush()  # a ping is answered
        events = self._protocol.events_received()
        return [bytes(event.data) for event in events if isinstance(event, WebSocketFrame) and event.opcode in _DATA]

    def _decoded(self, messages: list[bytes]) -> list[Frame]:
        try:
            return [frame for message in messages for frame in self._decoder.feed(message)]
        except ProtocolError as error:
            raise ClosedError(str(error)) from error


def _connected(target: SynapseTarget, patience: float) -> socket.socket:
    parts = urlsplit(target.url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    connection = socket.create_connection((host, parts.port or (443 if secure else 80)), patience)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return trusted(target.verify).wrap_socket(connection, server_hostname=host) if secure else connection
