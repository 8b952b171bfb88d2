"""Publishing on one connection: what is published while an answer is awaited goes out together, in one write, and the
answers come back in that order. A pool would take, check and return a connection for every message, which costs several
times the publishing itself, and keeps no order between two of them.
"""

from __future__ import annotations

import asyncio
from typing import Any

import redis.asyncio
from redis.exceptions import ConnectionError, RedisError, ResponseError

ANSWER_SECONDS = 5.0
"""As long as redis-py waits by itself."""

_Waiting = list[tuple[list[bytes], asyncio.Future[int]]]


class Pipeline:
    """Connects when it is first used, and again after a loss. What was on its way then may have arrived or not, and is
    not sent again.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        """With a connection of its own, made as the client makes them."""
        self._pool = client.connection_pool
        self._connection: Any = self._pool.make_connection()  # type: ignore[no-untyped-call]
        # Its own limit would be a timer for each message; here is one for all that go together.
        self._connection.socket_timeout = None
        self._waiting: _Waiting = []
        self._sending: asyncio.Task[None] | None = None
        self._closed = False

    async def publish(self, channel: str, wire: bytes) -> int:
        """How many subscribers received it. Raises redis-py's ConnectionError when that cannot be known, and what
        connecting raises when it was not sent at all."""
        if self._closed:
            raise ConnectionError("nothing is published any more: the connection is closed")
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._connection.pack_command("PUBLISH", channel, wire), answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all(), name="redis publishing")
        return await answer

    async def close(self) -> None:
        """Whoever still waits for an answer is told that it cannot be known."""
        self._closed = True
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait({self._sending})
        self._give_up()  # a task that is cancelled before its first step tells nobody
        await self._connection.disconnect()

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                await self._send(together)
        finally:
            self._give_up()

    def _give_up(self) -> None:
        self._sending = None
        unsent, self._waiting = self._waiting, []
        _fail(unsent, _lost("it is closed"))

    async def _send(self, together: _Waiting) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                try:
                    await self._pool.ensure_connection(self._connection)
                except (RedisError, OSError) as error:
                    _fail(together, error)
                    return
                await self._connection.send_packed_command([part for command, _ in together for part in command])
                for _, answer in together:
                    await self._receive(answer)
        except asyncio.CancelledError:
            await self._lose(together, _lost("it is closed"))
            raise
        except TimeoutError:
            await self._lose(together, _lost(f"no answer within {ANSWER_SECONDS:g} s"))
        except Exception as error:  # whatever it was, nobody may wait for ever
            lost = _lost(error)
            lost.__cause__ = error
            await self._lose(together, lost)

    async def _lose(self, together: _Waiting, error: Exception) -> None:
        """Answers that come yet would be taken for those to what is sent next."""
        await self._connection.disconnect(nowait=True)
        _fail(together, error)

    async def _receive(self, answer: asyncio.Future[int]) -> None:
        try:
            receivers = int(await self._connection.read_response())
        except ResponseError as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():  # whoever published was cancelled
                answer.set_result(receivers)


def _lost(why: object) -> ConnectionError:
    return ConnectionError(f"what was published may be lost: {why}")


def _fail(waiting: _Waiting, error: Exception) -> None:
    for _, answer in waiting:
        if not answer.done():
            answer.set_exception(error)
