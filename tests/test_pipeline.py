"""Publishing on one connection, on the embedded Redis and on a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import fakeredis
import pytest
import redis
import redis.asyncio

from harness.pipeline import Pipeline
from harness.redis_server import private_server

CHANNEL = "workbench:alert"


@asynccontextmanager
async def client_of(url: str | None) -> AsyncIterator[redis.asyncio.Redis]:
    client = fakeredis.FakeAsyncRedis() if url is None else redis.asyncio.Redis.from_url(url, protocol=2)
    async with client:
        yield client


@asynccontextmanager
async def pipeline_of(client: redis.asyncio.Redis) -> AsyncIterator[Pipeline]:
    pipeline = Pipeline(client)
    try:
        yield pipeline
    finally:
        await pipeline.close()


@asynccontextmanager
async def opened(url: str | None) -> AsyncIterator[Pipeline]:
    async with client_of(url) as client, pipeline_of(client) as pipeline, asyncio.timeout(10):
        yield pipeline


def kill_publishers(url: str) -> None:
    with redis.Redis.from_url(url) as other:
        other.client_kill_filter(_type="normal")


def test_all_that_is_published_at_once_arrives_in_order_and_each_is_told_who_received_it(redis_url: str | None) -> None:
    sent = [str(number).encode() for number in range(500)]

    async def scene() -> tuple[list[int], list[bytes], int]:
        async with client_of(redis_url) as client, pipeline_of(client) as pipeline, client.pubsub() as listening:
            await listening.subscribe(CHANNEL)
            await listening.get_message(timeout=1)
            some = [pipeline.publish(CHANNEL if number % 2 else "elsewhere", wire) for number, wire in enumerate(sent)]
            receivers = await asyncio.gather(*some)
            heard: list[bytes] = []
            while len(heard) < len(sent) // 2:
                message = await listening.get_message(ignore_subscribe_messages=True, timeout=1)
                assert message is not None
                heard.append(message["data"])
            return receivers, heard, await pipeline.publish(CHANNEL, b"\xff")

    receivers, heard, last = asyncio.run(scene())
    assert receivers == [number % 2 for number in range(500)]
    assert heard == sent[1::2]
    assert last == 1


def test_it_is_one_connection(real_redis: str) -> None:
    async def scene() -> int:
        async with opened(f"{real_redis}?client_name=one-pipeline") as pipeline:
            await asyncio.gather(*(pipeline.publish(CHANNEL, b"{}") for _ in range(50)))
            async with redis.asyncio.Redis.from_url(real_redis) as other:
                return [client["name"] for client in await other.client_list()].count("one-pipeline")

    assert asyncio.run(scene()) == 1


def test_a_connection_that_is_lost_on_the_way_is_told_and_then_there_is_another(real_redis: str) -> None:
    async def scene() -> list[object]:
        async with opened(real_redis) as pipeline, redis.asyncio.Redis.from_url(real_redis) as other:
            await pipeline.publish(CHANNEL, b"1")
            await other.client_pause(5000, all=False)
            on_the_way = [asyncio.create_task(pipeline.publish(CHANNEL, wire)) for wire in (b"2", b"3")]
            await asyncio.sleep(0.05)
            await other.client_kill_filter(_type="normal")
            told = await asyncio.gather(*on_the_way, return_exceptions=True)
            await other.client_unpause()
            return [*map(type, told), await pipeline.publish(CHANNEL, b"4")]

    assert asyncio.run(scene()) == [redis.ConnectionError, redis.ConnectionError, 0]


def test_a_connection_that_was_lost_while_nobody_published_is_replaced_unnoticed(real_redis: str) -> None:
    async def scene() -> int:
        async with opened(real_redis) as pipeline:
            await pipeline.publish(CHANNEL, b"1")
            kill_publishers(real_redis)
            await asyncio.sleep(0.05)
            return await pipeline.publish(CHANNEL, b"2")

    assert asyncio.run(scene()) == 0


def test_a_server_that_is_gone_is_told_to_each_until_it_is_back() -> None:
    async def scene() -> tuple[list[type], int]:
        with private_server() as server:
            async with opened(server.url) as pipeline:
                await pipeline.publish(CHANNEL, b"1")
                server.stop()
                told = []
                for _ in range(2):
                    attempts = (pipeline.publish(CHANNEL, b"2") for _ in range(2))
                    told += await asyncio.gather(*attempts, return_exceptions=True)
                server.start()
                return [type(each) for each in told], await pipeline.publish(CHANNEL, b"3")

    assert asyncio.run(scene()) == ([redis.ConnectionError] * 4, 0)


def test_what_redis_refuses_is_told_to_who_published_it_and_to_nobody_else(real_redis: str) -> None:
    async def scene() -> list[object]:
        async with client_of(real_redis) as admin:
            await admin.acl_setuser(
                "half", enabled=True, nopass=True, reset_channels=True, channels=["open:*"], categories=["+@all"]
            )
            try:
                async with opened(real_redis.replace("://", "://half@")) as pipeline:
                    attempts = (pipeline.publish(channel, b"{}") for channel in ("open:1", "shut:1", "open:2"))
                    return list(await asyncio.gather(*attempts, return_exceptions=True))
            finally:
                await admin.acl_deluser("half")

    first, refused, last = asyncio.run(scene())
    assert (first, last) == (0, 0)
    assert isinstance(refused, redis.ResponseError)


def test_a_publisher_that_gives_up_leaves_the_answers_of_the_others_in_their_order(redis_url: str | None) -> None:
    async def scene() -> list[int]:
        async with client_of(redis_url) as client, pipeline_of(client) as pipeline, client.pubsub() as listening:
            await listening.subscribe(CHANNEL)
            await listening.get_message(timeout=1)
            tasks = [asyncio.create_task(pipeline.publish(name, b"{}")) for name in ("elsewhere", "elsewhere", CHANNEL)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.wait(tasks)
            return [task.result() for task in tasks[1:]]

    assert asyncio.run(scene()) == [0, 1]


def test_a_server_that_says_nothing_is_told_in_time(unanswering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.pipeline.ANSWER_SECONDS", 0.05)

    async def scene() -> None:
        async with opened(unanswering) as pipeline:
            with pytest.raises(redis.ConnectionError, match=r"may be lost: no answer within 0\.05 s"):
                await pipeline.publish(CHANNEL, b"{}")

    asyncio.run(scene())


def test_whoever_waits_when_it_is_closed_is_told(unanswering: str) -> None:
    async def scene() -> list[str]:
        async with opened(unanswering) as pipeline:
            waiting = [asyncio.create_task(pipeline.publish(CHANNEL, b"1"))]
            await asyncio.sleep(0.01)
            waiting.append(asyncio.create_task(pipeline.publish(CHANNEL, b"2")))
            await asyncio.sleep(0.01)
            await pipeline.close()
            assert pipeline._waiting == []
            return [str(each) for each in await asyncio.gather(*waiting, return_exceptions=True)]

    assert asyncio.run(scene()) == ["what was published may be lost: it is closed"] * 2


def test_whoever_published_a_moment_before_it_was_closed_is_told_and_so_is_who_comes_after(
    redis_url: str | None,
) -> None:
    async def scene() -> list[str]:
        async with opened(redis_url) as pipeline:
            begun = asyncio.create_task(pipeline.publish(CHANNEL, b"1"))
            await asyncio.sleep(0)
            await pipeline.close()
            return [
                str(each)
                for each in await asyncio.gather(begun, pipeline.publish(CHANNEL, b"2"), return_exceptions=True)
            ]

    told = ["what was published may be lost: it is closed", "nothing is published any more: the connection is closed"]
    assert asyncio.run(scene()) == told


def test_what_cannot_be_sent_at_all_is_told_as_what_kept_it(real_redis: str) -> None:
    async def scene() -> None:
        async with opened(real_redis.replace("://", "://nobody:wrong@")) as pipeline:
            with pytest.raises(redis.AuthenticationError):
                await pipeline.publish(CHANNEL, b"1")

    asyncio.run(scene())
