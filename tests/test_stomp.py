"""The codec by its bytes, and the client against a server that does exactly what each test says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.stomp import (
    ChannelClosedError,
    Client,
    Decoder,
    Frame,
    ProtocolError,
    StompError,
    encode,
)
from harness.virtual import run

# The codec.


def test_a_frame_is_written_with_its_content_length_in_bytes_as_the_last_header() -> None:
    frame = Frame("MESSAGE", {"content-length": "1", "destination": "/topic/x"}, "조치 😀".encode())
    assert encode(frame) == "MESSAGE\ndestination:/topic/x\ncontent-length:11\n\n조치 😀\0".encode()


def test_a_frame_that_has_no_body_is_written_without_content_length() -> None:
    assert encode(Frame("RECEIPT", {"receipt-id": "7"})) == b"RECEIPT\nreceipt-id:7\n\n\0"
    with pytest.raises(ProtocolError, match="RECEIPT: found a body of 1 bytes, expected none"):
        encode(Frame("RECEIPT", {}, b"x"))


@pytest.mark.parametrize(
    ("version", "written"),
    [("1.2", rb"a\cb:c\\d\ne\rf\cg"), ("1.1", b"a\\cb:c\\\\d\\ne\rf\\cg")],
)
def test_headers_are_escaped_as_the_version_says(version: str, written: bytes) -> None:
    frame = Frame("SEND", {"a:b": "c\\d\ne\rf:g"})
    data = encode(frame, version)
    assert data == b"SEND\n" + written + b"\ncontent-length:0\n\n\0"
    assert Decoder(version).feed(data)[0].headers == {"a:b": "c\\d\ne\rf:g", "content-length": "0"}


def test_version_1_0_has_no_escapes() -> None:
    data = encode(Frame("SEND", {"path": "c:\\new"}), "1.0")
    assert data == b"SEND\npath:c:\\new\ncontent-length:0\n\n\0"
    assert Decoder("1.0").feed(data)[0].headers["path"] == "c:\\new"
    with pytest.raises(ProtocolError, match="cannot be written"):
        encode(Frame("SEND", {"path": "two\nlines"}), "1.0")


@pytest.mark.parametrize("command", ["CONNECT", "STOMP", "CONNECTED"])
def test_the_greeting_is_never_escaped(command: str) -> None:
    data = encode(Frame(command, {"host": "a:b\\n"}))
    assert data == f"{command}\nhost:a:b\\n\n\n\0".encode()
    assert Decoder().feed(data)[0].headers["host"] == "a:b\\n"
    with pytest.raises(ProtocolError, match="cannot be written"):
        encode(Frame(command, {"host": "a\nadmin:true"}))


def test_of_a_repeated_header_the_first_occurrence_wins() -> None:
    assert Decoder().feed("SEND\na:1\na:2\n\n\0") == [Frame("SEND", {"a": "1"})]


def test_carriage_returns_before_newlines_belong_to_the_line_end_in_1_2_and_to_the_value_before() -> None:
    data = b"SEND\r\na:1\r\n\r\nbody\0"
    assert Decoder("1.2").feed(data) == [Frame("SEND", {"a": "1"}, b"body")]
    assert Decoder("1.1").feed(b"SEND\na:1\r\n\nbody\0") == [Frame("SEND", {"a": "1\r"}, b"body")]


def test_a_body_with_a_content_length_may_contain_nul_and_newlines() -> None:
    body = b"\0\n\n\0"
    assert Decoder().feed(encode(Frame("SEND", {}, body)))[0].body == body


def test_a_content_length_that_is_no_number_is_as_good_as_none() -> None:
    assert Decoder().feed("SEND\ncontent-length:x\n\nbody\0")[0].body == b"body"


def test_heart_beats_between_and_before_frames_give_no_frame() -> None:
    decoder = Decoder()
    assert decoder.feed("\n") == []
    assert decoder.feed("\r\n") == []
    assert [frame.command for frame in decoder.feed("\n\nACK\n\n\0\n\nNACK\n\n\0\n")] == ["ACK", "NACK"]


def test_frames_arrive_whole_wherever_they_were_cut() -> None:
    frames = [Frame("MESSAGE", {"subscription": "s:0"}, "학습 완료 🎉".encode()), Frame("ERROR", {}, b"")]
    data = b"\n".join(encode(frame) for frame in frames)
    decoder = Decoder()
    found = [frame for at in range(len(data)) for frame in decoder.feed(data[at : at + 1])]
    assert [(frame.command, frame.text) for frame in found] == [("MESSAGE", "학습 완료 🎉"), ("ERROR", "")]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("HELLO\n\n\0", "found the command 'HELLO'"),
        ("SEND\nno colon\n\n\0", "found the header line 'no colon'"),
        ("SEND\n:no name\n\n\0", "found the header line ':no name'"),
        ("SEND\na:\\t\n\n\0", r"found the escape '\\\\t'"),
        ("SEND\na:\\\n\n\0", "found the escape"),
        ("SEND\ra:1\n\n\0", "carriage return"),
        ("SEND\ncontent-length:1\n\nab\0", "found no NUL after the 1 bytes"),
        ("SUBSCRIBE\nid:0\n\nbody\0", "SUBSCRIBE: found a body of 4 bytes"),
    ],
)
def test_what_is_not_stomp_is_refused_with_its_reason(data: str, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        Decoder().feed(data)


def test_version_1_1_knows_no_escape_for_a_carriage_return() -> None:
    with pytest.raises(ProtocolError, match="found the escape"):
        Decoder("1.1").feed("SEND\na:\\r\n\n\0")


def test_more_than_the_limit_is_refused_be_it_there_or_announced() -> None:
    assert Decoder(limit=20).feed("SEND\n\n" + "x" * 13 + "\0")
    with pytest.raises(ProtocolError, match="more than 20 bytes"):
        Decoder(limit=20).feed("SEND\n\n" + "x" * 14 + "\0")
    decoder = Decoder(limit=40)
    decoder.feed("SEND\ncontent-length:41\n\n")
    with pytest.raises(ProtocolError, match="more than 40 bytes"):
        decoder.feed("x")


# The client.


class Wire:
    """The client's end of a WebSocket whose other end is the test."""

    def __init__(self) -> None:
        self.to_server: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.to_client: asyncio.Queue[str | bytes | ChannelClosedError] = asyncio.Queue()
        self.closed = False

    async def send(self, message: str | bytes) -> None:
        self.to_server.put_nowait(message)

    async def receive(self) -> str | bytes:
        message = await self.to_client.get()
        if isinstance(message, ChannelClosedError):
            raise message
        return message

    async def close(self) -> None:
        self.closed = True

    def answer(self, command: str, body: str = "", **headers: str) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.to_client.put_nowait(encode(Frame(command, names, body.encode())).decode())

    async def asked(self) -> Frame:
        return Decoder().feed(await self.to_server.get())[0]


async def connected(wire: Wire, version: str = "1.2", **options: Any) -> Client:
    wire.answer("CONNECTED", version=version)
    client = await Client.connect(wire, **{"confirm": None, **options})
    await wire.asked()
    return client


def test_connecting_offers_three_versions_and_no_heart_beats_and_waits_for_the_answer() -> None:
    async def work() -> None:
        wire = Wire()
        wire.answer("CONNECTED", version="1.1", heart_beat="0,0")
        client = await Client.connect(wire, confirm=None, headers={"Authorization": "Bearer x"})
        assert client.version == "1.1"
        headers = {"accept-version": "1.2,1.1,1.0", "host": "/", "heart-beat": "0,0"}
        assert await wire.asked() == Frame("CONNECT", {**headers, "Authorization": "Bearer x"})
        await client.abort()

    run(work())


def test_a_server_that_does_not_answer_is_left_after_the_patience() -> None:
    async def work() -> None:
        wire = Wire()
        with pytest.raises(TimeoutError, match=r"CONNECT: found no answer within 5\.0 s"):
            await Client.connect(wire, confirm=None)
        assert wire.closed
        assert asyncio.get_running_loop().time() == pytest.approx(5)

    run(work())


def test_a_server_that_speaks_another_version_is_refused() -> None:
    async def work() -> None:
        wire = Wire()
        with pytest.raises(ProtocolError, match=r"found version '2\.0'"):
            await connected(wire, "2.0")
        assert wire.closed

    run(work())


def test_an_error_in_answer_to_the_greeting_is_raised_with_its_frame() -> None:
    async def work() -> None:
        wire = Wire()
        wire.answer("ERROR", "no token", message="denied")
        with pytest.raises(StompError, match="STOMP ERROR: denied no token") as caught:
            await Client.connect(wire, confirm=None)
        assert caught.value.frame.text == "no token"

    run(work())


def test_subscribing_returns_when_the_server_holds_the_subscription_and_not_before() -> None:
    async def work() -> None:
        wire, held = Wire(), asyncio.Event()
        seen: list[tuple[str, str]] = []

        async def confirm(destination: str, subscription: str) -> None:
            seen.append((destination, subscription))
            await held.wait()

        client = await connected(wire, confirm=confirm, name="viewer")
        subscribing = asyncio.create_task(client.subscribe("/topic/notifications"))
        frame = await wire.asked()
        assert frame.headers == {"id": "viewer-0", "destination": "/topic/notifications", "ack": "auto"}
        assert not subscribing.done()
        held.set()
        assert await subscribing == "viewer-0"
        assert seen == [("/topic/notifications", "viewer-0")]
        assert await client.subscribe("/topic/x") == "viewer-1"
        await client.abort()

    run(work())


def test_a_subscription_that_is_never_held_is_told_apart_from_one_that_is() -> None:
    async def work() -> None:
        wire = Wire()

        async def never(destination: str, subscription: str) -> None:
            await asyncio.Event().wait()

        client = await connected(wire, confirm=never)
        with pytest.raises(TimeoutError, match="SUBSCRIBE /topic/x: found no sign of it"):
            await client.subscribe("/topic/x")
        wire.answer("ERROR", message="denied")
        with pytest.raises(StompError, match="denied"):
            await client.subscribe("/topic/x")
        await client.abort()

    run(work())


def test_messages_are_iterated_in_order_until_the_client_disconnects() -> None:
    async def work() -> None:
        wire = Wire()
        client = await connected(wire)
        wire.answer("MESSAGE", "하나", subscription="sub-0")
        wire.to_client.put_nowait("\n")
        wire.answer("MESSAGE", "둘", subscription="sub-0")

        async def read() -> list[str]:
            return [frame.text async for frame in client]

        reading = asyncio.create_task(read())
        leaving = asyncio.create_task(client.disconnect())
        assert await wire.asked() == Frame("DISCONNECT", {"receipt": "disconnect"})
        assert not wire.closed
        wire.answer("RECEIPT", receipt_id="disconnect")
        await leaving
        assert wire.closed
        assert await reading == ["하나", "둘"]

    run(work())


def test_an_error_frame_ends_the_iteration_and_every_later_call() -> None:
    async def work() -> None:
        wire = Wire()
        client = await connected(wire)
        wire.answer("MESSAGE", "before", subscription="sub-0")
        wire.answer("ERROR", message="Session closed.")
        assert (await anext(client)).text == "before"
        for _ in range(2):
            with pytest.raises(StompError, match=r"Session closed\."):
                await anext(client)
        with pytest.raises(StompError):
            await client.send("/topic/x", b"{}")
        await client.abort()

    run(work())


@pytest.mark.parametrize("message", [ChannelClosedError(1006), "NONSENSE\n\n\0"])
def test_a_lost_connection_and_a_malformed_frame_are_raised_to_who_iterates(message: Any) -> None:
    async def work() -> None:
        wire = Wire()
        client = await connected(wire)
        wire.to_client.put_nowait(message)
        with pytest.raises((ChannelClosedError, ProtocolError)):
            await anext(client)
        await client.abort()

    run(work())


def test_the_negotiated_version_decides_about_escapes() -> None:
    async def work() -> None:
        wire = Wire()
        client = await connected(wire, "1.0")
        await client.send("/topic/a:b", b"{}")
        assert await wire.to_server.get() == (
            "SEND\ndestination:/topic/a:b\ncontent-type:application/json\ncontent-length:2\n\n{}\0"
        )
        wire.to_client.put_nowait("MESSAGE\ndestination:a\\b\n\n\0")
        assert (await anext(client)).headers["destination"] == "a\\b"
        await client.abort()

    run(work())


def test_a_body_that_is_not_text_goes_as_a_binary_message() -> None:
    async def work() -> None:
        wire = Wire()
        client = await connected(wire)
        await client.send("/topic/x", b"\xff", "application/octet-stream")
        assert isinstance(await wire.to_server.get(), bytes)
        await client.abort()

    run(work())
