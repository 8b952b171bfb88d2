"""The simulated simple broker on an in-memory WebSocket, frame by frame as Spring sends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from harness.asgi_websocket import AsgiWebSocket, open_asgi_websocket
from harness.stomp import ChannelClosedError, Client
from harness.synapse.broker import SimpleBroker
from harness.virtual import run

PATH = "/ws/notifications/websocket"
TOPIC = "/topic/notifications"
CONNECT = "CONNECT\naccept-version:1.2,1.1,1.0\nhost:/\nheart-beat:0,0\n\n\0"
CONNECTED = "CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0"
GOOD_BYE = "ERROR\nmessage:Session closed.\ncontent-length:0\n\n\0"
FIRST = "00000000-0000-0000-0000-000000000001"
SECOND = "00000000-0000-0000-0000-000000000002"


def app(broker: SimpleBroker) -> Starlette:
    return Starlette(routes=[WebSocketRoute(PATH, broker.endpoint)])


@asynccontextmanager
async def opened(broker: SimpleBroker, window: int | None = None) -> AsyncIterator[AsgiWebSocket]:
    async with open_asgi_websocket(app(broker), PATH, window=window) as websocket:
        yield websocket


@asynccontextmanager
async def connected(
    broker: SimpleBroker, greeting: str = CONNECT, window: int | None = None
) -> AsyncIterator[AsgiWebSocket]:
    async with opened(broker, window) as websocket:
        await websocket.send(greeting)
        assert str(await websocket.receive()).startswith("CONNECTED\n")
        yield websocket


def subscribe(destination: str = TOPIC, id: str = "sub-0") -> str:
    return f"SUBSCRIBE\nid:{id}\ndestination:{destination}\n\n\0"


async def answers(websocket: AsgiWebSocket) -> list[str]:
    """All that the broker answers to what was sent: the receipt of DISCONNECT comes after everything else."""
    await websocket.send("DISCONNECT\nreceipt:all\n\n\0")
    found = []
    while (message := str(await websocket.receive())) != "RECEIPT\nreceipt-id:all\n\n\0":
        found.append(message)
    return found


async def closed(websocket: AsgiWebSocket) -> tuple[list[str], int]:
    """What still comes before the broker closes, and with which code it does."""
    found = []
    while True:
        try:
            found.append(str(await websocket.receive()))
        except ChannelClosedError as end:
            return found, end.code


# Opening and greeting.


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [
        ([], None),
        (["v12.stomp", "v11.stomp", "v10.stomp"], "v12.stomp"),
        (["v10.stomp", "v12.stomp"], "v10.stomp"),
        (["mqtt", "v11.stomp"], "v11.stomp"),
        (["mqtt"], None),
    ],
)
def test_the_first_known_subprotocol_of_the_client_is_accepted(offered: list[str], accepted: str | None) -> None:
    async def work() -> None:
        async with open_asgi_websocket(app(SimpleBroker()), PATH, subprotocols=offered) as websocket:
            assert websocket.subprotocol == accepted

    run(work())


@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_both_greetings_are_answered_byte_for_byte(command: str) -> None:
    async def work() -> None:
        async with opened(SimpleBroker()) as websocket:
            await websocket.send(CONNECT.replace("CONNECT", command, 1))
            assert await websocket.receive() == CONNECTED

    run(work())


@pytest.mark.parametrize(
    ("accepted", "version"),
    [("1.0", "1.0"), ("1.0,1.1", "1.1"), ("1.1,1.2", "1.2"), ("1.1, 1.2", "1.1"), ("1.2,2.0", "1.2")],
)
def test_the_highest_accepted_version_is_spoken(accepted: str, version: str) -> None:
    async def work() -> None:
        async with opened(SimpleBroker()) as websocket:
            await websocket.send(f"CONNECT\naccept-version:{accepted}\n\n\0")
            assert await websocket.receive() == f"CONNECTED\nversion:{version}\nheart-beat:0,0\n\n\0"

    run(work())


@pytest.mark.parametrize("headers", ["", "accept-version:2.0\n"])
def test_without_a_known_version_there_is_no_answer_and_the_session_works_all_the_same(headers: str) -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with opened(broker) as websocket:
            await websocket.send(f"CONNECT\n{headers}\n\0")
            await websocket.send(subscribe())
            await broker.subscribed(TOPIC)
            broker.send(TOPIC, b"{}")
            assert [frame.split("\n")[0] for frame in await answers(websocket)] == ["MESSAGE"]

    run(work())


def test_a_second_greeting_has_no_effect() -> None:
    async def work() -> None:
        async with connected(SimpleBroker()) as websocket:
            await websocket.send(CONNECT)
            assert await answers(websocket) == []

    run(work())


# Messages.


def test_a_message_has_the_headers_of_spring_in_their_order() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            await websocket.send(subscribe())
            await broker.subscribed(TOPIC)
            assert broker.send(TOPIC, '{"title":"조치 완료 😀"}'.encode()) == 1
            assert await websocket.receive() == (
                "MESSAGE\ndestination:/topic/notifications\ncontent-type:application/json\n"
                f"subscription:sub-0\nmessage-id:{FIRST}-0\ncontent-length:30\n\n"
                '{"title":"조치 완료 😀"}\0'
            )

    run(work())


def test_each_matching_subscription_gets_its_own_frame_and_all_sessions_share_one_counter() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as one, connected(broker) as two:
            await one.send(subscribe(TOPIC, "a") + subscribe("/topic/**", "b"))
            await two.send(subscribe(TOPIC, "c"))
            await broker.subscribed(TOPIC, 3)
            assert broker.subscriptions(TOPIC) == 3
            assert broker.send(TOPIC, b"{}") == 3
            assert broker.send("/topic/other", b"{}") == 1
            sent = [line for frame in await answers(one) for line in frame.split("\n")[1:5]]
            assert sent[0::4] == [f"destination:{TOPIC}", f"destination:{TOPIC}", "destination:/topic/other"]
            assert sent[2::4] == ["subscription:a", "subscription:b", "subscription:b"]
            assert sent[3::4] == [f"message-id:{FIRST}-0", f"message-id:{FIRST}-1", f"message-id:{FIRST}-3"]
            assert f"message-id:{SECOND}-2" in (await answers(two))[0]

    run(work())


def test_the_frames_of_a_session_keep_the_order_of_the_calls() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            await websocket.send(subscribe())
            await broker.subscribed(TOPIC)
            for number in range(1000):
                broker.send(TOPIC, b"%d" % number)
            frames = await answers(websocket)
            assert [frame[:-1].rpartition("\n")[2] for frame in frames] == [str(n) for n in range(1000)]

    run(work())


def test_nobody_subscribed_and_a_destination_outside_the_prefixes_are_silence() -> None:
    assert SimpleBroker().send(TOPIC, b"{}") == 0

    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            await websocket.send(subscribe("/queue/x") + subscribe("/**"))
            await websocket.send("SEND\ndestination:/queue/x\n\n{}\0SEND\n\n{}\0")
            assert broker.send("/queue/x", b"{}") == 0
            assert await answers(websocket) == []

    run(work())


def test_header_values_are_escaped_in_messages() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            await websocket.send(subscribe("/topic/a\\cb", "s\\c1\\\\"))
            await broker.subscribed("/topic/a:b")
            broker.send("/topic/a:b", b"{}")
            frame = str(await websocket.receive())
            assert "\ndestination:/topic/a\\cb\n" in frame
            assert "\nsubscription:s\\c1\\\\\n" in frame

    run(work())


def test_a_session_that_did_not_greet_receives_nothing_until_it_does() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with opened(broker) as websocket:
            await websocket.send(subscribe() + "SEND\ndestination:/topic/notifications\n\nlost\0")
            await websocket.send(CONNECT)
            await broker.subscribed(TOPIC)
            broker.send(TOPIC, b"seen")
            assert [frame[:-1].rpartition("\n")[2] for frame in await answers(websocket)] == ["", "seen"]

    run(work())


def test_what_a_client_sends_to_a_topic_is_relayed_with_its_own_headers_first() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            await websocket.send(subscribe())
            await websocket.send(f"SEND\nlang:ko\ncontent-length:2\ndestination:{TOPIC}\n\n{{}}\0")
            assert await answers(websocket) == [
                f"MESSAGE\nlang:ko\ndestination:{TOPIC}\nsubscription:sub-0\n"
                f"message-id:{FIRST}-0\ncontent-length:2\n\n{{}}\0"
            ]

    run(work())


def test_only_octets_travel_as_a_binary_message() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            await websocket.send(subscribe())
            await broker.subscribed(TOPIC)
            broker.send(TOPIC, b"\xff", "application/octet-stream")
            assert isinstance(await websocket.receive(), bytes)
            broker.send(TOPIC, b"x", "text/plain;charset=UTF-8")
            assert isinstance(await websocket.receive(), str)

    run(work())


# Subscriptions.


def test_subscriptions_are_found_by_pattern_and_counted() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            for number, pattern in enumerate(["/topic/*", "/topic/?otifications", "/topic/tenant/{id:\\\\d+}"]):
                await websocket.send(subscribe(pattern, f"sub-{number}"))
            await broker.subscribed("/topic/tenant/7")
            assert broker.subscriptions(TOPIC) == 2
            assert broker.subscriptions("/topic/tenant/x") == 0
            assert broker.subscriptions("/topic/a/b") == 0

    run(work())


def test_unsubscribing_and_leaving_end_the_deliveries() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as one, connected(broker) as two:
            await one.send(subscribe())
            await two.send(subscribe())
            await broker.subscribed(TOPIC, 2)
            await one.send("UNSUBSCRIBE\nid:sub-0\n\n\0UNSUBSCRIBE\nid:unknown\n\n\0UNSUBSCRIBE\n\n\0")
            await broker.until(lambda: broker.subscriptions(TOPIC) == 1)
            await two.close()
            assert broker.subscriptions(TOPIC) == 0
            assert broker.sessions == 1
            assert broker.send(TOPIC, b"{}") == 0
            assert await answers(one) == []

    run(work())


def test_a_subscription_without_id_or_destination_and_a_repeated_id_are_not_heard() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            await websocket.send("SUBSCRIBE\ndestination:/topic/x\n\n\0SUBSCRIBE\nid:1\n\n\0")
            await websocket.send(subscribe("/topic/a", "2") + subscribe("/topic/b", "2"))
            await broker.subscribed("/topic/a")
            assert [broker.subscriptions(f"/topic/{name}") for name in "xab"] == [0, 1, 0]

    run(work())


def test_waiting_for_subscriptions_ends_with_the_condition_and_leaves_nothing_behind() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        waiting = asyncio.create_task(broker.subscribed(TOPIC, 2))
        async with connected(broker) as websocket:
            await websocket.send(subscribe(TOPIC, "a"))
            await broker.holds(TOPIC, "a")
            assert not waiting.done()
            await websocket.send(subscribe(TOPIC, "b"))
            await waiting
        given_up = asyncio.create_task(broker.subscribed(TOPIC))
        await asyncio.wait({given_up}, timeout=1)
        given_up.cancel()
        await asyncio.wait({given_up})
        assert broker._waiters == []

    run(work())


def test_receipts_are_given_for_disconnect_only() -> None:
    async def work() -> None:
        async with connected(SimpleBroker()) as websocket:
            await websocket.send(f"SUBSCRIBE\nid:0\ndestination:{TOPIC}\nreceipt:1\n\n\0")
            await websocket.send("SEND\ndestination:/topic/x\nreceipt:2\n\n\0UNSUBSCRIBE\nid:0\nreceipt:3\n\n\0")
            await websocket.send("BEGIN\ntransaction:t\nreceipt:4\n\n\0")
            assert await answers(websocket) == []
            assert websocket.close_code is None

    run(work())


# Errors and limits.


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("HELLO\n\n\0", "found the command 'HELLO'"),
        ("SUBSCRIBE\nid\n\n\0", "found the header line 'id'"),
        ("SEND\ndestination:/topic/\\x\n\n\0", "found the escape"),
        ("CONNECT\nheart-beat:0, 0\n\n\0", "heart-beat\\c found '0, 0'"),
        ("SEND\n\n" + "x" * 65536 + "\0", "more than 65536 bytes"),
    ],
)
def test_what_is_not_stomp_is_answered_with_an_error_and_the_end(sent: str, message: str) -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket, connected(broker) as other:
            await websocket.send(sent)
            (error,), code = await closed(websocket)
            assert error.startswith("ERROR\nmessage:")
            assert message in error
            assert error.endswith("\ncontent-length:0\n\n\0")
            assert code == 1002
            assert broker.sessions == 1
            assert await answers(other) == []

    run(work())


def test_the_frames_of_a_message_with_a_fault_in_it_are_all_lost() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            await websocket.send(subscribe() + "NONSENSE\n\n\0")
            assert (await closed(websocket))[1] == 1002
            assert broker.subscriptions(TOPIC) == 0

    run(work())


def test_a_frame_may_come_in_several_messages() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            for part in (subscribe()[:12], subscribe()[12:].encode()):
                await websocket.send(part)
            await broker.subscribed(TOPIC)

    run(work())


def test_disconnecting_without_a_receipt_ends_like_an_error() -> None:
    async def work() -> None:
        async with connected(SimpleBroker()) as websocket:
            await websocket.send("DISCONNECT\n\n\0")
            assert await closed(websocket) == ([GOOD_BYE], 1002)

    run(work())


def test_a_client_that_does_not_read_delays_nobody_and_is_closed_beyond_512_kilobytes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker, window=1) as slow, connected(broker) as quick:
            await slow.send(subscribe())
            await quick.send(subscribe())
            await broker.subscribed(TOPIC, 2)
            for number in range(3):
                assert broker.send(TOPIC, b"%d" % number) == 2
                assert f"\n{number}\0" in str(await quick.receive())
            given = 0
            while broker.subscriptions(TOPIC) == 2:
                broker.send(TOPIC, b"x" * 4096)
                given += 1
            assert 512 * 1024 / 4300 < given < 512 * 1024 / 4096 + 1
            assert broker.send(TOPIC, b"last") == 1
            frames, code = await closed(slow)
            assert (len(frames), code) == (1, 4500)
            assert sum("x" * 4096 in frame for frame in await answers(quick)) == given

    with caplog.at_level(logging.WARNING):
        run(work())
    assert not caplog.records


def test_a_burst_beyond_the_limit_is_no_offence_of_a_client_that_reads() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            await websocket.send(subscribe())
            await broker.subscribed(TOPIC)
            for _ in range(300):
                broker.send(TOPIC, b"x" * 4096)
            assert len(await answers(websocket)) == 300

    run(work())


def test_a_send_that_hangs_for_ten_seconds_ends_the_session_with_the_next_message() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        loop = asyncio.get_running_loop()
        async with connected(broker, window=1) as websocket:
            await websocket.send(subscribe())
            await broker.subscribed(TOPIC)
            for wait, handed_out in [(0, 1), (0, 1), (10, 1), (0.1, 0)]:
                later = asyncio.Event()
                loop.call_later(wait, later.set)
                await later.wait()
                assert broker.send(TOPIC, b"{}") == handed_out
            frames, code = await closed(websocket)
            assert (len(frames), code) == (1, 4500)

    run(work())


def test_closing_all_sessions_is_seen_by_the_clients() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with connected(broker) as websocket:
            broker.close_sessions()
            assert await closed(websocket) == ([], 1001)
            assert broker.sessions == 0

    run(work())


# Heart-beats.


async def beats(client: str, seconds: float, act: Callable[[SimpleBroker], object] = bool) -> list[str]:
    """All that a silent client gets that asks for the heart-beat `client`; `act` is done after 15 s."""
    broker = SimpleBroker(heartbeat=(10000, 10000))
    loop = asyncio.get_running_loop()
    found = []
    async with opened(broker) as websocket:
        await websocket.send(f"CONNECT\naccept-version:1.2\nheart-beat:{client}\n\n\0{subscribe()}")
        assert await websocket.receive() == "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n\0"
        loop.call_later(15, act, broker)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = str(await websocket.receive())
                    found.append(f"{loop.time():.0f} {message}")
        except TimeoutError:
            return found
        except ChannelClosedError as end:
            return [*found, str(end)]


def test_a_server_that_beats_sends_a_newline_at_each_tick_after_the_first_silent_interval() -> None:
    assert run(beats("0,10000", 45)) == ["20 \n", "30 \n", "40 \n"]


def test_a_client_may_ask_for_fewer_beats_and_for_none() -> None:
    assert run(beats("0,25000", 45)) == ["30 \n", "40 \n"]
    assert run(beats("0,0", 1000)) == []


def test_a_message_counts_as_a_beat() -> None:
    found = run(beats("0,10000", 35, lambda broker: broker.send(TOPIC, b"{}")))
    assert [line.split("\n")[0] for line in found] == ["15 MESSAGE", "30 "]


def test_a_client_that_promised_beats_and_is_silent_for_three_intervals_is_closed() -> None:
    ended = [f"40 {GOOD_BYE}", "WebSocket closed: code 1002"]
    assert run(beats("10000,0", 1000)) == ended
    assert run(beats("5000,0", 1000)) == ended


def test_a_client_that_beats_stays_and_one_alone_keeps_no_timer_when_it_leaves() -> None:
    async def work() -> None:
        broker = SimpleBroker(heartbeat=(10000, 10000))
        async with connected(broker, "CONNECT\naccept-version:1.2\nheart-beat:10000,0\n\n\0") as websocket:
            for _ in range(10):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(29):
                        await websocket.receive()
                await websocket.send("\n")
            assert broker.sessions == 1
        assert broker._ticker is None

    run(work())


# With our own client.


def test_our_client_subscribes_reads_and_leaves() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with opened(broker) as websocket:
            client = await Client.connect(websocket, confirm=broker.holds)
            assert client.version == "1.2"
            subscription = await client.subscribe(TOPIC)
            assert broker.send(TOPIC, "조치 승인됨 ✅".encode()) == 1
            frame = await anext(client)
            assert (frame.text, frame.headers["subscription"]) == ("조치 승인됨 ✅", subscription)
            await client.unsubscribe(subscription)
            await client.disconnect()
            assert broker.sessions == 0
            assert [frame async for frame in client] == []

    run(work())


def test_our_client_learns_that_it_was_cut_off() -> None:
    async def work() -> None:
        broker = SimpleBroker()
        async with opened(broker) as websocket:
            client = await Client.connect(websocket, confirm=broker.holds)
            await client.subscribe(TOPIC)
            broker.close_sessions()
            with pytest.raises(ChannelClosedError, match="code 1001"):
                await anext(client)
            await client.abort()

    run(work())
