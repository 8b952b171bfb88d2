"""How a live system is reached: what a URL, a header and a trust in certificates have to be, and how a URL is shown.

A setting that cannot work is refused before anything is sent: what fails on the way is easily taken for the other
side's.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from harness.errors import UsageError

_USER = re.compile(r"//[^/?#\s]*@")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")


def shown(text: str) -> str:
    """A URL, or a text with some in it, without what only its owner may read."""
    return _USER.sub("//***@", text)


def must_be_url(url: str, where: str, example: str) -> None:
    """Raises UsageError for what is none, or none of HTTP."""
    hidden = re.sub(r"//.*@", "//***@", url, flags=re.DOTALL)  # a password with a slash in it ends the host too early
    expected = f"expected {example}"
    if not re.match(r"https?://[^/?#]", url):
        raise UsageError(f"{where} {hidden}: no http:// or https:// URL, {expected}")
    try:
        usable = urlsplit(url).port != 0 and bool(httpx2.URL(url).host) and not re.search(r"[\s\\]", url)
    except (ValueError, httpx2.InvalidURL):
        usable = False
    if not usable:
        raise UsageError(f"{where} {hidden!r}: its host or port cannot be read, {expected}")


def must_be_headers(headers: Mapping[str, str], where: str) -> None:
    """Raises UsageError for a header that HTTP cannot carry."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise UsageError(f"{where}: {name!r} is no name of a header, expected letters, digits and hyphens")
        if not _VALUE.fullmatch(value):
            raise UsageError(
                f"{where}: {name} holds what no header can carry, expected ASCII text of one line; encode it as the "
                "receiver decodes it (percent-encoding is usual)"
            )


def trusted(verify: bool | str, where: str = "verify") -> ssl.SSLContext:
    """For HTTP and WebSockets alike; the text is a file or folder of certificates.

    Raises UsageError for one that cannot be used.
    """
    if isinstance(verify, bool):
        return httpx2.create_ssl_context(verify, trust_env=False)
    try:
        if Path(verify).is_dir():
            return ssl.create_default_context(capath=verify)
        return ssl.create_default_context(cafile=verify)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        said = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(
            f"{where}: {verify!r} holds no certificates that can be read ({said}); give a PEM file"
        ) from error
