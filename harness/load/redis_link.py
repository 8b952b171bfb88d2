"""Blocking connections to Redis that say exactly what became of a publish, and of a subscription.

Straight on redis-py's connection: its client publishes again when an answer is lost, which makes a duplicate, and does
not say whether a command was sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from harness.bus import without_password
from harness.errors import HarnessError, UsageError

PATTERN: Final = "workbench:*"
CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 10.0
QUIET_SECONDS: Final = 2.0
"""Without a word from Redis after which it is asked for one."""
RETRY: Final = (0.02, 0.05, 0.1, 0.2)
"""Seconds between attempts to subscribe again, the last one again and again."""
TURN: Final = 32
"""Messages that are taken before others have their turn."""


class RefusedError(Exception):
    """It was not published, and cannot have been."""


class UnansweredError(Exception):
    """It was sent, and no answer came: it may have been published or not."""


class Server:
    """How a Redis is reached. Raises UsageError for what is no URL of one."""

    def __init__(self, url: str) -> None:
        self.shown = without_password(url)
        try:
            self._pool = redis.ConnectionPool.from_url(
                url,
                protocol=2,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
            )
        except ValueError as error:
            raise UsageError(
                f"--redis-url {self.shown}: {error}; give redis://, rediss:// or unix:// (also HARNESS_REDIS_URL)"
            ) from error

    def connection(self, name: str) -> Any:
        return self._pool.connection_class(**{**self._pool.connection_kwargs, "client_name": name})

    def version(self) -> str:
        """Raises HarnessError where it cannot be reached."""
        connection = self.connection("load")
        try:
            connection.connect()
            connection.send_command("INFO", "server")
            lines = connection.read_response().decode(errors="replace").splitlines()
        except (RedisError, OSError) as error:
            raise HarnessError(
                f"--redis-url {self.shown}: cannot be reached ({str(error).rstrip('.')}); start it, correct the URL "
                "(also HARNESS_REDIS_URL), or leave it and the host out for a private one"
            ) from error
        finally:
            connection.disconnect()
        found = (line.partition(":")[2] for line in lines if line.startswith("redis_version:"))
        return next(found, "of unknown version")


class Publisher:
    """Of one user, who publishes one message after the other."""

    def __init__(self, server: Server, name: str) -> None:
        self._connection = server.connection(name)

    def publish(self, channel: str, wire: bytes) -> None:
        """Raises RefusedError or UnansweredError; the next one connects again."""
        connection = self._connection
        try:
            connection.connect()
            command = connection.pack_command("PUBLISH", channel, wire)
        except (RedisError, OSError) as error:
            raise RefusedError(str(error)) from error
        try:
            connection.send_packed_command(command, check_health=False)
            connection.read_response()
        except ResponseError as error:
            raise RefusedError(str(error)) from error
        except (RedisError, OSError) as error:
            connection.disconnect()
            raise UnansweredError(str(error)) from error
        except BaseException:  # its user is stopped; the next answer would be taken for another's
            connection.disconnect()
            raise

    def close(self) -> None:
        self._connection.disconnect()


class Subscriber:
    """Takes everything off `workbench:*` on a connection of its own, and subscribes again when it is lost."""

    def __init__(
        self,
        server: Server,
        name: str,
        take: Callable[[str, bytes], None],
        listening: Callable[[], None],
        cut: Callable[[str], None],
    ) -> None:
        """`listening` is told when a subscription is confirmed, `cut` when a connection is found to be gone."""
        self._server = server
        self._connection = server.connection(name)
        self._take = take
        self._listening = listening
        self._cut = cut
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Returns when it is subscribed. Raises HarnessError when it cannot be."""
        try:
            self._subscribe()
        except (RedisError, OSError) as error:
            raise HarnessError(f"--redis-url {self._server.shown}: no subscription to {PATTERN} ({error})") from error
        self._thread = threading.Thread(target=self._run, name="load subscriber", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._connection.disconnect()
        if self._thread is not None:
            self._thread.join(ANSWER_SECONDS)

    def _subscribe(self) -> None:
        self._connection.connect()
        self._connection.send_command("PSUBSCRIBE", PATTERN)
        answer = self._connection.read_response(timeout=CONNECT_SECONDS)
        if not isinstance(answer, list) or answer[0] != b"psubscribe":
            raise redis.ConnectionError(f"{answer!r} was answered to PSUBSCRIBE")
        self._listening()

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._read()
            except (RedisError, OSError, ValueError) as error:  # ValueError: closed by `stop` while it was read
                if self._stopped:
                    return
                self._cut(str(error))
                self._connection.disconnect()
                self._again()

    def _again(self) -> None:
        attempt = 0
        while not self._stopped:
            time.sleep(RETRY[min(attempt, len(RETRY) - 1)])
            attempt += 1
            try:
                self._subscribe()
            except (RedisError, OSError):
                self._connection.disconnect()
                continue
            return

    def _read(self) -> None:
        read, take = self._connection.read_response, self._take
        turn, asked = 0, False
        while not self._stopped:
            try:
                answer = read(timeout=QUIET_SECONDS, disconnect_on_error=False)
            except redis.TimeoutError:
                if asked:
                    raise
                self._connection.send_command("PING", check_health=False)
                asked = True
                continue
            asked = False
            if answer[0] == b"pmessage":
                take(answer[2].decode(errors="replace"), answer[3])
            turn += 1
            if turn % TURN == 0:
                time.sleep(0)
