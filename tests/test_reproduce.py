"""Commands that show a finding again: a shell makes of them the call that was made, and no secret is in them."""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from histories import BODY, DIRECT, GATEWAY, call, published

from harness.history import Event
from harness.reproduce import curl, listen, publish


def words(event: Event) -> list[str]:
    return shlex.split(curl(event), comments=True)


def headers(event: Event) -> list[str]:
    read = words(event)
    return [value for flag, value in pairwise(read) if flag == "-H"]


def sent(event: Event) -> bytes:
    """The body that curl sends when a shell runs the command."""
    read = words(event)
    data = read[read.index("--data-binary") + 1]
    if data == "@-":
        assert read[0] == "echo"
        assert read[2:6] == ["|", "base64", "-d", "|"]
        return base64.b64decode(read[1])
    assert not data.startswith("@"), "curl would read a file"
    assert "\0" not in data, "no argument of a command can hold it"
    return data.encode()


def test_a_call_is_told_as_one_curl() -> None:
    event = call(b'{"approved": true}', query="a=1&b=2")
    assert curl(event) == (
        "curl -i -X POST \"$HARNESS_AURA_URL\"'/aura/action/record?a=1&b=2'"
        " -H \"Authorization: Bearer $HARNESS_TOKEN\" -H 'x-tenant-id: 7' -H 'content-type: application/json'"
        " --data-binary '{\"approved\": true}'"
    )


@pytest.mark.parametrize("path", [DIRECT, GATEWAY])
def test_the_url_is_the_one_of_the_environment_with_the_path_of_the_call(path: str) -> None:
    assert f'"$HARNESS_AURA_URL"{path} ' in curl(call(path=path))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_method_is_that_of_the_call(method: str) -> None:
    assert words(call(b"", method=method))[:4] == ["curl", "-i", "-X", method]


def test_head_is_asked_for_so_that_curl_does_not_wait_for_a_body() -> None:
    assert words(call(b"", method="HEAD"))[:3] == ["curl", "-i", "-I"]


@pytest.mark.parametrize(
    "wire",
    [
        b"{",
        b"'\"$HOME `id` \\n !1 #no \\",
        "그는 '승인'이라고 \n\t말했다 👍 \u2028".encode(),
        b"-d @/etc/hostname",
        b"@/etc/hostname",
        b"\xff\xfe",
        b"a\0b",
        b"'; rm -rf /; '",
    ],
)
def test_a_shell_sends_exactly_the_bytes_of_the_body(wire: bytes) -> None:
    assert sent(call(wire)) == wire


def test_an_empty_body_is_not_sent() -> None:
    assert "--data-binary" not in words(call(b""))


def test_the_headers_are_those_of_the_call_without_what_curl_adds_itself() -> None:
    own = {"host": "aura", "content-length": "3", "accept": "*/*", "user-agent": "x", "connection": "close"}
    event = call(b"{}", headers={**own, "x-schemathesis-testcaseid": "abc", "x-odd": "a 'b' \"c\" $d"})
    assert headers(event) == [
        "Authorization: Bearer $HARNESS_TOKEN",
        "x-tenant-id: 7",
        "content-type: application/json",
        "x-odd: a 'b' \"c\" $d",
    ]


def test_a_header_that_was_not_sent_is_not_sent() -> None:
    assert headers(call(b"", tenant=None, content_type=None, token="valid")) == ["Authorization: Bearer $HARNESS_TOKEN"]


def test_an_empty_header_is_sent_as_curl_wants_it() -> None:
    assert "x-tenant-id;" in headers(call(tenant=""))


def test_a_body_without_a_content_type_is_not_given_one_by_curl() -> None:
    assert "content-type:" in [header.lower() for header in headers(call(content_type=None))]


@pytest.mark.parametrize(
    ("token", "hint"),
    [
        ("valid", ""),
        ("unclear", "a valid token, its scheme spelled bearer"),
        ("malformed", "something that is no bearer token"),
        ("alg-none", "a token with alg none and no signature"),
        ("wrong-signature", "a token signed with another secret"),
        ("expired", "an expired token"),
    ],
)
def test_the_token_is_named_and_a_comment_says_which_kind_to_take(token: str, hint: str) -> None:
    told = curl(call(token=token))
    assert '-H "Authorization: Bearer $HARNESS_TOKEN"' in told
    assert told.partition("  # HARNESS_TOKEN: ")[2] == hint


def test_a_call_without_token_has_none() -> None:
    assert "HARNESS_TOKEN" not in curl(call(token="missing"))


@pytest.mark.parametrize("name", ["authorization", "proxy-authorization", "cookie"])
def test_what_a_history_holds_of_a_secret_header_is_never_its_value(name: str) -> None:
    assert "hunter2" not in curl(call(headers={name: "***"}))


def test_the_ids_and_the_document_of_the_call_are_shown() -> None:
    told = curl(call(BODY))
    for value in ("case-1", "request-1", "1000-1900000001-2024", "검토 후 승인"):
        assert value in told


def test_a_channel_is_listened_to_through_redis_cli() -> None:
    assert listen("workbench:alert") == 'redis-cli -u "$HARNESS_REDIS_URL" SUBSCRIBE workbench:alert'
    assert shlex.split(listen("workbench:it's $(x)"))[-1] == "workbench:it's $(x)"


def piped(command_line: str, tmp_path: Path) -> tuple[list[str], bytes]:
    """The arguments and the input that a shell gives to redis-cli."""
    fake = tmp_path / "redis-cli"
    fake.write_text('#!/bin/sh\nfor word; do printf "%s\\0" "$word"; done > "$OUT/words"\ncat > "$OUT/input"\n')
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "OUT": str(tmp_path)}
    environment["HARNESS_REDIS_URL"] = "redis://h"
    script = tmp_path / "script"
    script.write_text(command_line, encoding="utf-8", newline="")
    subprocess.run(["sh", str(script)], env=environment, stdin=subprocess.DEVNULL, check=True)
    return (tmp_path / "words").read_bytes().decode().split("\0")[:-1], (tmp_path / "input").read_bytes()


@pytest.mark.parametrize(
    "wire", [b"", b"{}", b"'\"$HOME `id` \\n !1 #no \\", "승인 👍\n".encode(), b"\xff\xfe", b"a\0b", b"%s" * 60_000]
)
def test_a_shell_publishes_exactly_the_bytes_of_the_message(wire: bytes, tmp_path: Path) -> None:
    words, given = piped(publish(published(wire, channel="workbench:it's $(x)")), tmp_path)
    assert words[:2] == ["-u", "redis://h"]
    if "-x" in words:
        assert words[2:] == ["-x", "PUBLISH", "workbench:it's $(x)"]
        assert given == wire
    else:
        assert words[2:] == ["PUBLISH", "workbench:it's $(x)", wire.decode()]
