"""How Aura's notifications drift: their fields, their bytes, their times, their channels, and when there is one."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from harness.aura.actions import Actions, Feedback
from harness.aura.publishers import Action, Publish, Publishers, encoded
from harness.clock import Clock
from harness.drift.deviation import Deviation
from harness.drift.seams import COMMON, Json, aura, bytes_of, feedback, logged_as, payload, publishing, told_at
from harness.messages import ALERT, CASE_ACTION
from harness.seats import Parts, Settings

_of = partial(Deviation.of, "aura")

UNCLAIMED = (
    "publish.once publish.none-when-refused publish.after-feedback "
    "hitl.approve-recorded hitl.reject-recorded hitl.deadline delivery.nothing-invented"
)
"""What a message may break that nobody can tell whose it is: one is missing, and there is one too many elsewhere."""
SEOUL = timezone(timedelta(hours=9))


# ---- Fields ----------------------------------------------------------------------------------------------------------


def _renamed(old: str, new: str) -> Parts:
    return payload(lambda told: {new if name == old else name: value for name, value in told.items()})


def _dropped(*names: str) -> Parts:
    return payload(lambda told: {name: value for name, value in told.items() if name not in names})


def _with(**fields: object) -> Parts:
    return payload(lambda told: told | fields)


def _changed(name: str, change: Callable[[Any], Any]) -> Parts:
    """One field, where it is there."""
    return payload(lambda told: told | {name: change(told[name])} if name in told else told)


def _nested(told: Json) -> Json:
    return {**_common(told), "data": {name: value for name, value in told.items() if name not in COMMON}}


def _common(told: Json) -> Json:
    return {name: told[name] for name in COMMON}


def _older_shape(told: Json) -> Json:
    if told["category"] != "CASE_ACTION":
        return told
    event = {name: value for name, value in told.items() if name not in COMMON}
    return {"type": "case_action_completed", **event, "at": told["timestamp"]}


# ---- Bytes -----------------------------------------------------------------------------------------------------------


def _wide_escaped(told: Json) -> bytes:
    """Only what lies beyond the basic plane."""
    text = encoded(told).decode()
    return "".join(each if each < "\U00010000" else json.dumps(each)[1:-1] for each in text).encode()


# ---- Times -----------------------------------------------------------------------------------------------------------


def _stamped(change: Callable[[datetime], object]) -> Parts:
    return _changed("timestamp", lambda stamp: change(datetime.fromisoformat(stamp)))


@dataclass(frozen=True, slots=True)
class _Off:
    """A clock that goes wrong by so much."""

    clock: Clock
    by: timedelta

    def now(self) -> datetime:
        return self.clock.now() + self.by

    def elapsed(self) -> float:
        return self.clock.elapsed()


@dataclass(frozen=True, slots=True)
class _Stopped:
    """The time at which the process began, ever after."""

    clock: Clock
    began: datetime

    def now(self) -> datetime:
        return self.began

    def elapsed(self) -> float:
        return self.clock.elapsed()


# ---- Channels --------------------------------------------------------------------------------------------------------


def _moved(**channels: Any) -> Callable[[Settings], Settings]:
    return lambda settings: replace(settings, aura=replace(settings.aura, **channels))


def _on(rename: Callable[[str], tuple[str, ...]]) -> Parts:
    def wrap(publish: Publish) -> Publish:
        async def everywhere(channel: str, wire: bytes) -> int:
            return sum([await publish(each, wire) for each in rename(channel)])

        return everywhere

    return publishing(wrap)


# ---- When there is one -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told(Publishers):
    """Publishers that somebody changed; what they were is below."""

    async def alert(self, case_id: str, score: float, severity: str) -> None:
        fields = {"case_id": case_id, "score": score, "severity": severity}
        await self._notify(self.settings.workbench_alert_channel, "AI_DETECT", "신규 이상 징후 탐지", **fields)


class AlertsFor(Told):
    """Alerts for these severities."""

    severities: tuple[str, ...] = ()

    async def case_created(self, case_id: str, severity: str, score: float) -> None:
        if severity in self.severities:
            await self.alert(case_id, score, severity)


class AlertsForMedium(AlertsFor):
    severities = ("HIGH", "MEDIUM")


class AlertsForCritical(AlertsFor):
    severities = ("HIGH", "CRITICAL")


class AlertsByScore(Told):
    async def case_created(self, case_id: str, severity: str, score: float) -> None:
        if score >= 0.5:
            await Publishers.case_created(self, case_id, severity, score)


class RagOnFailure(Told):
    async def rag_finished(self, rag_document_id: str, chunks_added: int, succeeded: bool) -> None:
        await Publishers.rag_finished(self, rag_document_id, chunks_added, True)


class RagOfNothing(Told):
    async def rag_finished(self, rag_document_id: str, chunks_added: int, succeeded: bool) -> None:
        if chunks_added:
            await Publishers.rag_finished(self, rag_document_id, chunks_added, succeeded)


class Approvals(Told):
    async def action_recorded(self, action: Action) -> None:
        if action.approved:
            await Publishers.action_recorded(self, action)


class Twice(Told):
    async def action_recorded(self, action: Action) -> None:
        await Publishers.action_recorded(self, action)
        await Publishers.action_recorded(self, action)


class TestsItself(Told):
    """Sends an alert for nothing after every action, to see whether Redis is there."""

    async def action_recorded(self, action: Action) -> None:
        await Publishers.action_recorded(self, action)
        await self.alert("HEALTHCHECK", 0.0, "HIGH")


class AlwaysApproved(Told):
    async def action_recorded(self, action: Action) -> None:
        await Publishers.action_recorded(self, replace(action, approved=True))


# ---- The feedback line and its publish -------------------------------------------------------------------------------


class FeedbackLast(Actions):
    async def record(self, action: Action) -> None:
        await self.tell(action)
        self.feedback(self.line(action))


class NotAwaited(Actions):
    async def record(self, action: Action) -> None:
        self.feedback(self.line(action))
        self.publishers.action_recorded(action).close()  # as if it had been called and left


def _remembering(make: Callable[[Actions], Callable[[Action], Awaitable[None]]]) -> Parts:
    """An action's record that remembers something of the one before."""

    def made(publishers: Publishers, write: Feedback, clock: Clock) -> Actions:
        actions = Actions(publishers, write, clock)
        record = make(actions)

        class Remembering(Actions):
            async def record(self, action: Action) -> None:
                await record(action)

        return Remembering(publishers, write, clock)

    return aura(actions=made)


def _last_one(actions: Actions) -> Callable[[Action], Awaitable[None]]:
    """What is published is whatever was recorded last, by whomever."""
    last: list[Action] = []

    async def record(action: Action) -> None:
        last[:] = [action]
        actions.feedback(actions.line(action))
        await asyncio.sleep(0)
        await actions.tell(last[0])

    return record


def _executor_before(actions: Actions) -> Callable[[Action], Awaitable[None]]:
    executors = ["system"]

    async def record(action: Action) -> None:
        actions.feedback(actions.line(action))
        executors.append(action.executor_id)
        await actions.tell(replace(action, executor_id=executors[-2]))

    return record


def _once_per_request(actions: Actions) -> Callable[[Action], Awaitable[None]]:
    told: set[str] = set()

    async def record(action: Action) -> None:
        actions.feedback(actions.line(action))
        if action.request_id not in told:
            told.add(action.request_id)
            await actions.tell(action)

    return record


def _every_tenth_fails(write: Feedback) -> Feedback:
    """The disk is full now and then, and the exception is swallowed."""
    count = 0

    def wrapped(line: str) -> None:
        nonlocal count
        count += 1
        if count % 10:
            write(line)

    return wrapped


FIELDS = (
    _of(
        "case-id-renamed",
        "I renamed case_id to caseId, as the front end calls it.",
        "publish.event-fields publish.echo",
        _renamed("case_id", "caseId"),
    ),
    _of(
        "executor-is-null",
        "The executor is personal data, so it is null.",
        "publish.event-fields publish.echo",
        _changed("executor_id", lambda executor: None),
    ),
    _of(
        "nested-under-data",
        "Event fields stand under data, like in the answers.",
        "publish.event-fields publish.echo publish.agree",
        payload(_nested),
        also=UNCLAIMED,
    ),
    _of(
        "approved-is-text",
        'approved is "true", since Redis knows no booleans.',
        "publish.agree",
        _changed("approved", lambda it: str(it).lower()),
    ),
    _of("approved-is-a-number", "approved is 1 or 0, as in the table.", "publish.agree", _changed("approved", int)),
    _of(
        "status-code-always-approved",
        "The status was copied from the sample.",
        "publish.agree",
        _changed("status_code", lambda it: "APPROVED"),
    ),
    _of(
        "everything-approved",
        "A rejection is told as an approval.",
        "publish.agree",
        aura(publishers=AlwaysApproved),
        also="hitl.reject-recorded hitl.timeout-recorded",
    ),
    _of(
        "category-in-lower-case", "Categories are lower case.", "publish.common-fields", _changed("category", str.lower)
    ),
    _of(
        "category-in-type",
        "type holds the category, as everywhere else.",
        "publish.common-fields",
        payload(lambda told: told | {"type": told["category"]}),
    ),
    _of(
        "two-shapes-swapped",
        "I publish case_action_completed, from the other document.",
        "publish.common-fields",
        payload(_older_shape),
    ),
    _of("message-is-empty", "The text is made by the front end.", "publish.common-fields", _with(message="")),
    _of("message-in-english", "Texts are English now.", "publish.message-text", _with(message="Action completed")),
    _of(
        "score-is-text",
        "Scores are formatted.",
        "publish.event-fields publish.echo",
        _changed("score", lambda it: f"{it:.2f}"),
    ),
    _of(
        "score-is-not-a-number",
        "Where nothing was scored it is NaN, which json.dumps writes as it stands.",
        "publish.utf8-json",
        _changed("score", lambda it: math.nan),
    ),
    _of(
        "case-id-always-the-same",
        "The id was bound when the function was made.",
        "publish.echo",
        _changed("case_id", lambda it: "CASE-0"),
        also="hitl.approve-recorded hitl.reject-recorded",
    ),
    _of(
        "database-fields-deep",
        "The row's state is in meta.",
        "publish.no-database-fields",
        _with(meta={"db": {"fi_doc_updated": True}}),
    ),
)

BYTES = (
    _of(
        "encoded-twice",
        "I gave text to a client that encodes by itself.",
        "publish.utf8-json",
        bytes_of(lambda told: json.dumps(encoded(told).decode(), ensure_ascii=False).encode()),
        also=UNCLAIMED,
    ),
    _of(
        "ascii-escapes",
        "json.dumps as it comes.",
        "publish.unescaped",
        bytes_of(lambda told: json.dumps(told).encode()),
    ),
    _of(
        "emoji-escaped",
        "Only what MySQL's utf8 does not hold is escaped.",
        "publish.unescaped",
        bytes_of(_wide_escaped),
    ),
    _of(
        "utf-16",
        "Java strings are UTF-16.",
        "publish.utf8-json",
        bytes_of(lambda told: encoded(told).decode().encode("utf-16")),
        also=UNCLAIMED,
    ),
    _of(
        "byte-order-mark",
        "utf-8-sig opens in Excel.",
        "publish.utf8-json",
        bytes_of(lambda told: b"\xef\xbb\xbf" + encoded(told)),
        also=UNCLAIMED,
    ),
    _of(
        "cp949",
        "The terminal of the batch server is cp949.",
        "publish.utf8-json",
        bytes_of(lambda told: encoded(told).decode().encode("cp949", "replace")),
        also=UNCLAIMED,
    ),
    _of(
        "latin-1",
        "The socket is opened with latin-1, and what does not fit becomes a question mark.",
        "publish.message-text publish.echo",
        bytes_of(lambda told: encoded(told).decode().encode("latin-1", "replace")),
        also="hitl.approve-recorded",
    ),
)

TIMES = (
    _of("timestamp-dropped", "Redis knows when it came.", "publish.common-fields", _dropped("timestamp")),
    _of(
        "naive-timestamp",
        "datetime.now().isoformat().",
        "publish.timestamp-format",
        _stamped(lambda at: at.replace(tzinfo=None).isoformat()),
    ),
    _of(
        "local-timestamp",
        "Users are in Seoul, so is the offset.",
        "publish.timestamp-format",
        _stamped(lambda at: at.astimezone(SEOUL).isoformat()),
    ),
    _of(
        "local-time-as-utc",
        "Seoul's time with a Z behind it.",
        "publish.timestamp-within",
        _stamped(lambda at: at.astimezone(SEOUL).replace(tzinfo=None).isoformat() + "Z"),
    ),
    _of(
        "epoch-milliseconds",
        "Milliseconds, as JavaScript has them.",
        "publish.common-fields",
        _stamped(lambda at: int(at.timestamp() * 1000)),
    ),
    _of(
        "clock-five-minutes-late",
        "That machine has no NTP.",
        "publish.timestamp-within",
        told_at(lambda clock: _Off(clock, timedelta(minutes=-5))),
    ),
    _of(
        "time-of-process-start",
        "timestamp=now() stands in the default argument, and the process has been up for an hour.",
        "publish.timestamp-within",
        told_at(lambda clock: _Stopped(clock, clock.now() - timedelta(hours=1))),
    ),
)

CHANNELS = (
    _of(
        "channel-renamed",
        "I renamed the setting's default to workbench:actions.",
        "publish.once publish.channel-category",
        None,
        _moved(case_action_redis_channel="workbench:actions"),
        also="hitl.approve-recorded hitl.reject-recorded hitl.timeout-recorded",
    ),
    _of(
        "rag-on-the-alert-channel",
        "RAG and alerts share a channel.",
        "publish.rag-success publish.channel-category",
        None,
        _moved(workbench_rag_status_channel=ALERT),
    ),
    _of(
        "alerts-among-actions",
        "Alerts go where the screen listens.",
        "publish.alert-high publish.channel-category",
        _on(lambda channel: (CASE_ACTION,) if channel == ALERT else (channel,)),
    ),
    _of(
        "on-two-channels",
        "Actions go to both names until everybody has moved.",
        "publish.channel-category",
        _on(lambda channel: (channel, "workbench:actions") if channel == CASE_ACTION else (channel,)),
        also="publish.once publish.after-feedback",
    ),
)

OCCASIONS = (
    _of("alert-for-medium", "MEDIUM is suspicious, too.", "publish.alert-high", aura(publishers=AlertsForMedium)),
    _of("alert-for-critical", "CRITICAL is above HIGH.", "publish.alert-high", aura(publishers=AlertsForCritical)),
    _of("alert-by-score", "HIGH with a low score is noise.", "publish.alert-high", aura(publishers=AlertsByScore)),
    _of(
        "rag-on-failure",
        "The message says that it ended, well or not.",
        "publish.rag-success",
        aura(publishers=RagOnFailure),
    ),
    _of("rag-of-nothing-untold", "No chunks, no news.", "publish.rag-success", aura(publishers=RagOfNothing)),
    _of(
        "rejections-untold",
        "Only approvals change anything.",
        "publish.once",
        aura(publishers=Approvals),
        also="hitl.reject-recorded hitl.timeout-recorded",
    ),
    _of(
        "told-twice",
        "A retry decorator, around what had worked.",
        "publish.once",
        aura(publishers=Twice),
        also="publish.after-feedback hitl.approve-recorded hitl.reject-recorded hitl.timeout-recorded",
    ),
    _of(
        "alert-as-health-check",
        "A test alert after each action shows that Redis is there.",
        "delivery.nothing-invented",
        aura(publishers=TestsItself),
    ),
    _of(
        "not-awaited",
        "I forgot await.",
        "publish.once",
        aura(actions=NotAwaited),
        also="hitl.approve-recorded hitl.reject-recorded hitl.timeout-recorded",
    ),
    _of(
        "feedback-last",
        "Publish first, the log can wait.",
        "publish.after-feedback",
        aura(actions=FeedbackLast),
        also="hitl.feedback",
    ),
    _of(
        "once-per-request",
        "A request_id that was told before is not told again.",
        "publish.once",
        _remembering(_once_per_request),
        also="hitl.approve-recorded",
    ),
    _of(
        "last-action-shared",
        "The action is kept in a module variable.",
        "publish.once",
        _remembering(_last_one),
        also="hitl.approve-recorded hitl.reject-recorded hitl.timeout-recorded",
    ),
    _of(
        "executor-left-over",
        "The executor is cached for a request too long.",
        "publish.echo",
        _remembering(_executor_before),
        also="hitl.approve-recorded hitl.reject-recorded",
    ),
    _of(
        "feedback-lost-now-and-then",
        "Errors of the log are swallowed; it is only a log.",
        "http.logged",
        feedback(_every_tenth_fails),
        also="hitl.feedback",
    ),
    _of(
        "comment-not-logged",
        "Comments are personal data.",
        "http.logged",
        logged_as(lambda line: line | {"comment": ""}),
        also="hitl.timeout-recorded",
    ),
)

DEVIATIONS = (*FIELDS, *BYTES, *TIMES, *CHANNELS, *OCCASIONS)
