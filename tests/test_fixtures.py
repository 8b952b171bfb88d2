"""The fixtures for other teams' tests: what fails such a test, what is said of it, and which suites they work in."""

from __future__ import annotations

import socket
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = "pytester"

ALERT = (
    '{"type": "NOTIFICATION", "category": "AI_DETECT", "message": "신규 이상 징후 탐지", '
    '"timestamp": "2026-02-11T14:30:00+00:00", "case_id": "case-1", "score": 0.85, "severity": "HIGH"}'
)
BEFORE = f"""
import asyncio, threading, pytest
ALERT = '''{ALERT}'''
ESCAPED = ALERT.encode("ascii", "backslashreplace").decode()
"""

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, redis_url: str | None) -> Run:
    """pytest on this text, with no plugins but ours and those that are named; once embedded, once on a real Redis."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def run(text: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(BEFORE + textwrap.dedent(text))
        redis = ("--harness-redis", redis_url) if redis_url and "--harness-redis" not in options else ()
        ours = ("-p", "harness.pytest_plugin", "-p", "no:cacheprovider", "-ra", "-W", "error")
        return pytester.runpytest_inprocess(*ours, *redis, *options)

    return run


# ---- What fails a test


def test_what_keeps_the_agreement_passes(run: Run) -> None:
    run("""
        def test_it(harness_redis, harness_observe):
            with harness_observe() as observed:
                harness_redis.client().publish("workbench:alert", ALERT)
            assert observed.messages[0].value["case_id"] == "case-1"
    """).assert_outcomes(passed=1)


def test_what_was_published_before_is_seen_whatever_came(run: Run) -> None:
    run("""
        def test_it(harness_redis, harness_observe, harness_synapse):
            with harness_observe() as observed:
                with harness_redis.client().pipeline() as together:
                    for _ in range(2000):
                        together.publish("workbench:alert", ALERT)
                    together.execute()
                assert len(observed.messages) == 2000
                assert len(harness_synapse.notifications) == 2000
    """).assert_outcomes(passed=1)


def test_a_broken_clause_fails_the_test_with_its_finding(run: Run) -> None:
    result = run("""
        def test_it(harness_redis, harness_observe):
            with harness_observe():
                harness_redis.client().publish("workbench:alert", ESCAPED)
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "publish.unescaped is broken: expected text outside ASCII as it stands; seen \\uc2e0 at character 63",
            "publish.unescaped must",
            "  promise    Text outside ASCII is not escaped.",
            "  broken by  aura (observed)",
            "  wire       PUBLISH workbench:alert",
            "  reproduce  pytest *.py::test_it",
            "FAILED *::test_it - Failed: publish.unescaped is broken:*",
        ]
    )
    assert "observe.py" not in result.stdout.str()


def test_nothing_published_fails(run: Run) -> None:
    result = run("""
        def test_it(harness_redis, harness_observe):
            with harness_observe(within=0.01):
                harness_redis.client().publish("hitl:channel:one", "{}")
                harness_redis.client().publish("workbench:case:action", '{"type": "case_action_completed"}')
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*no messages of Aura's came on the channels in 0.01 s (2 others), at least 1 expected*"]
    )


def test_fewer_messages_than_expected_fail(run: Run) -> None:
    result = run("""
        def test_it(harness_redis, harness_observe):
            with harness_observe(messages=2, within=0.01):
                harness_redis.client().publish("workbench:alert", ALERT)
    """)
    result.stdout.fnmatch_lines(
        ["*1 message of Aura's came on the channels in 0.01 s (0 others), at least 2 expected*"]
    )


def test_only_the_named_clauses_count_and_they_have_to_be_exercised(run: Run) -> None:
    result = run("""
        def test_another(harness_redis, harness_observe):
            with harness_observe("publish.event-fields"):
                harness_redis.client().publish("workbench:alert", ESCAPED)

        def test_unproven(harness_redis, harness_observe):
            with harness_observe("publish.agree"):
                harness_redis.client().publish("workbench:alert", ALERT)

        def test_a_should(harness_redis, harness_observe):
            with harness_observe("publish.message-text"):
                harness_redis.client().publish("workbench:alert", ALERT.replace("신규", "새로운"))

        def test_a_should_that_is_not_named(harness_redis, harness_observe):
            with harness_observe():
                harness_redis.client().publish("workbench:alert", ALERT.replace("신규", "새로운"))
    """)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "publish.agree is unproven: not exercised: nothing in this run could have broken it",
            "publish.message-text is broken:*",
        ]
    )


def test_a_clause_that_cannot_be_judged_here_is_refused_at_once(run: Run) -> None:
    result = run("""
        def test_unknown(harness_observe):
            harness_observe("publish.unescapd")

        def test_out_of_reach(harness_observe):
            harness_observe("publish.once")
    """)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*harness_observe('publish.unescapd'): there is no such clause; did you mean publish.unescaped[?]",
            "*harness_observe('publish.once'): one message alone does not show whether it is kept, expected one of *",
        ]
    )


def test_what_the_test_itself_raises_is_not_covered_up(run: Run) -> None:
    result = run("""
        def test_it(harness_redis, harness_observe):
            with harness_observe():
                harness_redis.client().publish("workbench:alert", ESCAPED)
                raise KeyError("mine")
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*KeyError: 'mine'"])
    assert "is broken" not in result.stdout.str()


# ---- Which suites


def test_what_a_thread_publishes_after_the_block_is_waited_for(run: Run) -> None:
    result = run("""
        def test_it(harness_redis, harness_observe):
            client = harness_redis.client()
            with harness_observe(within=10):
                threading.Timer(0.05, client.publish, ("workbench:alert", ESCAPED)).start()
    """)
    result.stdout.fnmatch_lines(["publish.unescaped is broken:*"])


ASYNC = """
    {mark}
    async def test_it(harness_redis, harness_observe, harness_synapse):
        async def later():
            await asyncio.sleep(0.01)
            await client.publish("workbench:alert", {sent})

        async with harness_redis.async_client() as client:
            async with harness_observe(within=10):
                task = asyncio.create_task(later())
            await task
            assert (await harness_synapse.arrives(case_id="case-1"))["type"] == "AI_DETECT"
"""


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("@pytest.mark.asyncio", ("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")),
        ("@pytest.mark.anyio", ("-p", "anyio.pytest_plugin")),
    ],
    ids=["pytest-asyncio", "anyio"],
)
def test_they_work_in_an_async_suite(run: Run, mark: str, options: tuple[str, ...]) -> None:
    backend = "\n    @pytest.fixture\n    def anyio_backend():\n        return 'asyncio'\n"
    run(backend + ASYNC.format(mark=mark, sent="ALERT"), *options).assert_outcomes(passed=1)
    result = run(backend + ASYNC.format(mark=mark, sent="ESCAPED"), *options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["publish.unescaped is broken:*"])


# ---- The other side, simulated


def test_a_providers_test_sees_what_synapse_makes_of_its_message(run: Run) -> None:
    result = run("""
        def test_it(harness_redis, harness_synapse):
            client = harness_redis.client()
            client.publish("workbench:alert", b"{")
            client.publish("workbench:alert", ALERT)
            notification = harness_synapse.notification(case_id="case-1")
            assert (notification["content"], notification["title"]) == ("신규 이상 징후 탐지", "알림")
            assert notification["occurredAt"] == "2026-02-11T14:30:00Z"
            assert len(harness_synapse.notifications) == len(harness_synapse.dropped) == 1

        def test_another(harness_redis, harness_synapse):
            harness_redis.client().publish("workbench:alert", ALERT)
            harness_synapse.notification(case_id="case-2", within=0.01)
    """)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*no message with {'case_id': 'case-2'} came within 0.01 s; what came: {*case-1*"])


def test_a_consumers_test_makes_aura_publish(run: Run) -> None:
    run("""
        def test_it(harness_aura):
            (alert,) = harness_aura.raise_alert("case-1")
            (learnt,) = harness_aura.finish_rag("문서", chunks_added=3)
            (action,) = harness_aura.record_action("case-1", "request-1", approved=False, comment="아니요")
            assert [each.channel for each in harness_aura.sent] == [
                "workbench:alert", "workbench:rag:status", "workbench:case:action"
            ]
            assert (alert.value["severity"], learnt.value["rag_document_id"]) == ("HIGH", "문서")
            assert (action.value["status_code"], harness_aura.feedback[0]["comment"]) == ("REJECTED", "아니요")
            assert harness_aura.raise_alert("case-1", severity="LOW") == ()
            assert harness_aura.finish_rag("문서", succeeded=False) == ()
    """).assert_outcomes(passed=1)


def test_what_the_simulated_aura_publishes_keeps_the_agreement(run: Run) -> None:
    run("""
        def test_it(harness_aura, harness_observe):
            with harness_observe(messages=3):
                harness_aura.raise_alert("case-1")
                harness_aura.finish_rag("문서")
                harness_aura.record_action("case-1", "request-1")
    """).assert_outcomes(passed=1)


def test_aura_answers_in_process_and_on_a_port(run: Run) -> None:
    run("""
        import httpx2

        BODY = {"case_id": "케이스", "request_id": "r", "executor_id": "u", "approved": True}

        def test_it(harness_aura):
            transport = httpx2.ASGITransport(app=harness_aura.app)

            async def in_process():
                async with httpx2.AsyncClient(transport=transport, base_url="http://aura") as client:
                    return await client.post("/aura/action/record", json=BODY, headers=harness_aura.headers())

            assert asyncio.run(in_process()).status_code == 200
            path = f"{harness_aura.url}/api/aura/action/record"
            assert httpx2.post(path, json=BODY, headers=harness_aura.headers("8")).status_code == 200
            assert httpx2.post(path, json=BODY).status_code == 400
            assert [each.value["case_id"] for each in harness_aura.sent] == ["케이스", "케이스"]
    """).assert_outcomes(passed=1)


# ---- Redis and messages


def test_an_embedded_redis_is_empty_for_each_test_and_says_that_it_has_no_url(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("""
        def test_writes(harness_redis):
            harness_redis.client().set("key", "value")

        def test_finds_nothing(harness_redis):
            assert harness_redis.client().get("key") is None

        def test_url(harness_redis):
            harness_redis.url
    """)
    result = pytester.runpytest_inprocess("-p", "harness.pytest_plugin")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*the embedded Redis lives in this process and has no URL; *--harness-redis own*"])


def test_a_redis_of_its_own_has_a_url_that_other_processes_reach(run: Run) -> None:
    result = run(
        """
        import redis, subprocess, sys

        def test_it(harness_redis, harness_synapse):
            script = "import sys, redis; redis.Redis.from_url(sys.argv[1]).publish('workbench:alert', sys.argv[2])"
            subprocess.run([sys.executable, "-c", script, harness_redis.url, ALERT], check=True)
            harness_synapse.notification(case_id="case-1", within=10)
        """,
        "--harness-redis",
        "own",
    )
    result.assert_outcomes(passed=1)


def test_a_redis_that_is_not_there_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    url = f"redis://:secret@127.0.0.1:{port}"
    result = run("def test_it(harness_redis): ...", "--harness-redis", url)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [f"--harness-redis redis://:[*][*][*]@127.0.0.1:{port}: cannot be reached (*); start it*"]
    )
    assert "secret" not in result.stdout.str().replace(url, "")


def test_messages_are_the_same_for_the_same_seed(run: Run) -> None:
    text = """
        def test_it(harness_messages):
            assert [each.wire for each in harness_messages("alert")][0].startswith(b'{"type": "NOTIFICATION"')
            for kind in ("ordinary", "incomplete", "extras", "borders", "twice", "hostile"):
                assert harness_messages(kind) == harness_messages(kind)
            with open("messages", "a") as file:
                file.write(repr(harness_messages("ordinary")) + "\\n")
            harness_messages("ordinry")
    """
    for seed in ("1", "1", "2"):
        result = run(text, "--harness-seed", seed)
        result.stdout.fnmatch_lines(
            ["*harness_messages('ordinry'): there is no such name, *; did you mean ordinary[?]"]
        )
    first, second, third = Path("messages").read_text(encoding="utf-8").splitlines()
    assert first == second != third
