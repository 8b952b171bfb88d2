"""On the way to a live system: what it costs, whom it is told of, and that a fault on it is nobody's finding."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from serving import synapse

from harness.bus import open_bus
from harness.clock import Ids, WallClock
from harness.errors import HarnessError
from harness.history import Recorder
from harness.http import Tap, call
from harness.live.aura import AuraTarget, remote
from harness.live.forward import connection
from harness.live.synapse import SynapseTarget, live_synapse
from harness.live.triggers import Trigger

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answering) -> AsyncIterator[str]:
    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(2**16)  # what was asked; else its end is a reset
            await answer(reader, writer)
        except ConnectionError:
            pass  # the other side has left
        finally:
            writer.close()

    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte after another, each before a timeout of one read is over; at most five seconds."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n")
    for _ in range(100):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def called(url: str) -> None:
    """An Aura there. Raises what the call does."""
    patience = 0.3
    target = AuraTarget(f"{url}/aura", secret="a-secret-of-more-than-32-bytes-in-all", patience=patience)
    recorder = Recorder(WallClock())
    async with connection(target.url, patience, verify=True, headers={}) as client:
        tap = Tap(remote(target, client), recorder, WallClock(), lambda text: {}, "aura")
        try:
            await call(tap, "POST", "/aura/action/record", {"case_id": "C"}, {})
        finally:
            (event,) = recorder.history()
            assert event.data["status"] is None  # nothing is answered in Aura's name


def test_a_server_that_drips_is_told_within_the_patience() -> None:
    async def run() -> float:
        began = asyncio.get_running_loop().time()
        async with answering(dripping) as url:
            with pytest.raises(HarnessError, match=r"no answer within 0\.3 s"):
                await called(url)
            trigger = Trigger("rag", "[triggers.rag]", url=url, patience=0.3)
            with pytest.raises(HarnessError, match=r"\[triggers\.rag\]: POST http://\S+: no answer within 0\.3 s"):
                await trigger.pull({})
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(run()) < 2.0


def test_an_answer_that_cannot_be_decoded_is_not_answered_for_with_500() -> None:
    async def garbled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnone")
        await writer.drain()

    async def run() -> None:
        async with answering(garbled) as url:
            await called(url)

    with pytest.raises(HarnessError, match="POST /aura/action/record gave nothing that can be judged"):
        asyncio.run(run())


def test_the_password_in_a_url_is_shown_to_nobody(real_redis: str) -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async def run() -> list[str]:
        said = []
        async with answering(refusing) as url, open_bus(real_redis) as bus:
            with_user = url.replace("//", "//kim:pa55word@")
            recorder = Recorder(WallClock())
            with pytest.raises(HarnessError) as caught:
                async with live_synapse(SynapseTarget(with_user), bus, recorder, Ids("p1")):
                    pass
            said.append(str(caught.value))
            with pytest.raises(HarnessError) as caught:
                await Trigger("rag", "[triggers.rag]", url=f"{with_user}/a").pull({})
            return [*said, str(caught.value)]

    for text in asyncio.run(run()):
        assert "http://***@127.0.0.1:" in text
        assert "pa55word" not in text


# ---- TLS is the same for HTTP and STOMP, and both go straight


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself; and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    of = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made = [program, "req", "-x509", *kind, *of, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True, timeout=20)
    return certificate, key


async def seen_through(target: SynapseTarget, redis_url: str) -> None:
    """Raises HarnessError where a message does not come back over STOMP and REST."""
    async with open_bus(redis_url) as bus, live_synapse(target, bus, Recorder(WallClock()), Ids("t1")):
        pass


@pytest.mark.parametrize("insecure", [False, True])
def test_trust_in_a_certificate_is_for_stomp_too_and_no_proxy_is_asked(
    insecure: bool, certificate: tuple[Path, Path], real_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def run() -> None:
        async with synapse(real_redis, certificate) as url:
            await seen_through(SynapseTarget(url, verify=False if insecure else str(certificate[0])), real_redis)

    asyncio.run(run())


def test_no_proxy_is_asked_without_tls_either(real_redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def run() -> None:
        async with synapse(real_redis) as url:
            await seen_through(SynapseTarget(url), real_redis)

    asyncio.run(run())


def test_a_certificate_that_nobody_trusts_is_told(certificate: tuple[Path, Path], real_redis: str) -> None:
    async def run() -> None:
        async with synapse(real_redis, certificate) as url:
            await seen_through(SynapseTarget(url), real_redis)

    with pytest.raises(HarnessError, match=r"cannot be reached \(.*self.signed certificate"):
        asyncio.run(run())
