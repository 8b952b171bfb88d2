"""The socket that is served on, and how a client on this machine names it."""

from __future__ import annotations

import socket

import pytest

from harness.serve.server import bound, url_of


def test_an_answer_in_two_parts_does_not_wait_for_an_acknowledgement() -> None:
    with bound("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("localhost", None)])
def test_a_client_on_this_machine_is_given_an_address_that_it_can_call(host: str, shown: str | None) -> None:
    with bound(host, 0) as listening:
        url, port = url_of(listening), listening.getsockname()[1]
        assert url == f"http://{shown}:{port}" if shown else url.endswith(f":{port}")
        address, _, found = url.removeprefix("http://").rpartition(":")
        socket.create_connection((address.strip("[]"), int(found))).close()
