"""The simulated systems as processes: what their users are shown, can call, and are left with."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urljoin

import httpx2
import pytest
import redis
import yaml

from harness import gate
from harness.agreement import Agreement
from harness.checks import judge
from harness.cli import main
from harness.gate import Options
from harness.history import load
from harness.live.synapse import SynapseTarget
from harness.redis_server import private_server
from harness.seats import Settings, Targets
from harness.stomp import ChannelClosedError, Client, open_websocket
from serve.processes import Served, command, environment, served

CASE = "사건 ①/😀"
TOPIC = "/topic/notifications"
T = TypeVar("T")
SECRET = "a-secret-of-our-own-with-32-bytes"


@pytest.fixture(scope="module")
def both() -> Iterator[Served]:
    with served("--quiet") as running:
        yield running


def eventually(ask: Callable[[], T]) -> T:
    """The first answer that is true, within ten seconds; else the last."""
    deadline = time.monotonic() + 10
    while not (answer := ask()) and time.monotonic() < deadline:
        pass
    return answer


def notified(running: Served, **fields: object) -> dict[str, object]:
    """The newest row of tenant 0 that has these values in its payload, as soon as there is one."""

    def look() -> list[dict[str, object]]:
        rows = running.get("/api/synapse/notifications", X_Tenant_ID="0").json()["data"]["content"]
        return [row for row in rows if fields.items() <= row["payload"].items()]

    found = eventually(look)
    assert found, f"no notification with {fields}"
    return found[0]


# ---- What is shown -------------------------------------------------------------------------------------------------


def test_the_first_line_names_the_address_and_health_answers_there(both: Served) -> None:
    assert both.lines[0] == f"serving    {both.url}  (aura and synapse, simulated)"
    answer = both.get("/_harness/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "up",
        "harness": "0.1.0",
        "seats": ["aura", "synapse"],
        "redis": {"url": both.redis_url, "own": True, "reachable": True, "observed": True},
        "playing": [],
        "subscribed": True,
    }


def test_the_printed_call_works_when_it_is_copied(both: Served) -> None:
    program, *arguments = shlex.split(both.greeting["call"])
    assert (program, arguments[0]) == ("curl", "-i")
    url, body = arguments[1], arguments[-1]
    headers = dict(arguments[n + 1].split(": ", 1) for n, each in enumerate(arguments) if each == "-H")
    answer = httpx2.post(url, content=body.encode(), headers=headers)
    assert (answer.status_code, answer.json()["data"]) == (200, {"ok": True, "logged": True})
    assert notified(both, executor_id="김검토")["content"] == "조치 승인됨"


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_the_documents_name_this_server_and_their_references_resolve(name: str, both: Served) -> None:
    address = f"{both.url}/_harness/{name}.yaml"
    document = yaml.safe_load(httpx2.get(address).text)
    host = both.url.removeprefix("http://")
    if name == "openapi":
        assert [server["url"] for server in document["servers"]] == [f"{both.url}/api", both.url]
    else:
        hosts = {server["host"] for server in document["servers"].values()}
        assert hosts == {host, both.redis_url.removeprefix("redis://")}
    waiting, seen = {urljoin(address, each) for each in references(document)}, set[str]()
    assert waiting
    while waiting:
        seen.add(schema := waiting.pop())
        answer = httpx2.get(schema)
        assert answer.status_code == 200, schema
        waiting |= {urljoin(schema, each) for each in references(answer.json())} - seen


def references(value: object) -> Iterator[str]:
    """To other files."""
    if isinstance(value, dict):
        if isinstance(found := value.get("$ref"), str) and not found.startswith("#"):
            yield found
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_a_browser_of_any_origin_may_call_with_credentials(both: Served) -> None:
    origin = "http://localhost:3000"
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-tenant-id",
    }
    preflight = httpx2.options(f"{both.url}/api/aura/action/record", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-headers"] == "authorization,x-tenant-id"
    for answer in (preflight, both.get("/ws/notifications/info", Origin=origin)):
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"


def test_what_is_served_nowhere_says_where_to_look(both: Served) -> None:
    answer = both.get("/nothing")
    assert (answer.status_code, answer.json()) == (404, {"detail": "nothing is served here; see /_harness/health"})


# ---- What happens on demand ------------------------------------------------------------------------------------------


def test_a_scenario_is_played_into_what_is_served_and_seen_by_who_listens(both: Served) -> None:
    async def scene() -> tuple[httpx2.Response, list[str]]:
        address = f"{both.url.replace('http', 'ws')}/ws/notifications/websocket"
        async with open_websocket(address) as socket, httpx2.AsyncClient(timeout=30) as client:
            browser = await Client.connect(socket, confirm=None)
            await browser.subscribe(TOPIC)
            answer = await client.post(f"{both.url}/_harness/scenarios/approve-by-signal")
            heard = [(await anext(browser)).text]
            await browser.disconnect()
            return answer, heard

    answer, heard = asyncio.run(scene())
    told = answer.json()
    assert (answer.status_code, told["outcome"], told["clauses"]) == (200, "kept", [])
    (case,) = told["ids"]["cases"]["odd"]
    assert case in heard[0]
    assert both.get(f"/api/synapse/cases/{case}", X_Tenant_ID="7").json()["data"]["status"] == "APPROVED"


def test_scenarios_are_listed_with_whether_they_are_possible_here(both: Served) -> None:
    listed = {each["name"]: each for each in both.get("/_harness/scenarios").json()}
    assert listed["redis-gone"]["possible"] is True
    assert listed["backend-publishes-too"]["why"].endswith("serve it with --publish-completed")
    refused = both.post("/_harness/scenarios/backend-publishes-too")
    assert (refused.status_code, refused.json()["outcome"]) == (422, "impossible")
    missing = both.post("/_harness/scenarios/aprove-by-api")
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        "there is no scenario aprove-by-api; did you mean approve-by-api?",
    )


def test_redis_itself_is_stopped_and_started_where_it_is_our_own_and_all_goes_on(both: Served) -> None:
    answer = both.post("/_harness/scenarios/redis-gone")
    assert answer.json()["outcome"] == "kept"
    assert both.get("/_harness/health").json()["status"] == "up"
    assert both.post("/_harness/detect", {"case_id": "afterwards", "severity": "HIGH", "score": 0.5}).status_code == 202
    assert notified(both, case_id="afterwards")["type"] == "AI_DETECT"


def test_what_the_systems_do_of_their_own_accord_is_triggered(both: Served) -> None:
    assert both.post("/_harness/cases", {"case_id": CASE, "documents": ["전표/1"]}).status_code == 202
    assert both.post("/_harness/cases", {"case_id": CASE}).status_code == 409
    assert both.post("/_harness/detect", {"case_id": CASE, "severity": "HIGH", "score": 1}).status_code == 202
    assert both.post("/_harness/rag", {"rag_document_id": "규정 😀", "chunks_added": 3}).status_code == 202
    asked = {"case_id": CASE, "request_id": "질문 1", "user_id": "김검토", "doc_key": "전표/1"}
    assert both.post("/_harness/ask", asked).status_code == 202
    answered = both.post(f"/api/aura/hitl/approve/{quote('질문 1')}", {"userId": "김검토"}, X_Tenant_ID="7")
    assert answered.json()["data"]["statusCode"] == "APPROVED"
    assert notified(both, case_id=CASE, severity="HIGH")["content"] == "신규 이상 징후 탐지"
    assert notified(both, rag_document_id="규정 😀")["content"] == "학습 완료"
    assert notified(both, request_id="질문 1")["content"] == "조치 승인됨"


def test_nobody_answers_within_the_time_that_was_given(both: Served) -> None:
    asked = {"case_id": "unanswered", "request_id": "unanswered-1", "user_id": "user-1", "timeout": 0.05}
    assert both.post("/_harness/ask", asked).status_code == 202
    assert notified(both, request_id="unanswered-1")["content"] == "조치 거절됨"


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("detect", {"case_id": "c", "severity": "HIGH"}, '/: "score" is a required property'),
        ("detect", {"case_id": "c", "severity": "HIGH", "score": "1"}, '/score: "1" is not of type "number"'),
        ("rag", {"rag_document_id": "", "chunks_added": 1}, '/rag_document_id: "" is shorter than 1 character'),
        ("ask", ["한글"], '/: ["한글"] is not of type "object"'),
        (
            "cases",
            {"case_id": "c", "document": []},
            "/: Additional properties are not allowed ('document' was unexpected)",
        ),
    ],
)
def test_a_trigger_says_what_is_wrong_with_its_body(path: str, body: object, detail: str, both: Served) -> None:
    answer = both.post(f"/_harness/{path}", body)
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)


# ---- One seat alone ------------------------------------------------------------------------------------------------


def test_two_processes_with_a_seat_each_work_together(real_redis: str) -> None:
    with (
        served("--seats", "aura", "--redis", real_redis, "--secret", SECRET, "--quiet") as aura,
        served(
            *("--seats", "synapse", "--redis", real_redis, "--aura", f"{aura.url}/api/aura"),
            *("--secret", SECRET, "--follow-up", "record", "--quiet"),
        ) as synapse,
    ):
        assert aura.get("/api/synapse/notifications").json() == {"detail": "synapse is not served here"}
        assert synapse.post("/api/aura/action/record").json() == {"detail": "aura is not served here"}
        assert "subscribed" not in aura.get("/_harness/health").json()
        assert synapse.post("/_harness/cases", {"case_id": "two-1"}).status_code == 202
        decided = synapse.post("/api/synapse/actions/two-1/reject", {"executor_id": "김검토"}, X_Tenant_ID="7")
        assert decided.status_code == 200
        assert notified(synapse, case_id="two-1")["content"] == "조치 거절됨"
        names = {client["name"] for client in redis.Redis.from_url(real_redis).client_list()}
        assert {"served-aura", "served-synapse", "aura-harness"} <= names
        assert (aura.stop(), synapse.stop(signal.SIGINT)) == (0, 0)


def test_a_served_synapse_is_gated_as_a_live_one(agreed: Agreement, real_redis: str) -> None:
    with served("--seats", "synapse", "--redis", real_redis, "--quiet") as synapse:
        without = frozenset({"approvals", "schemathesis"})
        targets = Targets(synapse=SynapseTarget(synapse.url), may_cut=True)
        options = Options(
            redis_url=real_redis, targets=targets, allow_writes=True, examples=3, without=without, quiet=0.2
        )
        history = asyncio.run(gate.run(agreed, options, Settings()))
    assert history.complete
    verdicts = [verdict for verdict in judge(agreed, history) if verdict.seat == "synapse"]
    assert {verdict.clause for verdict in verdicts if verdict.outcome == "broken"} == set()
    assert sum(verdict.outcome == "kept" for verdict in verdicts) >= 17


# ---- The end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_closes_what_is_open_within_two_seconds_and_leaves_nothing_running(number: signal.Signals) -> None:
    async def scene(running: Served) -> tuple[float, int, list[str], int]:
        base = running.url.replace("http", "ws")
        async with AsyncExitStack() as held:
            raw = await held.enter_async_context(open_websocket(f"{base}/ws/notifications/websocket"))
            framed = await held.enter_async_context(open_websocket(f"{base}/ws/notifications/1/abc/websocket"))
            assert await framed.receive() == "o"
            http = await held.enter_async_context(httpx2.AsyncClient(base_url=running.url, timeout=30))
            stream = await held.enter_async_context(http.stream("GET", "/api/synapse/notifications/stream"))
            parts = stream.aiter_text()
            assert await anext(parts) == ":\n\n"
            playing = asyncio.create_task(http.post("/_harness/scenarios/timeout?timeout=300"))
            assert await asyncio.to_thread(eventually, lambda: running.get("/_harness/health").json()["playing"])
            began = time.monotonic()
            running.process.send_signal(number)
            told = [str(await framed.receive())]
            with pytest.raises(ChannelClosedError) as closed:
                await raw.receive()
            assert [part async for part in parts] == []
            await asyncio.wait({playing})
            playing.exception()
            code = await asyncio.to_thread(running.process.wait, 10)
            return time.monotonic() - began, closed.value.code, told, code

    with served("--quiet") as running:
        seconds, closed, told, code = asyncio.run(scene(running))
        assert (code, closed, told) == (0, 1001, ['c[1001,""]'])
        assert seconds < 2
        for url in (running.url, running.redis_url):
            host, port = url.partition("//")[2].split(":")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port)))
        assert running.lines[-1].startswith("call ")


def test_a_stop_leaves_no_key_behind(real_redis: str) -> None:
    with redis.Redis.from_url(real_redis) as client, served("--redis", real_redis, "--quiet") as running:
        asked = {"case_id": "c", "request_id": "left-1", "user_id": "user-1"}
        assert running.post("/_harness/ask", asked).status_code == 202
        assert client.exists("hitl:request:left-1", "hitl:session:left-1-session") == 2
        assert running.stop() == 0
        assert client.exists("hitl:request:left-1", "hitl:session:left-1-session") == 0


def test_a_redis_that_goes_and_comes_back_is_told_and_all_goes_on(tmp_path: Path) -> None:
    path, detection = tmp_path / "served.jsonl", {"severity": "HIGH", "score": 0.5}
    with private_server() as server, served("--redis", server.url, "--quiet", "--history", str(path)) as running:
        server.stop()
        refused = running.post("/_harness/detect", {"case_id": "while-gone", **detection})
        assert refused.status_code == 503
        health = running.get("/_harness/health")
        assert (health.status_code, health.json()["status"]) == (503, "down")
        server.start()
        assert eventually(lambda: running.get("/_harness/health").status_code == 200)
        assert running.post("/_harness/detect", {"case_id": "back-again", **detection}).status_code == 202
        notified(running, case_id="back-again")
        assert running.stop() == 0
        assert running.lines[-1].startswith("the history has a gap")
    history = load(path)
    assert not history.complete
    assert [event.about for event in history.of("published")] == [{"case": "back-again"}]


# ---- Lines and history ---------------------------------------------------------------------------------------------


def test_each_request_and_message_is_a_line_that_any_terminal_can_hold(real_redis: str) -> None:
    with served("--redis", real_redis) as running:
        shown = len(running.lines)
        sent = {"case_id": "사건\x1b[31m😀", "severity": "HIGH", "score": 0.5}
        running.post("/_harness/detect", sent)
        notified(running, severity="HIGH")
        running.get(f"/api/synapse/cases/{quote(CASE, safe='')}", X_Tenant_ID="7")
        assert running.stop() == 0
        text = "\n".join(line[13:] for line in running.lines[shown:])
    assert "aura → redis  workbench:alert 신규 이상 징후 탐지 사건\\u001b[31m😀" in text
    assert "redis → synapse  row 1 AI_DETECT 신규 이상 징후 탐지  case 사건\\u001b[31m😀" in text
    assert "→ synapse  GET /api/synapse/notifications → 200" in text
    assert "\x1b" not in text


def test_a_reader_that_is_gone_takes_nothing_down(real_redis: str) -> None:
    arguments = command("--port", "0", "--redis", real_redis)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().decode().split()[1]
        process.stdout.close()
        for _ in range(3):
            assert httpx2.get(f"{url}/_harness/health").status_code == 200
            body = {"rag_document_id": "d", "chunks_added": 1}
            assert httpx2.post(f"{url}/_harness/rag", json=body).status_code == 202
        process.terminate()
        assert (process.wait(10), process.stderr.read()) == (0, b"")


def test_a_history_can_be_judged_and_holds_no_secret(agreed: Agreement, tmp_path: Path) -> None:
    path = tmp_path / "served.jsonl"
    with served("--quiet", "--history", str(path), "--secret", SECRET, "--timeout", "0.05") as running:
        call = shlex.split(running.greeting["call"])
        token = next(each for each in call if each.startswith("Authorization: ")).removeprefix("Authorization: ")
        record = {"case_id": CASE, "request_id": "r-1", "executor_id": "김검토", "approved": True}
        for authorization, status in ((token, 200), ("Bearer wrong", 401)):
            answer = running.post("/api/aura/action/record", record, Authorization=authorization, X_Tenant_ID="7")
            assert answer.status_code == status
        assert running.post("/_harness/scenarios/reject-by-signal").json()["outcome"] == "kept"
        asked = {"case_id": CASE, "request_id": "r-2", "user_id": "user-1"}
        assert running.post("/_harness/ask", asked).status_code == 202
        notified(running, request_id="r-2")
        assert running.stop() == 0
    text = path.read_text(encoding="utf-8")
    assert SECRET not in text
    assert token.removeprefix("Bearer ") not in text
    history = load(path)
    assert history.complete
    outcomes = {verdict.clause: verdict.outcome for verdict in judge(agreed, history)}
    assert "broken" not in outcomes.values()
    kept = ("http.accepted", "http.status-401", "hitl.timeout-recorded", "hitl.reject-recorded", "mapping.content")
    assert {outcomes[clause] for clause in kept} == {"kept"}


# ---- What cannot be served -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (
            ["--seats", "aura,synapes"],
            2,
            "argument --seats: 'synapes' was found, aura, synapse, or aura,synapse was exp",
        ),
        (["--port", "70000"], 2, "argument --port: '70000' was found, a number from 0 to 65535 was expected"),
        (["--secret", "짧은 비밀"], 2, "argument --secret: at least 32 bytes were expected"),
        (["--aura", "localhost:9000"], 2, "argument --aura: 'localhost:9000' was found, http://HOST:PORT/aura was exp"),
        (["--aura", "http://localhost:9000/aura"], 2, "--aura: Aura is served here, and Synapse calls that one"),
        (
            ["--seats", "synapse", "--follow-up", "both"],
            2,
            "--follow-up both: Synapse would call Aura, and none is served",
        ),
        (["--contracts", "/no/such/folder"], 2, "--contracts /no/such/folder: there is no such folder"),
        (["--history", "/no/such/folder/file"], 2, "argument --history: '/no/such/folder/file' cannot be written"),
        (["--timeout", "0"], 2, "argument --timeout: '0' was found, a number of seconds above 0 was expected"),
        (["--host", "no-such-host.invalid"], 4, "--host no-such-host.invalid: no address was found"),
        (["--host", "192.0.2.1"], 4, "--port 0: 192.0.2.1:0 cannot be had"),
        (["--redis", "redis://:secret@127.0.0.1:1"], 4, "--redis redis://:***@127.0.0.1:1: cannot be reached"),
    ],
)
def test_what_cannot_be_served_is_one_line_that_names_the_option(
    arguments: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_REDIS_URL", raising=False)
    try:
        found = main(["serve", "--port", "0", *arguments])
    except SystemExit as stop:
        found = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert (found, out) == (code, "")
    assert text in err.splitlines()[-1]
    assert "Traceback" not in err
    if code == 4:
        assert err.count("\n") == 1


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 4
    assert capsys.readouterr().err == (
        f"aura-harness: --port {port}: 127.0.0.1:{port} cannot be had (Address already in use); give another one, or 0 "
        "for any that is free\n"
    )


def test_the_feedback_file_and_other_settings_come_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    with served("--quiet", HITL_FEEDBACK_LOG_PATH=str(path), HITL_TIMEOUT_SECONDS="0.05") as running:
        asked = {"case_id": CASE, "request_id": "질문", "user_id": "김검토"}
        assert running.post("/_harness/ask", asked).status_code == 202
        notified(running, case_id=CASE)
        line = json.loads(path.read_text(encoding="utf-8"))
    assert (line["case_id"], line["executor_id"], line["comment"]) == (CASE, "김검토", "HITL timeout")
