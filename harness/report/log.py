"""What happens, one line each, as it happens: for the terminal of those who serve or watch."""

from __future__ import annotations

import json
from collections.abc import Mapping

from harness.history import Event, decode, ids_of
from harness.report import printable
from harness.report.timeline import arrows


def line(event: Event) -> str | None:
    """Who told whom what, and the ids that are not named in it; None for what nobody told anybody."""
    for arrow in arrows((event,)):
        # Who called or published is only known where it was somebody of this run.
        source = event.seat or "" if event.kind == "published" else "" if event.kind == "http" else arrow.source
        way = source if source == arrow.target else f"{source} → {arrow.target}".strip()
        ids = [f"{name} {printable(value)}" for name, value in _ids(event).items() if value not in arrow.label]
        return stamped(event.wall, "  ".join(part for part in (way, arrow.label, " ".join(ids)) if part))
    return None


def stamped(wall: str, text: str) -> str:
    """With the time of day, in UTC."""
    return f"{wall[11:23]} {text}"


def _ids(event: Event) -> Mapping[str, str]:
    """Those that the event is known by; a frame has them in the payload of its notification."""
    if event.kind != "broadcast":
        return event.about
    try:
        payload = json.loads(decode(event.data["body"]))["payload"]
        found = ids_of(json.dumps(payload).encode())
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}
