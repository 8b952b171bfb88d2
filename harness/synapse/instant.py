"""`java.time.Instant`: nanoseconds, and 10**9 years either way, neither of which `datetime` can hold."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, Self

_SECONDS_PER_DAY: Final = 86_400
_DAYS_PER_CYCLE: Final = 146_097
"""Days in 400 years, after which the calendar repeats itself; `date` then serves for any year."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_MAX_YEAR: Final = 1_000_000_000
_MAX_OFFSET: Final = 18 * 3600

_TEXT = re.compile(
    r"([+-]?[0-9]{4,10})-([0-9]{2})-([0-9]{2})"
    r"[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{0,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?)"
)


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    seconds: int
    """Since 1970-01-01T00:00:00Z."""
    nanos: int = 0

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """The same moment; `moment` is aware."""
        since = moment - _EPOCH
        return cls(since.days * _SECONDS_PER_DAY + since.seconds, since.microseconds * 1000)

    @classmethod
    def of_epoch_milli(cls, millis: int) -> Self:
        seconds, rest = divmod(millis, 1000)
        return cls(seconds, rest * 1_000_000)

    @classmethod
    def of_epoch_nano(cls, nanos: int) -> Self:
        """From what `time.time_ns` counts."""
        return cls(*divmod(nanos, 1_000_000_000))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """`Instant.parse` of JDK 12 and later, None where it throws."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        day = _epoch_day(match[1], int(match[2]), int(match[3]))
        nanos = int((match[7] or "").ljust(9, "0"))
        second = _second_of_day(int(match[4]), int(match[5]), int(match[6]), nanos)
        offset = _offset(match[8], match[9], match[10], match[11]) if match[8] else 0
        if day is None or second is None or offset is None:
            return None
        seconds = day * _SECONDS_PER_DAY + second - offset
        if not _MIN_SECONDS <= seconds <= _MAX_SECONDS:
            return None
        return cls(seconds, nanos)

    def __str__(self) -> str:
        """`Instant.toString`: 0, 3, 6 or 9 digits of the fraction, and a sign before a long year."""
        days, second = divmod(self.seconds, _SECONDS_PER_DAY)
        cycles, day = divmod(days + _EPOCH_DAY - 1, _DAYS_PER_CYCLE)
        # One cycle later, because `date` begins with the year 1 and a cycle here with the year 1 of any 400.
        day_of_cycle = date.fromordinal(day + 1)
        year = day_of_cycle.year + 400 * cycles
        sign = "-" if year < 0 else "+" if year > 9999 else ""
        minute, second = divmod(second, 60)
        time = f"{minute // 60:02}:{minute % 60:02}:{second:02}{_fraction(self.nanos)}"
        return f"{sign}{abs(year):04}-{day_of_cycle.month:02}-{day_of_cycle.day:02}T{time}Z"


def _epoch_day(year_text: str, month: int, day: int) -> int | None:
    digits = year_text.lstrip("+-")
    year = int(year_text)
    # A plus sign stands exactly before more than four digits, and a minus sign not before zero.
    if year_text[0] == "-":
        if year == 0:
            return None
    elif (year_text[0] == "+") != (len(digits) > 4):
        return None
    if abs(year) > _MAX_YEAR + 1:
        return None
    cycles, of_cycle = divmod(year, 400)
    try:
        ordinal = date(of_cycle + 400, month, day).toordinal()
    except ValueError:
        return None
    return ordinal + (cycles - 1) * _DAYS_PER_CYCLE - _EPOCH_DAY


def _second_of_day(hour: int, minute: int, second: int, nanos: int) -> int | None:
    """24:00:00 is the next midnight, and 23:59:60 the second before it, whatever the date and the offset."""
    if (hour, minute, second) == (23, 59, 60):
        second = 59
    if minute > 59 or second > 59 or hour > 24 or (hour == 24 and (minute or second or nanos)):
        return None
    return hour * 3600 + minute * 60 + second


def _offset(sign: str, hours: str, minutes: str, seconds: str | None) -> int | None:
    if int(minutes) > 59 or int(seconds or 0) > 59:
        return None
    offset = int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)
    if offset > _MAX_OFFSET:
        return None
    return -offset if sign == "-" else offset


def _fraction(nanos: int) -> str:
    if nanos == 0:
        return ""
    digits = f"{nanos:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}"


def _seconds_at(year: str) -> int:
    day = _epoch_day(year, 1, 1)
    assert day is not None
    return day * _SECONDS_PER_DAY


_MIN_SECONDS: Final = _seconds_at(f"-{_MAX_YEAR}")
_MAX_SECONDS: Final = _seconds_at(f"+{_MAX_YEAR + 1}") - 1
