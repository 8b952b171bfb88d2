"""One worker's part of a load run: what it makes of answers and messages, and the history that checks judge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness import history, tokens, virtual
from harness.agreement import Agreement
from harness.checks import judge
from harness.clock import Clock, VirtualClock, WallClock
from harness.ledger import BROADCAST, DELIVERY, MAPPED, Hop, Result, merged
from harness.live.aura import AuraTarget
from harness.live.synapse import TOPIC, SynapseTarget
from harness.load.recording import Parts, Spool
from harness.load.redis_link import Publisher, RefusedError, UnansweredError
from harness.load.run import Answer, Call, Load, Target, described
from harness.load.traffic import Ratio, Traffic
from harness.stomp import Frame
from harness.verdict import Verdict

SECRET = "a-secret-of-more-than-32-bytes-in-all"
ACTION, ALERT = "workbench:case:action", "workbench:alert"
TRAFFIC = Traffic(1, WallClock(), Ratio())
ENVELOPE = {
    "status": "SUCCESS",
    "message": "Action recorded",
    "data": {"ok": True, "logged": True},
    "success": True,
    "timestamp": "2026-02-11T12:00:00.000000",
}
TARGET = Target(
    redis_url="redis://127.0.0.1:1",
    aura=AuraTarget("http://127.0.0.1:1/aura", secret=SECRET),
    synapse=SynapseTarget("http://127.0.0.1:1"),
    embedded=True,
)


@dataclass(slots=True)
class Bench:
    """A load that is connected to nothing: the test hands over what would come."""

    load: Load
    told: list[tuple[str, bool]] = field(default_factory=list)
    """Each hop that was told of, and whether it was reached."""

    def recorded(self, *, change: Callable[[bytes], bytes] = lambda wire: wire, delivered: bool = True) -> Call:
        """An action that is accepted, published as Aura does unless it is changed, and shown."""
        call = self.load.call(lane=1)
        wire = change(published(call))
        self.answered(call, 200, ENVELOPE)
        if delivered:
            self.load.take(ACTION, wire)
            self.load.show(shown(ACTION, wire))
        return call

    def answered(self, call: Call, status: int, body: object) -> Exception | None:
        headers = {"Content-Type": "application/json"}
        return self.load.answered(call, Answer(status, headers, json.dumps(body).encode()))


def published(call: Call) -> bytes:
    body = json.loads(call.body)
    decided = ("APPROVE", "APPROVED", "승인") if body["approved"] else ("REJECT", "REJECTED", "거절")
    message = {
        "type": "NOTIFICATION",
        "category": "CASE_ACTION",
        "message": f"조치 {decided[2]}됨",
        "timestamp": datetime.now(UTC).isoformat(),
        **{name: body[name] for name in ("case_id", "request_id", "executor_id")},
        "action_type": decided[0],
        "approved": body["approved"],
        "status_code": decided[1],
    }
    return json.dumps(message, ensure_ascii=False).encode()


def shown(channel: str, wire: bytes) -> Frame:
    """The frame of a notification, as far as the ledger looks at it."""
    payload = json.loads(wire)
    notification = {
        "id": 1,
        "tenantId": 0,
        "title": "조치 완료",
        "content": payload["message"],
        "type": payload["category"],
        "channel": channel,
        "occurredAt": payload["timestamp"].replace("+00:00", "Z"),
        "createdAt": payload["timestamp"].replace("+00:00", "Z"),
        "payload": payload,
    }
    headers = {"destination": TOPIC, "subscription": "s", "message-id": "1"}
    return Frame("MESSAGE", headers, json.dumps(notification, ensure_ascii=False).encode())


Make = Callable[[int], Bench]


@pytest.fixture
def make(agreed: Agreement) -> Iterator[Make]:
    """A bench of a worker."""
    spools: list[Spool] = []

    def make(worker: int) -> Bench:
        spools.append(Spool(WallClock()))
        return made(agreed, worker, spools[-1], WallClock())

    yield make
    for spool in spools:
        spool.close()


@pytest.fixture
def bench(make: Make) -> Bench:
    return make(0)


def made(agreed: Agreement, worker: int, spool: Spool | None, clock: Clock) -> Bench:
    told: list[tuple[str, bool]] = []
    load = Load(
        "l1",
        worker,
        TARGET,
        TRAFFIC,
        agreed,
        clock,
        lambda hop, took, size, error: told.append((hop, error is None)),
        spool,
    )
    load.ledger.listening(DELIVERY, clock.elapsed())
    load.ledger.listening(BROADCAST, clock.elapsed())
    return Bench(load, told)


def verdicts(agreed: Agreement, folder: Path, *benches: Bench) -> dict[str, Verdict]:
    """What the checks make of the history of these workers, put together and written to a file."""
    parts, results = Parts(), list[Result]()
    for number, bench in enumerate(benches):
        results.append(bench.load.stop())
        for lines in bench.load.history():
            parts.take(number, lines)
    run = described(TARGET, agreed, 1, "a Redis", ["locust"])
    file = folder / "history.jsonl"
    began = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    with file.open("w", encoding="utf-8") as out:
        parts.write(out, run, began, merged(results), finished=True)
    parts.close()
    return {verdict.clause: verdict for verdict in judge(agreed, history.load(file))}


def broken(found: dict[str, Verdict]) -> set[str]:
    return {clause for clause, verdict in found.items() if verdict.outcome == "broken"}


# ---- Answers ---------------------------------------------------------------------------------------------------------


def test_each_hop_of_a_message_is_told(bench: Bench) -> None:
    bench.recorded()
    assert bench.told == [(DELIVERY, True), (MAPPED, True), (BROADCAST, True)]


@pytest.mark.parametrize(
    ("status", "word"),
    [(200, "accepted"), (401, "refused"), (422, "refused"), (500, "refused"), (503, "refused"), (302, "refused")],
)
def test_an_answer_says_whether_a_call_was_accepted(bench: Bench, status: int, word: str) -> None:
    bench.answered(bench.load.call(lane=1), status, ENVELOPE)
    assert getattr(bench.load.ledger.result().total, word) == 1


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_does_not_know_what_became_of_a_call(bench: Bench, status: int) -> None:
    bench.answered(bench.load.call(lane=1), status, {})
    assert bench.load.ledger.result().total.indeterminate == 1


@pytest.mark.parametrize("body", [{}, [], None, {"data": {"ok": True}}, {"data": {"ok": True, "logged": True, "x": 1}}])
def test_200_with_another_answer_is_told_as_a_failure(bench: Bench, body: object) -> None:
    assert bench.answered(bench.load.call(lane=1), 200, ENVELOPE) is None
    assert bench.answered(bench.load.call(lane=1), 200, body) is not None


def test_a_connection_that_nobody_took_is_a_refusal_and_any_other_failure_is_not(bench: Bench) -> None:
    bench.load.failed(bench.load.call(lane=1), ConnectionRefusedError())
    bench.load.failed(bench.load.call(lane=1), ConnectionResetError())
    bench.load.failed(bench.load.call(lane=1), TimeoutError())
    total = bench.load.ledger.result().total
    assert (total.refused, total.indeterminate) == (1, 2)


class Failing(Publisher):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def publish(self, channel: str, wire: bytes) -> None:
        raise self._error


def test_a_publish_that_was_refused_is_told_from_one_without_an_answer(bench: Bench) -> None:
    bench.load.alert(Failing(RefusedError("nobody is there")), lane=1)
    bench.load.rag_status(Failing(UnansweredError("it is gone")), lane=2)
    total = bench.load.ledger.result().total
    assert (total.refused, total.indeterminate) == (1, 1)
    assert bench.told == [(DELIVERY, False), (DELIVERY, False)]


# ---- Messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda wire: wire.replace(b'"NOTIFICATION"', b'"CASE_ACTION"'),
        lambda wire: wire.replace(b"true", b'"yes"').replace(b"false", b'"no"'),
        lambda wire: wire[:-1],
        lambda wire: b"\xef\xbb\xbf" + wire,
        lambda wire: wire.replace(b"}", b', "x": NaN}'),
        lambda wire: b"[" + wire + b"]",
    ],
)
def test_what_does_not_conform_or_cannot_be_read_is_malformed(bench: Bench, change: Callable[[bytes], bytes]) -> None:
    call = bench.load.call(lane=1)
    bench.answered(call, 200, ENVELOPE)
    bench.load.take(ACTION, change(published(call)))
    total = bench.load.ledger.result().total
    assert (total.malformed, total.mapped, total.delivery) == (1, 0, Hop(reached=1))
    assert bench.told == [(DELIVERY, True), (MAPPED, False)]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b'"tenantId": 0', b'"tenantId": "0"'),
        lambda body: body.replace(b'"createdAt"', b'"created_at"'),
        lambda body: body[:-1],
        lambda body: json.dumps([json.loads(body)]).encode(),
        lambda body: json.dumps({**json.loads(body), "payload": json.dumps(json.loads(body)["payload"])}).encode(),
    ],
)
def test_a_frame_that_is_no_dto_is_malformed_where_it_is_shown(bench: Bench, change: Callable[[bytes], bytes]) -> None:
    call = bench.load.call(lane=1)
    bench.answered(call, 200, ENVELOPE)
    wire = published(call)
    bench.load.take(ACTION, wire)
    frame = shown(ACTION, wire)
    bench.load.show(Frame("MESSAGE", frame.headers, change(frame.body)))
    result = bench.load.stop()
    assert (result.total.mapped, result.total.broadcast) == (1, Hop(reached=1, malformed=1))
    assert [*result.faults()] == ["broadcast: 1 malformed, none may be"]
    assert result.first == {"malformed: broadcast": ("l1-w0-0",)}
    assert bench.told == [(DELIVERY, True), (MAPPED, True), (BROADCAST, False)]


def test_an_error_of_ours_is_told_and_the_next_message_is_taken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seq: int) -> bool:
        raise IndexError(f"no {seq}")

    with monkeypatch.context() as patched:
        patched.setattr(bench.load.ledger, "delivered", fail)
        patched.setattr(bench.load.ledger, "broadcast", fail)
        bench.recorded()
    bench.recorded()
    result = bench.load.stop()
    assert result.total.delivery == Hop(reached=1, lost=1)
    assert result.errors == {"Redis delivery: IndexError: no 0": 1, "broadcast: IndexError: no 0": 1}
    assert "Redis delivery: IndexError: no 0, 1 times: an error of the load itself" in "\n".join(result.faults())


def test_what_comes_on_another_channel_is_malformed(bench: Bench) -> None:
    call = bench.load.call(lane=1)
    bench.load.take("workbench:actions", published(call))
    assert bench.load.ledger.result().channels[ACTION].malformed == 1


def test_a_message_that_comes_twice_is_told_once(bench: Bench) -> None:
    call = bench.load.call(lane=1)
    wire = published(call)
    bench.answered(call, 200, ENVELOPE)
    for _ in range(2):
        bench.load.take(ACTION, wire)
        bench.load.show(shown(ACTION, wire))
    total = bench.load.ledger.result().total
    assert (total.delivery, total.broadcast) == (Hop(reached=1, duplicated=1), Hop(reached=1, duplicated=1))
    assert len(bench.told) == 3


def test_another_workers_messages_are_that_ones(make: Make, bench: Bench) -> None:
    other = make(1)
    wire = published(other.load.call(lane=1))
    bench.load.take(ACTION, wire)
    bench.load.take(ACTION, wire[: wire.index(b"request_id")])
    bench.load.show(shown(ACTION, wire))
    assert bench.load.ledger.result().channels == {}


def test_messages_of_others_are_foreign(bench: Bench) -> None:
    bench.load.take(ALERT, b'{"case_id": "theirs"}')
    bench.load.take(ALERT, b"\xff")
    assert bench.load.ledger.result().channels[ALERT].foreign == 2


def test_an_id_that_was_never_sent_is_foreign(bench: Bench) -> None:
    call = bench.load.call(lane=1)
    wire = published(call).replace(b'"l1-w0-0"', b'"l1-w0-99999"')
    bench.load.take(ACTION, wire)
    bench.load.show(shown(ACTION, wire))
    result = bench.load.ledger.result()
    assert (result.total.delivery.reached, result.first["foreign"]) == (0, ("l1-w0-99999", "l1-w0-99999"))


def test_a_run_outlasts_its_tokens(agreed: Agreement) -> None:
    async def states() -> set[str]:
        clock = VirtualClock()
        load = made(agreed, 0, None, clock).load
        found = set()
        for _ in range(30):
            found.add(tokens.inspect(load.headers["Authorization"], SECRET, clock.now())["token"])
            await asyncio.sleep(600)
        return found

    assert virtual.run(states()) == {"valid"}


def test_ours_without_an_id_that_can_be_read_is_malformed(bench: Bench) -> None:
    call = bench.load.call(lane=1)
    bench.load.take(ACTION, published(call).replace(f'"{bench.load.ledger.id(call.seq)}"'.encode(), b"null"))
    assert bench.load.ledger.result().total.malformed == 1


def test_what_never_came_is_told_as_a_failure_of_its_hop(bench: Bench) -> None:
    bench.recorded(delivered=False)
    bench.load.stop()
    assert bench.told == [(DELIVERY, False)]


# ---- The history -----------------------------------------------------------------------------------------------------


def test_the_history_of_two_workers_is_judged_by_the_same_checks(agreed: Agreement, tmp_path: Path, make: Make) -> None:
    benches = [make(0), make(1)]
    for bench in benches * 3:
        bench.recorded()
    found = verdicts(agreed, tmp_path, *benches)
    assert broken(found) == set()
    for clause in ("http.accepted", "publish.once", "publish.timestamp-within", "delivery.nothing-lost"):
        assert (found[clause].outcome, clause) == ("kept", clause)
    assert found["publish.once"].exercised == 6


def test_a_broken_message_breaks_its_clause(agreed: Agreement, tmp_path: Path, bench: Bench) -> None:
    bench.recorded()
    bench.recorded(change=lambda wire: json.dumps(json.loads(wire)).encode())
    assert broken(verdicts(agreed, tmp_path, bench)) == {"publish.unescaped"}


def test_an_action_of_which_nothing_was_published_breaks_its_clause(
    agreed: Agreement, tmp_path: Path, bench: Bench
) -> None:
    bench.recorded()
    bench.recorded(delivered=False)
    bench.recorded()
    assert broken(verdicts(agreed, tmp_path, bench)) == {"publish.once"}


def test_what_a_gap_took_accuses_nobody(agreed: Agreement, tmp_path: Path, bench: Bench) -> None:
    bench.recorded()
    bench.load.ledger.cut(DELIVERY, "it was cut")
    bench.recorded(delivered=False)
    bench.load.ledger.listening(DELIVERY, bench.load.ledger.sent_at(1) + 1)
    found = verdicts(agreed, tmp_path, bench)
    assert broken(found) == set()
    assert found["publish.once"].exercised == 1


def test_a_call_without_an_answer_accuses_nobody(agreed: Agreement, tmp_path: Path, bench: Bench) -> None:
    bench.recorded()
    call = bench.load.call(lane=1)
    bench.load.take(ACTION, published(call))
    bench.load.failed(call, TimeoutError())
    assert broken(verdicts(agreed, tmp_path, bench)) == set()
