"""What happens, one line each, as it happens: for the terminal of those who serve or watch."""

from __future__ import annotations

from harness.history import Event
from harness.report import printable
from harness.report.timeline import arrows


def line(event: Event) -> str | None:
    """Who told whom what, and the ids that are not named in it; None for what nobody told anybody."""
    for arrow in arrows((event,)):
        # Who called or published is only known where it was somebody of this run.
        source = event.seat or "" if event.kind == "published" else "" if event.kind == "http" else arrow.source
        way = source if source == arrow.target else f"{source} → {arrow.target}".strip()
        ids = [f"{name} {printable(value)}" for name, value in event.about.items() if value not in arrow.label]
        return stamped(event.wall, "  ".join(part for part in (way, arrow.label, " ".join(ids)) if part))
    return None


def stamped(wall: str, text: str) -> str:
    """With the time of day, in UTC."""
    return f"{wall[11:23]} {text}"
