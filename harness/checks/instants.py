"""Instants in nanoseconds since 1970: Java keeps more of a second than `datetime` can hold."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

SECOND = 1_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()
_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)  # redis-messages §2.1, and what Instant.parse takes of it


def parse(text: str) -> int | None:
    """The instant that the documented form names; None for any other text, also where some reader would take it."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    offset = 60 * int(found[9] or 0) + int(found[10] or 0)
    if hour > 23 or minute > 59 or second > 59 or int(found[10] or 0) > 59 or offset > 18 * 60:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    local = ((days * 24 + hour) * 60 + minute) * 60 + second
    away = -60 * offset if found[8] == "-" else 60 * offset
    return (local - away) * SECOND + int((found[7] or "").ljust(9, "0"))


def of(moment: datetime) -> int:
    return _whole_seconds(moment) * SECOND + moment.microsecond * 1000


def shown(instant: int) -> str:
    """As ISO text, with as many digits of the fraction as it needs. For years that `datetime` can hold."""
    seconds, nanos = divmod(instant, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")
    return f"{text}.{nanos:09}".rstrip("0").removesuffix(".") + "Z"


def _whole_seconds(moment: datetime) -> int:
    moment = moment.astimezone(UTC)
    return (moment.toordinal() - _EPOCH) * 86_400 + moment.hour * 3600 + moment.minute * 60 + moment.second
