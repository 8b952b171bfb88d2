"""Spring's RedisMessageListenerContainer on Lettuce: each message is handled on its own, so that nothing keeps their
order, and a lost connection comes back with its subscription but without what was published meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final, Protocol

from redis.exceptions import RedisError

log = logging.getLogger("harness.synapse")

LOST: Final = (OSError, RedisError)
FIRST_DELAY: Final = 0.001
LONGEST_DELAY: Final = 30.0
MOST_TURNS: Final = 4


class Subscription(Protocol):
    """Iterating raises one of `LOST`, or ends, when the connection is gone."""

    def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]: ...

    async def close(self) -> None: ...


Connect = Callable[[], Awaitable[Subscription]]
"""Subscribes, and returns when Redis has confirmed it; raises one of `LOST` when Redis cannot be reached."""

Listener = Callable[[str, bytes], Awaitable[None]]
OnFailure = Callable[[str, bytes, Exception], None]
"""Told channel and message as they came, and what the listener raised."""


class Dispatcher:
    """Stands in for Spring's new thread per message: a task that lets others go first, as often as the seed says."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._running: set[asyncio.Task[None]] = set()

    def dispatch(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._run(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def give_way(self) -> None:
        """Lets the loop do none, one or a few rounds of other work; takes no time."""
        for _ in range(self._random.randint(0, MOST_TURNS)):
            await asyncio.sleep(0)

    async def idle(self) -> None:
        """Returns when all that was dispatched is done."""
        while self._running:
            await asyncio.wait(self._running)

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        await self.give_way()
        await work()


class ListenerContainer:
    def __init__(
        self,
        connect: Connect,
        listener: Listener,
        dispatcher: Dispatcher,
        on_failure: OnFailure = lambda channel, wire, error: None,
    ) -> None:
        self.failures = 0
        """How many messages the listener raised an exception for."""
        self._connect = connect
        self._listener = listener
        self._dispatcher = dispatcher
        self._on_failure = on_failure
        self._stopping = False
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the first subscription is confirmed. As in Spring there is no second try: what `connect` raises
        is raised here.
        """
        self._stopping = False
        self._subscription = await self._connect()
        self._task = asyncio.create_task(self._run(), name="redis listener container")

    async def stop(self) -> None:
        """Returns when every message that came in is handled."""
        self._stopping = True
        # Before the cancellation: fakeredis goes on counting a subscriber whose read was cancelled.
        await self._close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self.idle()
        self._task = None

    async def idle(self) -> None:
        """Returns when every message that came in is handled; what Redis still has on its way is not known here.

        Raises what ended the listening, if it was no lost connection.
        """
        await self._dispatcher.idle()
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        # The flag is looked at besides, because Python 3.11 can lose a cancellation.
        while not self._stopping and self._subscription is not None:
            reason = await self._listen(self._subscription)
            await self._close()
            if not self._stopping:
                log.warning("Redis connection lost (%s), reconnecting", reason)
                self._subscription = await self._reconnected()
                log.info("Redis connection and subscription recovered")
        await self._close()

    async def _listen(self, subscription: Subscription) -> object:
        """Why it ended."""
        try:
            async for channel, wire in subscription:
                self._dispatcher.dispatch(partial(self._handle, channel, wire))
                if self._stopping:
                    return "stopping"
        except LOST as error:
            return error
        return "the subscription ended"

    async def _reconnected(self) -> Subscription:
        delay = FIRST_DELAY
        while True:
            await asyncio.sleep(delay)
            try:
                return await self._connect()
            except LOST as error:
                log.debug("reconnecting after %g s failed: %s", delay, error)
            delay = min(2 * delay, LONGEST_DELAY)

    async def _close(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(*LOST):
                await subscription.close()

    async def _handle(self, channel: str, wire: bytes) -> None:
        try:
            await self._listener(channel, wire)
        except Exception as error:  # as Spring does: whatever one message causes, the next one is handled
            self.failures += 1
            log.error("Listener execution failed", exc_info=error)
            self._on_failure(channel, wire, error)
