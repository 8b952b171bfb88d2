"""Breaking the simulated Aura breaks exactly the clauses that were written down beforehand."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from starlette.responses import JSONResponse

from harness import gate, runner
from harness.agreement import Agreement
from harness.aura import access, app, body, publishers
from harness.aura.actions import Actions
from harness.aura.hitl import TIMED_OUT, ApprovalRequest, Approvals, Listening, channel_of
from harness.aura.publishers import Action, Publishers
from harness.aura.settings import Settings
from harness.bus import Link
from harness.checks import judge
from harness.gate import Options

Patch = pytest.MonkeyPatch
Message = dict[str, Any]


def broken_by(agreed: Agreement, settings: Settings | None = None) -> set[str]:
    options = Options(examples=12, without=frozenset({"approvals", "messages", "gap", "schemathesis"}), quiet=0.01)
    history = asyncio.run(gate.run(agreed, options, gate.Settings(settings or Settings())))
    assert history.complete
    return {verdict.clause for verdict in judge(agreed, history) if verdict.outcome == "broken"}


def broken_with_approvals(agreed: Agreement) -> set[str]:
    without = frozenset({"messages", "gap", "schemathesis"})
    history = asyncio.run(gate.run(agreed, Options(examples=1, without=without, quiet=0.01), gate.Settings()))
    assert history.complete
    return {verdict.clause for verdict in judge(agreed, history) if verdict.outcome == "broken"}


def on_the_wire(patch: Patch, change: Callable[[Message], bytes]) -> None:
    """Replace what Aura encodes, just before it is published."""

    def dumps(message: Message, **kwargs: Any) -> Any:
        return _Encoded(change(message))

    patch.setattr(publishers, "json", _Json(dumps))


class _Encoded:
    def __init__(self, wire: bytes) -> None:
        self._wire = wire

    def encode(self) -> bytes:
        return self._wire


class _Json:
    def __init__(self, dumps: Callable[..., Any]) -> None:
        self.dumps = dumps


def utf8(message: Message) -> bytes:
    return json.dumps(message, ensure_ascii=False).encode()


def changed(**fields: Any) -> Callable[[Message], bytes]:
    return lambda message: utf8(message | fields)


def test_an_unbroken_aura_breaks_nothing(agreed: Agreement) -> None:
    assert broken_by(agreed) == set()


def renamed(message: Message) -> bytes:
    return utf8({"caseId" if name == "case_id" else name: value for name, value in message.items()})


def nested(message: Message) -> bytes:
    common = ("type", "category", "message", "timestamp")
    inner = {name: value for name, value in message.items() if name not in common}
    return utf8({name: message[name] for name in common} | {"data": inner})


WIRE: dict[str, tuple[Callable[[Message], bytes], set[str]]] = {
    "case_id is renamed": (renamed, {"publish.event-fields", "publish.echo"}),
    "the category is in lower case": (
        lambda message: utf8(message | {"category": message["category"].lower()}),
        {"publish.common-fields"},
    ),
    "the category stands in type": (
        lambda message: utf8(message | {"type": message["category"]}),
        {"publish.common-fields"},
    ),
    "Korean is escaped": (lambda message: json.dumps(message).encode(), {"publish.unescaped"}),
    "a byte order mark": (lambda message: b"\xef\xbb\xbf" + utf8(message), {"publish.utf8-json"}),
    "UTF-16": (lambda message: json.dumps(message, ensure_ascii=False).encode("utf-16"), {"publish.utf8-json"}),
    "encoded twice": (
        lambda message: json.dumps(utf8(message).decode(), ensure_ascii=False).encode(),
        {"publish.utf8-json"},
    ),
    "no offset": (
        lambda message: utf8(message | {"timestamp": message["timestamp"].removesuffix("+00:00")}),
        {"publish.timestamp-format"},
    ),
    "the time of process start": (
        changed(timestamp=datetime(2026, 2, 11, tzinfo=UTC).isoformat()),
        {"publish.timestamp-within"},
    ),
    "status_code does not agree": (
        lambda message: utf8(message | ({"status_code": "APPROVED"} if "status_code" in message else {})),
        {"publish.agree"},
    ),
    "approved is text": (
        lambda message: utf8(
            message | ({"approved": str(message["approved"]).lower()} if "approved" in message else {})
        ),
        {"publish.agree"},
    ),
    "fields are nested under data": (nested, {"publish.event-fields", "publish.echo", "publish.agree"}),
    "fi_doc_updated is back": (changed(fi_doc_updated=1), {"publish.no-database-fields"}),
    "an executor of another request": (
        lambda message: utf8(message | ({"executor_id": "previous"} if "executor_id" in message else {})),
        {"publish.echo"},
    ),
    "the case of an alert is always the same": (
        lambda message: utf8(message | ({"case_id": "CASE-0"} if "severity" in message else {})),
        {"publish.echo"},
    ),
    "the score of an alert is always 0": (
        lambda message: utf8(message | ({"score": 0} if "score" in message else {})),
        {"publish.echo"},
    ),
    "an alert says LOW": (
        lambda message: utf8(message | ({"severity": "LOW"} if "severity" in message else {})),
        {"publish.echo"},
    ),
    "the document of a RAG run is always the same": (
        lambda message: utf8(message | ({"rag_document_id": "reg"} if "rag_document_id" in message else {})),
        {"publish.echo"},
    ),
    "only what lies beyond the BMP is escaped": (
        lambda message: "".join(
            c if c < "\U00010000" else json.dumps(c)[1:-1] for c in utf8(message).decode()
        ).encode(),
        {"publish.unescaped"},
    ),
    "quotes and line ends are taken out of names": (
        lambda message: utf8(
            message | {k: v.translate({34: "", 10: " "}) for k, v in message.items() if k == "executor_id"}
        ),
        {"publish.echo"},
    ),
    "another wording": (changed(message="조치됨"), {"publish.message-text"}),
}


@pytest.mark.parametrize("name", WIRE)
def test_a_deviation_of_the_message_breaks(name: str, agreed: Agreement, monkeypatch: Patch) -> None:
    change, expected = WIRE[name]
    on_the_wire(monkeypatch, change)
    assert broken_by(agreed) == expected


def not_awaited(patch: Patch) -> None:
    async def record(self: Actions, action: Action) -> None:
        self.feedback(self._line(action))
        self.publishers.action_recorded(action)  # type: ignore[unused-coroutine]

    patch.setattr(Actions, "record", record)


def feedback_last(patch: Patch) -> None:
    async def record(self: Actions, action: Action) -> None:
        await self.publishers.action_recorded(action)
        self.feedback(self._line(action))

    patch.setattr(Actions, "record", record)


def comment_forgotten(patch: Patch) -> None:
    line = Actions._line
    patch.setattr(Actions, "_line", lambda self, action: line(self, replace(action, comment=None)))


def published_twice(patch: Patch) -> None:
    once = Publishers.action_recorded

    async def twice(self: Publishers, action: Action) -> None:
        await once(self, action)
        await once(self, action)

    patch.setattr(Publishers, "action_recorded", twice)


def alert_for_medium(patch: Patch) -> None:
    created = Publishers.case_created

    async def also(self: Publishers, case_id: str, severity: str, score: float) -> None:
        await created(self, case_id, severity, score)
        if severity == "MEDIUM":
            text, fields = "신규 이상 징후 탐지", {"case_id": case_id, "score": score, "severity": severity}
            await self._notify("workbench:alert", "AI_DETECT", text, **fields)

    patch.setattr(Publishers, "case_created", also)


def alert_for_critical(patch: Patch) -> None:
    patch.setattr("harness.aura.publishers.Publishers.case_created", _created_for("HIGH", "CRITICAL"))


def _created_for(*severities: str) -> Callable[..., Awaitable[None]]:
    async def created(self: Publishers, case_id: str, severity: str, score: float) -> None:
        if severity in severities:
            text, fields = "신규 이상 징후 탐지", {"case_id": case_id, "score": score, "severity": severity}
            await self._notify("workbench:alert", "AI_DETECT", text, **fields)

    return created


def last_action_shared(patch: Patch) -> None:
    """What is published is whatever was recorded last, by whomever."""
    last: list[Action] = []

    async def record(self: Actions, action: Action) -> None:
        last[:] = [action]
        self.feedback(self._line(action))
        await asyncio.sleep(0)
        await self.publishers.action_recorded(last[0])

    patch.setattr(Actions, "record", record)


def rag_on_failure(patch: Patch) -> None:
    finished = Publishers.rag_finished

    async def always(self: Publishers, rag_document_id: str, chunks_added: int, succeeded: bool) -> None:
        await finished(self, rag_document_id, chunks_added, True)

    patch.setattr(Publishers, "rag_finished", always)


def answer_with(patch: Patch, change: Callable[[Message], Message]) -> None:
    patch.setattr(app, "JSONResponse", lambda content, *rest, **more: JSONResponse(change(content), *rest, **more))


def history_id_answered(patch: Patch) -> None:
    answer_with(
        patch, lambda content: content | ({"data": content["data"] | {"history_id": 7}} if "data" in content else {})
    )


def success_false(patch: Patch) -> None:
    answer_with(patch, lambda content: content | ({"success": False} if "data" in content else {}))


def expired_accepted(patch: Patch) -> None:
    decode = jwt.decode

    class Lenient:
        InvalidTokenError = jwt.InvalidTokenError

        @staticmethod
        def decode(*args: Any, **kwargs: Any) -> Any:
            return decode(*args, **kwargs) | {"exp": 2**40}

    patch.setattr(access, "jwt", Lenient)


def tenant_ignored(patch: Patch) -> None:
    claims = access.Access._claims
    patch.setattr(
        access.Access,
        "_claims",
        lambda self, header: None if (found := claims(self, header)) is None else found | {"tenant_id": Tenantless()},
    )


class Tenantless:
    """Its text is equal to every tenant."""

    def __str__(self) -> str:
        return _Equal()


class _Equal(str):
    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


def lenient_booleans(patch: Patch) -> None:
    check = body._check

    def lax(name: str, value: Message) -> list[Message]:
        if name == "approved" and value.get(name) in ("true", "yes", 1):
            value[name] = True
        return check(name, value)

    patch.setattr(body, "_check", lax)


def required_comment(patch: Patch) -> None:
    patch.setattr(body, "_TEXTS", ("doc_key",))
    patch.setattr(body, "_IDS", ("case_id", "request_id", "executor_id", "comment"))


def published_before_refusing(patch: Patch) -> None:
    """What is announced is the call, before it is looked at."""
    record = app.create_app

    def announcing(settings: Settings, actions: Actions, clock: Any) -> Any:
        inner = record(settings, actions, clock)

        async def call(scope: Any, receive: Any, send: Any) -> None:
            wire = (await receive())["body"]
            found = json.loads(wire) if wire.startswith(b'{"') and b"request_id" in wire else {}
            if isinstance(found.get("case_id"), int):
                ids = {name: found.get(name) for name in ("case_id", "request_id", "executor_id")}
                approved = found["approved"]
                decision = {"action_type": "APPROVE" if approved else "REJECT", "approved": approved}
                decision["status_code"] = "APPROVED" if approved else "REJECTED"
                stamp = {"timestamp": clock.now().isoformat()}
                common = {
                    "type": "NOTIFICATION",
                    "category": "CASE_ACTION",
                    "message": "조치 승인됨" if approved else "조치 거절됨",
                }
                ids["case_id"] = str(ids["case_id"])
                await actions.publishers.publish("workbench:case:action", utf8(common | stamp | ids | decision))
            await inner(scope, _replay(wire), send)

        return call

    patch.setattr(runner, "create_app", announcing)


def _replay(wire: bytes) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": wire}

    return receive


CODE: dict[str, tuple[Callable[[Patch], None], set[str]]] = {
    "the publish is not awaited": (not_awaited, {"publish.once"}),
    "feedback comes after the publish": (feedback_last, {"publish.after-feedback"}),
    "the comment is not in the feedback": (comment_forgotten, {"http.logged"}),
    "two messages for one action": (published_twice, {"publish.once"}),
    "an alert for CRITICAL, too": (alert_for_critical, {"publish.alert-high"}),
    "the last action is shared": (last_action_shared, {"publish.once"}),
    "an alert for MEDIUM": (alert_for_medium, {"publish.alert-high"}),
    "a RAG message on failure": (rag_on_failure, {"publish.rag-success"}),
    "history_id in the answer": (history_id_answered, {"http.data", "http.no-database-fields"}),
    "200 with success: false": (success_false, {"http.accepted"}),
    "expired tokens are accepted": (expired_accepted, {"http.token-refused"}),
    "the tenant is ignored": (tenant_ignored, {"http.tenant-refused", "http.precedence"}),
    "approved is converted": (lenient_booleans, {"http.json-types"}),
    "a refused call is published": (published_before_refusing, {"publish.none-when-refused"}),
    "a comment is required": (required_comment, {"http.optional-fields", "http.accepted"}),
}


@pytest.mark.parametrize("name", CODE)
def test_a_deviation_of_the_code_breaks(name: str, agreed: Agreement, monkeypatch: Patch) -> None:
    apply, expected = CODE[name]
    apply(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine that is never awaited is the deviation
        assert broken_by(agreed) == expected


def test_a_renamed_channel_setting_loses_every_action(agreed: Agreement) -> None:
    settings = Settings(case_action_redis_channel="workbench:actions")
    assert broken_by(agreed, settings) == {"publish.once", "publish.channel-category"}


def test_rag_on_the_channel_of_alerts_is_misplaced(agreed: Agreement) -> None:
    settings = Settings(workbench_rag_status_channel="workbench:alert")
    assert broken_by(agreed, settings) == {"publish.rag-success", "publish.channel-category"}


def outcome_not_awaited(patch: Patch) -> None:
    """As it was deployed once: the stream went on happily."""

    async def outcome(self: Approvals, request: ApprovalRequest, listening: Listening, deadline: float) -> None:
        signal = await self._signal(channel_of(request.session_id), listening, deadline)
        action = await self._action(request.request_id, signal)
        if action is not None:
            self._actions.record(action)  # type: ignore[unused-coroutine]

    patch.setattr(Approvals, "_outcome", outcome)


def patience(patch: Patch, part: float) -> None:
    """Waits for this part of the time."""
    signal = Approvals._signal

    async def other(self: Approvals, channel: str, listening: Listening, deadline: float) -> Any:
        return await signal(self, channel, listening, deadline - (1 - part) * self._timeout)

    patch.setattr(Approvals, "_signal", other)


def on_timeout(patch: Patch, change: Callable[[Action], tuple[Action, ...]]) -> None:
    """Replace what is recorded of a timeout."""
    record = Actions.record

    async def other(self: Actions, action: Action) -> None:
        for each in change(action) if action.comment == TIMED_OUT else (action,):
            await record(self, each)

    patch.setattr(Actions, "record", other)


def executor_of_another_request(patch: Patch) -> None:
    action_of, executors = Approvals._action, ["h1-user-0000"]

    async def previous(self: Approvals, request_id: str, signal: Any) -> Action | None:
        action = await action_of(self, request_id, signal)
        if action is None:
            return None
        executors.append(action.executor_id)
        return replace(action, executor_id=executors[-2])

    patch.setattr(Approvals, "_action", previous)


@dataclass
class Taking:
    """What of all that is heard is taken for an answer."""

    inner: Listening
    takes: Callable[[str, bytes], bool]

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        async for channel, wire in self.inner:
            if self.takes(channel, wire):
                yield channel, wire

    async def close(self) -> None:
        await self.inner.close()


def listening(patch: Patch, listen: Callable[[Link, str, bytes], Awaitable[Any]]) -> None:
    """Replace how Aura listens on the channel for the answer to a request."""
    asked: dict[str, bytes] = {}
    ask = Approvals.ask

    async def remembered(self: Approvals, request: ApprovalRequest) -> Any:
        asked[channel_of(request.session_id)] = request.request_id.encode()
        return await ask(self, request)

    patch.setattr(Approvals, "ask", remembered)
    patch.setattr(Link, "listen", lambda self, channel: listen(self, channel, asked[channel]))


def any_session_answers(patch: Patch) -> None:
    async def everywhere(link: Link, own: str, request: bytes) -> Any:
        heard = await link.subscribe("hitl:channel:*")
        return Taking(heard, lambda channel, wire: channel == own or request in wire)

    listening(patch, everywhere)


def only_its_request_is_answered(patch: Patch) -> None:
    """No deviation: what the agreement would like to have."""
    listen = Link.listen

    async def compared(link: Link, own: str, request: bytes) -> Any:
        return Taking(await listen(link, own), lambda channel, wire: request in wire)

    listening(patch, compared)


def stored_after_listening(patch: Patch) -> None:
    async def ask(self: Approvals, request: ApprovalRequest) -> Any:
        heard = await self._redis.listen(channel_of(request.session_id))
        deadline = asyncio.get_running_loop().time() + self._timeout
        await self._store(request)
        return asyncio.create_task(self._outcome(request, heard, deadline))

    patch.setattr(Approvals, "ask", ask)


def document_forgotten(patch: Patch) -> None:
    line = Actions._line
    patch.setattr(Actions, "_line", lambda self, action: line(self, replace(action, doc_key=None)))


APPROVALS: dict[str, tuple[Callable[[Patch], None], set[str]]] = {
    "the outcome is not awaited": (
        outcome_not_awaited,
        {"hitl.approve-recorded", "hitl.reject-recorded", "hitl.timeout-recorded", "hitl.feedback"},
    ),
    "a timeout comes early": (lambda patch: patience(patch, 0.7), {"hitl.deadline"}),
    "a timeout comes late": (lambda patch: patience(patch, 1.6), {"hitl.deadline"}),
    "a timeout is recorded twice": (
        lambda patch: on_timeout(patch, lambda action: (action, action)),
        {"hitl.timeout-recorded", "hitl.feedback"},
    ),
    "a timeout is not recorded": (
        lambda patch: on_timeout(patch, lambda action: ()),
        {"hitl.timeout-recorded", "hitl.feedback"},
    ),
    "a timeout approves": (
        lambda patch: on_timeout(patch, lambda action: (replace(action, approved=True),)),
        {"hitl.timeout-recorded"},
    ),
    "a timeout is not named": (
        lambda patch: on_timeout(patch, lambda action: (replace(action, comment=None),)),
        {"hitl.timeout-recorded"},
    ),
    "the executor is another's": (
        executor_of_another_request,
        {"hitl.approve-recorded", "hitl.reject-recorded", "hitl.feedback", "publish.echo"},
    ),
    "another session's answer is taken": (any_session_answers, {"hitl.other-session"}),
    "the request is stored too late": (stored_after_listening, {"hitl.request-stored"}),
    "the document is not in the feedback": (document_forgotten, {"hitl.feedback", "http.logged"}),
    "the feedback comes last": (feedback_last, {"hitl.feedback", "publish.after-feedback"}),
}
AS_DEPLOYED = {"hitl.other-request"}
"""A `should`: the first answer on the channel decides, whatever request it names."""


@pytest.mark.parametrize("name", APPROVALS)
def test_a_deviation_of_the_approvals_breaks(name: str, agreed: Agreement, monkeypatch: Patch) -> None:
    apply, expected = APPROVALS[name]
    apply(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine that is never awaited is the deviation
        broken = broken_with_approvals(agreed)
    # Where nothing is recorded, or before it is asked for, nobody sees whose answer it would have been.
    assert broken - AS_DEPLOYED == expected


def test_the_answer_to_another_request_is_taken_as_deployed(agreed: Agreement) -> None:
    assert broken_with_approvals(agreed) == AS_DEPLOYED


def test_an_aura_that_compares_the_request_breaks_nothing(agreed: Agreement, monkeypatch: Patch) -> None:
    only_its_request_is_answered(monkeypatch)
    assert broken_with_approvals(agreed) == set()
