"""The event stream: what STOMP clients hear, for browsers that have only an EventSource."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import httpx2
import pytest

from harness.asgi_websocket import open_asgi_websocket
from harness.stomp import Client
from harness.synapse.app import STREAM, WEBSOCKET
from harness.synapse.broadcast import TOPIC
from harness.synapse.instant import Instant
from harness.synapse.notification import NotificationDto
from harness.synapse.seat import Synapse
from harness.synapse.settings import Settings
from harness.synapse.sse import BUFFER_LIMIT, EventStreams
from harness.virtual import run
from synapse.feeds import ALERT, NOW, Feed, Stopped, always
from synapse.streams import Stream, open_stream

DTO = NotificationDto(0, "알림", "승인 👍", "AI_DETECT", ALERT, Instant.of(NOW), None, id=1)
APPROVED = '{"category":"CASE_ACTION","message":"조치 승인됨 👍\\n\\n검토 후","case_id":"DEMO00001"}'.encode()


async def _over(stream: Stream) -> None:
    """Returns when the application has left the stream."""
    with suppress(EOFError):
        while True:
            await stream.block()


def test_a_notification_reaches_stomp_and_the_event_stream_as_the_same_json() -> None:
    async def scene() -> tuple[dict[str, str], bytes]:
        feed = Feed()
        async with (
            Synapse(Settings(), always(feed), Stopped(), seed=1) as synapse,
            open_asgi_websocket(synapse.app, WEBSOCKET) as websocket,
            open_stream(synapse.app, STREAM) as stream,
        ):
            client = await Client.connect(websocket, confirm=synapse.broker.holds)
            await client.subscribe(TOPIC)
            feed.feed(APPROVED)
            return await stream.event(), (await anext(client)).body

    event, body = run(scene())
    assert (event["id"], event["event"], event["data"]) == ("1", "notification", body.decode())
    assert json.loads(event["data"])["content"] == "조치 승인됨 👍\n\n검토 후"


def test_a_notification_that_cannot_be_written_is_heard_by_nobody() -> None:
    async def scene() -> dict[str, str]:
        feed = Feed()
        async with (
            Synapse(Settings(), always(feed), Stopped(), seed=1) as synapse,
            open_stream(synapse.app, STREAM) as stream,
        ):
            feed.feed(b'{"a":' * 1000 + b"1" + b"}" * 1000)
            await feed.drained()
            await synapse.container.idle()
            feed.feed(APPROVED)
            return await stream.event()

    assert run(scene())["id"] == "2"


def test_it_is_an_event_stream_that_nobody_may_cache() -> None:
    async def scene() -> Stream:
        async with open_stream(EventStreams(), STREAM) as stream:
            return stream

    stream = run(scene())
    assert stream.status == 200
    assert stream.headers == {"content-type": "text/event-stream", "cache-control": "no-cache"}


def test_events_come_in_the_order_in_which_they_were_sent() -> None:
    async def scene() -> list[str]:
        streams = EventStreams()
        async with open_stream(streams, STREAM) as stream:
            for number in range(1, 101):
                streams.send(replace(DTO, id=number), b"{}")
            return [(await stream.event())["id"] for _ in range(100)]

    assert run(scene()) == [str(number) for number in range(1, 101)]


def test_a_stream_ends_cleanly_when_the_seat_stops_and_has_sent_what_waited() -> None:
    async def scene() -> tuple[str, bool]:
        streams = EventStreams()
        async with open_stream(streams, STREAM) as stream:
            streams.send(DTO, b"{}")
            streams.close()
            event = await stream.event()
            await _over(stream)
            return event["id"], stream.complete

    assert run(scene()) == ("1", True)


def test_leaving_the_seat_ends_its_streams() -> None:
    async def scene() -> bool:
        synapse = Synapse(Settings(), always(Feed()), Stopped(), seed=1)
        async with synapse:
            opened = open_stream(synapse.app, STREAM)
            stream = await opened.__aenter__()
        await _over(stream)
        await opened.__aexit__(None, None, None)
        return stream.complete

    assert run(scene())


def test_a_client_that_goes_is_forgotten() -> None:
    async def scene() -> tuple[int, int]:
        streams = EventStreams()
        async with open_stream(streams, STREAM) as stream:
            before = streams.open
            stream.leave()
            await _over(stream)
        return before, streams.open

    assert run(scene()) == (1, 0)


def test_a_client_that_does_not_read_delays_nobody_and_is_given_up_when_too_much_waits() -> None:
    async def scene() -> tuple[float, int]:
        streams = EventStreams()
        async with open_stream(streams, STREAM) as slow, open_stream(streams, STREAM) as quick:
            slow.reading.clear()
            for number in range(1, 12):
                streams.send(replace(DTO, id=number), b"x" * (BUFFER_LIMIT // 10))
                assert (await quick.event())["id"] == str(number)
            await _over(slow)
            return asyncio.get_running_loop().time(), streams.open

    assert run(scene()) == (0.0, 1)


def test_a_client_that_takes_nothing_for_ten_seconds_is_given_up() -> None:
    async def scene() -> tuple[float, bool]:
        streams = EventStreams(heartbeat=0)
        async with open_stream(streams, STREAM) as stream:
            stream.reading.clear()
            streams.send(DTO, b"{}")
            await _over(stream)
            return asyncio.get_running_loop().time(), stream.complete

    assert run(scene()) == (10.0, False)


def test_a_burst_to_a_quick_client_is_no_offence() -> None:
    async def scene() -> int:
        streams = EventStreams()
        async with open_stream(streams, STREAM) as stream:
            for number in range(1, 5):
                streams.send(replace(DTO, id=number), b"x" * BUFFER_LIMIT)
            return len([await stream.event() for _ in range(4)])

    assert run(scene()) == 4


def test_a_quiet_stream_gets_a_comment_at_every_beat() -> None:
    async def scene() -> list[float]:
        async with open_stream(EventStreams(heartbeat=15.0), STREAM) as stream:
            times = []
            for _ in range(2):
                assert await stream.block() == ":"
                times.append(asyncio.get_running_loop().time())
            return times

    assert run(scene()) == [15.0, 30.0]


def test_a_head_request_is_answered_and_over() -> None:
    async def scene() -> httpx2.Response:
        async with Synapse(Settings(), always(Feed()), Stopped(), seed=1) as synapse:
            transport = httpx2.ASGITransport(app=synapse.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://synapse") as client:
                return await client.head(STREAM)

    assert run(scene()).headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize("failure", [ConnectionResetError(), BrokenPipeError()])
def test_a_server_that_cannot_send_any_more_ends_the_stream(failure: OSError) -> None:
    async def scene() -> int:
        streams = EventStreams()
        await streams({"type": "http", "method": "GET"}, asyncio.Event().wait, _raising(failure))  # type: ignore[arg-type]
        return streams.open

    assert run(scene()) == 0


def _raising(failure: OSError) -> Callable[[object], Awaitable[None]]:
    async def send(message: object) -> None:
        raise failure

    return send
