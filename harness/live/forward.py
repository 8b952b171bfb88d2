"""A system that runs somewhere else as an ASGI application that passes every call on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import httpx2

from harness.errors import HarnessError
from harness.http import App, Receive, Scope, Send, read_body
from harness.live.address import shown, trusted

_OURS = frozenset({"host", "content-length", "connection", "transfer-encoding"})
_CODED = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})


def connection(url: str, patience: float, verify: bool | str, headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """To the host of this URL; the headers are sent with every call."""
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}"
    tls = trusted(verify)
    return httpx2.AsyncClient(base_url=base, timeout=patience, verify=tls, headers=dict(headers), trust_env=False)


def forwarded(client: httpx2.AsyncClient, where: str, patience: float, path_of: Callable[[str], str]) -> App:
    """`where` is the setting and its URL; `path_of` says which path there stands for one here.

    Raises HarnessError that names the setting where no answer comes: what became of that call is not known.
    """

    async def forward(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await read_body(receive)
        path, query = path_of(scope["path"]), scope.get("query_string", b"").decode("latin-1")
        headers = [(name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() not in _OURS]
        try:
            async with asyncio.timeout(patience):  # the client's own is for each read
                answer = await client.request(
                    scope["method"], f"{path}?{query}" if query else path, content=body, headers=headers
                )
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise HarnessError(f"{where}: no answer within {patience:g} s; is it up?") from error
        except httpx2.TransportError as error:
            said = str(error) or type(error).__name__
            raise HarnessError(f"{where}: cannot be reached ({said}); start it or correct the URL") from error
        except Exception as error:  # not for the tap to answer in that system's name
            said = f"{type(error).__name__}: {shown(str(error))}"
            raise HarnessError(f"{where}: {scope['method']} {path} gave nothing that can be judged ({said})") from error
        kept = [(name, value) for name, value in answer.headers.raw if name.decode("latin-1").lower() not in _CODED]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
        await send({"type": "http.response.body", "body": answer.content})

    return forward
