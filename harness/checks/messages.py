"""What Aura publishes: how often, for what, and what stands in the bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.checks.http import DATABASE_FIELDS, keys_within, shown
from harness.checks.registry import check, check_each
from harness.checks.sight import CATEGORIES, Sight, sights
from harness.checks.view import ABSENT, ALERT, CASE_ACTION, RAG_STATUS, Cause, Message, View
from harness.reproduce import curl, listen
from harness.schema import Violation, in_brief
from harness.verdict import Finding

_COMMON = ("/type", "/category", "/message", "/timestamp")
_DECISION = ("/approved", "/action_type", "/status_code")

# What Instant.parse takes since Java 12, as far as Aura writes it (redis-messages §2.1).
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_UTC = ("Z", "+00:00", "-00:00")
_ESCAPED = re.compile(r"(?<!\\)(?:\\\\)*\\u([0-9a-fA-F]{4})")


@check("publish.once")
def once(view: View) -> Iterator[Finding | None]:
    for cause in view.causes:
        if cause.exchange and cause.due:
            yield _counted(view, cause, "publish.once", 1)


@check("publish.none-when-refused")
def none_when_refused(view: View) -> Iterator[Finding | None]:
    for cause in view.causes:
        if cause.exchange and cause.exchange.refused:
            yield _counted(view, cause, "publish.none-when-refused", 0)


@check("publish.alert-high")
def alert_high(view: View) -> Iterator[Finding | None]:
    return _told_of(view, "publish.alert-high", ALERT)


@check("publish.rag-success")
def rag_success(view: View) -> Iterator[Finding | None]:
    return _told_of(view, "publish.rag-success", RAG_STATUS)


@check("publish.echo")
def echo(view: View) -> Iterator[Finding | None]:
    for sight in sights(view):
        message, cause = sight.message, sight.cause
        if cause is None or not sight.readable or of_another_kind(message, cause):
            continue
        wrong = [(name, value) for name, value in cause.told.items() if not _same(message.field(name), value)]
        if not wrong:
            yield None
        for name, value in wrong:
            seen = f"{shown(message.field(name))} where it was {shown(value)}"
            yield finding(message, cause, "publish.echo", f"{name} as it was", seen, f"/{name}")


def _same(told: Any, value: Any) -> bool:
    """Whether a field is repeated; what the call itself did not say properly cannot be."""
    return value is ABSENT or value is None or (isinstance(told, bool) == isinstance(value, bool) and told == value)


@check_each("publish.agree", unseen="the decision")
def agree(sight: Sight) -> Iterator[Finding | None]:
    message = sight.message
    if message.channel != CASE_ACTION or not sight.readable or sight.misplaced:
        return
    wrong = [violation for violation in sight.violations if violation.pointer in _DECISION]
    for violation in wrong:
        yield _violated(sight, "publish.agree", violation)
    if wrong:
        return
    decided = sight.cause.approved if sight.cause else None
    if decided is not None and message.field("approved") is not decided:
        seen = f"approved: {shown(message.field('approved'))} where the call said {shown(decided)}"
        yield _found(sight, "publish.agree", "the decision of the call", seen, "/approved")
    else:
        yield None


@check_each("publish.common-fields")
def common_fields(sight: Sight) -> Iterator[Finding | None]:
    if not sight.readable:
        return
    wrong = [each for each in sight.violations if each.pointer in _COMMON and not _other_category(each)]
    if not wrong:
        yield None
    for violation in wrong:
        yield _violated(sight, "publish.common-fields", violation)


@check_each("publish.channel-category")
def channel_category(sight: Sight) -> Iterator[Finding | None]:
    category = sight.message.field("category")
    if category not in CATEGORIES.values():
        return
    clause, channel = "publish.channel-category", sight.message.channel
    expected = CATEGORIES.get(channel)
    if category == expected:
        yield None
    elif expected is None:
        yield _found(sight, clause, f"one of {', '.join(CATEGORIES)}", f"channel {channel}")
    else:
        yield _found(sight, clause, f"{expected} on {channel}", f"category {category}", "/category")


@check_each("publish.event-fields")
def event_fields(sight: Sight) -> Iterator[Finding | None]:
    if not sight.readable or sight.misplaced:
        return
    wrong = [violation for violation in sight.violations if violation.pointer not in (*_COMMON, *_DECISION)]
    if not wrong:
        yield None
    for violation in wrong:
        yield _violated(sight, "publish.event-fields", violation)


@check_each("publish.utf8-json")
def utf8_json(sight: Sight) -> Iterator[Finding | None]:
    if sight.readable:
        yield None
        return
    message = sight.message
    if message.text is ABSENT:
        seen = "bytes that are not UTF-8"
    elif message.text.startswith("\ufeff"):
        seen = "a byte order mark"
    elif message.value is ABSENT:
        seen = "text that is not JSON"
    else:
        seen = f"{in_brief(message.value)}, not an object"
    yield _found(sight, "publish.utf8-json", "one JSON object in UTF-8 without a byte order mark", seen)


@check_each("publish.unescaped")
def unescaped(sight: Sight) -> Iterator[Finding | None]:
    text = sight.message.text
    if not isinstance(text, str):
        return
    escaped = None
    if "\\u" in text:
        escaped = next((found for found in _ESCAPED.finditer(text) if int(found[1], 16) > 0x7F), None)
    if escaped is not None:
        seen = f"\\u{escaped[1]} at character {escaped.start() + 1}"
        yield _found(sight, "publish.unescaped", "text outside ASCII as it stands", seen)
    elif not text.isascii():
        yield None


@check_each("publish.timestamp-format")
def timestamp_format(sight: Sight) -> Iterator[Finding | None]:
    stamp = sight.message.field("timestamp")
    if not isinstance(stamp, str) or not stamp:
        return
    if _INSTANT.fullmatch(stamp) and stamp.endswith(_UTC) and _moment(stamp):
        yield None
    else:
        expected = "ISO 8601 in UTC with an offset, as Instant.parse takes it"
        yield _found(sight, "publish.timestamp-format", expected, shown(stamp), "/timestamp")


@check("publish.timestamp-within")
def timestamp_within(view: View) -> Iterator[Finding | None]:
    tolerance = timedelta(seconds=view.tolerance)
    for sight in sights(view):
        message, cause = sight.message, sight.cause
        stamp = _moment(message.field("timestamp"))
        if stamp is None or cause is None:
            continue
        # A timestamp is cut to the digits that it has, not rounded: it may lie before the start by one of them.
        first = cause.moment - tolerance - _grain(message.field("timestamp"))
        last = message.event.moment + tolerance
        if first <= stamp <= last:
            yield None
        else:
            off = min(abs(stamp - first), abs(stamp - last))
            seen = f"{message.field('timestamp')}, {off.total_seconds():g} s {'before' if stamp < first else 'after'}"
            expected = "a timestamp between the start of the action and the publish"
            yield _found(sight, "publish.timestamp-within", expected, seen, "/timestamp")


@check("publish.after-feedback")
def after_feedback(view: View) -> Iterator[Finding | None]:
    for seq, messages in view.told.items():
        for line, message in zip(view.logged.get(seq, ()), messages, strict=False):
            yield (
                None
                if line.event.seq < message.event.seq
                else finding(
                    message,
                    view.cause_of.get(message.event.seq),
                    "publish.after-feedback",
                    "the feedback line before the publish",
                    f"the message was event {message.event.seq}, its line {line.event.seq}",
                )
            )


@check_each("publish.no-database-fields")
def no_database_fields(sight: Sight) -> Iterator[Finding | None]:
    if not sight.readable:
        return
    names = keys_within(sight.message.value)
    found = [name for name in DATABASE_FIELDS if name in names]
    if not found:
        yield None
    else:
        expected = "neither history_id nor fi_doc_updated in a message of Aura's"
        yield _found(sight, "publish.no-database-fields", expected, " and ".join(found))


@check_each("publish.message-text")
def message_text(sight: Sight) -> Iterator[Finding | None]:
    message = sight.message
    approved = message.field("approved")
    expected = sight.wordings.get((message.channel, approved if isinstance(approved, bool) else None))
    said = message.field("message")
    if expected is None or not isinstance(said, str) or not said or sight.misplaced:
        return
    yield None if said == expected else _found(sight, "publish.message-text", expected, shown(said), "/message")


def of_another_kind(message: Message, cause: Cause) -> bool:
    """Whether it tells something else than its cause did: it only names the same case."""
    category = CATEGORIES.get(message.channel)
    return message.channel != cause.channel and category is not None and message.field("category") == category


def _other_category(violation: Violation) -> bool:
    """A category of the three on the wrong channel is another clause's matter."""
    return violation.pointer == "/category" and violation.value in CATEGORIES.values()


def _violated(sight: Sight, clause: str, violation: Violation) -> Finding:
    expected = f"{violation.pointer or 'the message'} as in the document"
    seen = f"{violation.pointer or 'the message'} {violation.reason}"
    return _found(sight, clause, expected, seen, violation.pointer)


def _found(sight: Sight, clause: str, expected: str, seen: str, pointer: str = "") -> Finding:
    return finding(sight.message, sight.cause, clause, expected, seen, pointer)


def finding(message: Message, cause: Cause | None, clause: str, expected: str, seen: str, pointer: str = "") -> Finding:
    events = (*((cause.event.seq,) if cause else ()), message.event.seq)
    return Finding(
        clause=clause,
        expected=expected,
        seen=seen,
        pointer=pointer,
        evidence=_wire(message),
        events=events,
        reproduce=_reproduce(cause, message.channel),
    )


def _told_of(view: View, clause: str, channel: str) -> Iterator[Finding | None]:
    """One message for each cause on this channel that one is due of, none where none may come."""
    judged = (cause for cause in view.causes if cause.channel == channel and cause.due is cause.possible)
    return (_counted(view, cause, clause, cause.due) for cause in judged)


def _counted(view: View, cause: Cause, clause: str, due: int) -> Finding | None:
    """Whether so many messages came of the cause, on its channel; where none is due, on any."""
    told = view.told.get(cause.event.seq, ())
    count = sum(message.channel == cause.channel or not due for message in told)
    if count == due:
        return None
    expected = f"one message on {cause.channel}" if due else f"no message on {cause.channel}"
    named = ", ".join(f"{name} {value}" for name, value in cause.ids.items() if isinstance(value, str))
    answered = f", answered {cause.exchange.status}" if cause.exchange else ""
    return Finding(
        clause=clause,
        expected=expected,
        seen=f"{count} for {named}{answered}",
        evidence="\n".join(_wire(message) for message in told),
        events=(cause.event.seq, *(message.event.seq for message in told)),
        reproduce=_reproduce(cause, cause.channel),
    )


def _wire(message: Message) -> str:
    return f"PUBLISH {message.channel}\n{message.wire.decode(errors='backslashreplace')}"


def _reproduce(cause: Cause | None, channel: str) -> tuple[str, ...]:
    return (listen(channel), *((curl(cause.event),) if cause and cause.exchange else ()))


def _grain(stamp: str) -> timedelta:
    """The value of the last digit that the text has of a second."""
    fraction = re.search(r"\.(\d+)", stamp)
    return timedelta(seconds=10.0 ** -len(fraction[1]) if fraction else 1)


def _moment(stamp: Any) -> datetime | None:
    """The instant, if the text names one. Nanoseconds are cut to what Python keeps."""
    if not isinstance(stamp, str):
        return None
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", stamp))
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
