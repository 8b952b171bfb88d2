"""People's text taken out of a history: equal texts become equal marks, so that it can be judged all the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

OURS = ("HITL timeout", "aura-harness")
"""What no person wrote."""
FIELDS = ("comment", "reason", "executor_id", "userId", "user")
"""What people write, and who they are."""
_FIELD = re.compile(rf'("(?:{"|".join(FIELDS)})"\s*:\s*)"((?:[^"\\]|\\.)+)"')


def redacted(value: Any, name: str = "") -> Any:
    """The same value with a mark for every text of a person, also inside JSON text."""
    if isinstance(value, Mapping):
        return {key: redacted(each, str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each, name) for each in value]
    if not isinstance(value, str):
        return value
    return _mark(value) if name in FIELDS and value else _FIELD.sub(_replaced, value)


def of_event(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of what an event holds; its own `reason` is why the workbench did something."""
    return {key: value if key == "reason" else redacted(value, key) for key, value in data.items()}


def _replaced(found: re.Match[str]) -> str:
    """Escaped in whatever way, an equal text gets an equal mark."""
    try:
        text = json.loads(f'"{found[2]}"', strict=False)
    except ValueError:
        text = found[2]
    return f'{found[1]}"{_mark(text)}"'


def _mark(text: str) -> str:
    if text in OURS:
        return text
    return f"redacted-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
