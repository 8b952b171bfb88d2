"""What shows a difference is shrunk to the smallest message that does, and never to one that does not."""

from __future__ import annotations

import json

import pytest

from spring.answers import Message
from spring.shrink import shrunk

ATTEMPTS = 10_000
AROUND = '{"type":"NOTIFICATION","message":"검토 후 😀","extra":[1,2,{"a":"\\u0041"}],%s"at":"2026-02-11T14:30:00Z"}'


@pytest.mark.parametrize(
    ("piece", "smallest"),
    [
        (b'"case_id":1e23,', b"1e23"),
        (b'"case_id":"\xed\xa0\xbd",', b"\xed\xa0"),
        (b'"tenant_id":"0x1p3",', b"0x1p3"),
    ],
)
def test_only_what_makes_the_difference_is_left(piece: bytes, smallest: bytes) -> None:
    body = AROUND.encode() % piece
    found = shrunk(Message(b"workbench:case:action", body), lambda message: smallest in message.body, ATTEMPTS)
    assert found == Message(b"workbench:", smallest)


def test_a_member_goes_with_its_comma() -> None:
    def object_with_a_float(message: Message) -> bool:
        try:
            read = json.loads(message.body)
        except ValueError:
            return False
        return isinstance(read, dict) and any(isinstance(value, float) for value in read.values())

    message = Message(b"workbench:", b'{"a":false,"b":{"c":"text"},"d":"","e":1e7,"f":[null]}')
    assert shrunk(message, object_with_a_float, ATTEMPTS).body == b'{"":0e0}'


def test_bytes_become_plain_where_it_does_not_matter_which_they_are() -> None:
    found = shrunk(Message(b"workbench:", "승인된 조치".encode()), lambda message: len(message.body) >= 5, ATTEMPTS)
    assert found.body == b"aaaaa"


def test_the_channel_stays_where_it_matters() -> None:
    message = Message(b"workbench:rag:status", b"{}")
    assert shrunk(message, lambda each: each.channel.endswith(b"status"), ATTEMPTS) == Message(
        b"workbench:rag:status", b""
    )


def test_what_is_nested_is_shrunk_at_both_ends_at_once() -> None:
    def balanced_and_deep(message: Message) -> bool:
        depth = message.body.count(b"[")
        return depth >= 3 and message.body == b"[" * depth + b"1" + b"]" * depth

    message = Message(b"workbench:", b"[" * 50 + b"1" + b"]" * 50)
    assert shrunk(message, balanced_and_deep, ATTEMPTS).body == b"[[[1]]]"


def test_an_end_is_set_to_the_attempts() -> None:
    asked = 0

    def never_smaller(message: Message) -> bool:
        nonlocal asked
        asked += 1
        return False

    message = Message(b"workbench:", b"x" * 1000)
    assert shrunk(message, never_smaller, attempts=50) == message
    assert asked == 50
