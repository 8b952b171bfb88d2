"""The load on a record endpoint: HTTP/1.1 on connections that stay open, prepared bytes, one call after another.
An ordinary client would be slower than what is measured; this one costs less than a bare server does.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from urllib.request import urlopen

PATH, CPU = "/aura/action/record", "/cpu"
CONNECTIONS = 16


def request(token: str, message_bytes: int = 0) -> bytes:
    """A call whose notification has about that many bytes, 300 at least; what makes it longer is Korean."""
    padding = "검토자" * ((message_bytes - 300) // 9)
    action = {
        "case_id": "DEMO00001",
        "request_id": "req-abc123",
        "executor_id": f"user-456{padding}",
        "approved": True,
        "comment": "검토 후 승인",
        "doc_key": "1000-1900000001-2024",
    }
    body = json.dumps(action, ensure_ascii=False).encode()
    lines = (
        f"POST {PATH} HTTP/1.1",
        "host: 127.0.0.1",
        f"authorization: Bearer {token}",
        "x-tenant-id: 7",
        "content-type: application/json",
        f"content-length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def rate(port: int, requests: Iterator[bytes], seconds: float) -> float:
    """Answers a second; every one has to be 200."""
    answers, took = asyncio.run(_load(port, requests, seconds))
    return answers / took


def rate_of_cpu(port: int, requests: Iterator[bytes], seconds: float) -> float:
    """Answers in a second of the server's CPU: what one process can do, however busy the machine is besides."""
    before = _cpu(port)
    answers, _ = asyncio.run(_load(port, requests, seconds))
    return answers / (_cpu(port) - before)


def _cpu(port: int) -> float:
    with urlopen(f"http://127.0.0.1:{port}{CPU}") as answer:
        return float(answer.read())


async def _load(port: int, requests: Iterator[bytes], seconds: float) -> tuple[int, float]:
    """How many answers there were, and how many seconds it took."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    callers = []
    for _ in range(CONNECTIONS):
        caller = _Caller(requests, began + seconds, loop.create_future())
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)  # type: ignore[misc]
        callers.append(caller)
    try:
        await asyncio.gather(*(caller.done for caller in callers))
        return sum(caller.answers for caller in callers), time.perf_counter() - began
    finally:
        for caller in callers:
            caller.close()
        await asyncio.sleep(0)


class _Caller(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], until: float, done: asyncio.Future[None]) -> None:
        self.answers = 0
        self.done = done
        self._requests = requests
        self._until = until
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        self._received = b""
        self.answers += 1
        if not head.startswith(b"HTTP/1.1 200 "):
            self.done.set_exception(AssertionError(f"a call was not answered 200: {head!r}"))
        elif time.perf_counter() < self._until:
            self._transport.write(next(self._requests))
        else:
            self.done.set_result(None)

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed a connection"))
