"""The body of a record call, read strictly: a value of the wrong JSON type is refused, never converted."""

from __future__ import annotations

import json
from typing import Any

from harness.aura.publishers import Action

_IDS = ("case_id", "request_id", "executor_id")
_TEXTS = ("comment", "doc_key")


class Unprocessable(Exception):
    """The body does not validate. `detail` lists what is wrong, an object with `type`, `loc` and `msg` each."""

    def __init__(self, *detail: dict[str, Any]) -> None:
        super().__init__(detail)
        self.detail = detail


def read_action(content_type: str | None, body: bytes) -> Action:
    """Raises Unprocessable with everything that is wrong."""
    value = _object(content_type, body)
    wrong = [error for name in (*_IDS, *_TEXTS, "approved") for error in _check(name, value)]
    if wrong:
        raise Unprocessable(*wrong)
    return Action(
        case_id=value["case_id"],
        request_id=value["request_id"],
        executor_id=value["executor_id"],
        approved=value["approved"],
        comment=value.get("comment"),
        doc_key=value.get("doc_key"),
    )


def _object(content_type: str | None, body: bytes) -> dict[str, Any]:
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Unprocessable(_error("content_type", (), "Content-Type should be application/json"))
    try:
        value = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise Unprocessable(_error("json_invalid", (), f"JSON decode error: {type(error).__name__}")) from error
    if not isinstance(value, dict):
        raise Unprocessable(_error("dict_type", (), "Input should be an object"))
    return value


def _check(name: str, value: dict[str, Any]) -> list[dict[str, Any]]:
    if name not in value:
        return [] if name in _TEXTS else [_error("missing", (name,), "Field required")]
    found = value[name]
    if name == "approved":
        return [] if isinstance(found, bool) else [_error("bool_type", (name,), "Input should be a boolean")]
    if found is None and name in _TEXTS:
        return []
    if not isinstance(found, str):
        return [_error("string_type", (name,), "Input should be a string")]
    if not _is_text(found):
        return [_error("string_unicode", (name,), "Input should be text without surrogates")]
    if not found and name in _IDS:
        return [_error("string_too_short", (name,), "Input should have at least 1 character")]
    return []


def _is_text(text: str) -> bool:
    """Half a surrogate pair is what UTF-8 does not encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _error(kind: str, place: tuple[str, ...], text: str) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", *place], "msg": text}
