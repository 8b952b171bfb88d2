"""A literal report for the tests of writers: one verdict of every kind, a story that went wrong, and hostile text."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from histories import history, step

from harness import expect, scenario
from harness.expect import JudgedScenario
from harness.report import Report
from harness.verdict import Finding, Verdict
from harness.waivers import Fault, Waiver

HOSTILE = (
    "</pre></code></details></article><script>alert(1)</script><img src=x onerror=alert(1)> | a `b` ``c`` @team #1 "
    "[x](http://x) ![y](z)\n```\n````\n# heading\n<b>bold</b>\n::error file=x::y\r\n"
    "%0A, 50% : \x1b[31m \u202e \ud800 조치 🙏"
)
RUN: dict[str, Any] = {
    "harness": "0.1.0",
    "agreement": "1.0.0",
    "seats": {"aura": "https://deploy:geheim@aura.example/api", "synapse": "simulated", "workbench": "simulated"},
    "redis": "redis://user:geheim@127.0.0.1:6379/0",
    "seed": 7,
    "command": ["aura-harness", "gate", "--aura", "https://deploy:geheim@aura.example/api"],
    "reach": ["http", "redis"],
    "tolerance": 5.0,
    "time": "wall",
}
FINDING = Finding(
    "publish.once",
    expected=HOSTILE,
    seen=HOSTILE,
    pointer="/message",
    evidence=f"PUBLISH workbench:case:action\n{HOSTILE}",
    events=(3, 2),
    reproduce=("redis-cli SUBSCRIBE workbench:case:action", HOSTILE),
)


def verdict(clause: str, line: int, outcome: str, **more: Any) -> Verdict:
    defaults = {
        "seat": "aura",
        "level": "must",
        "promise": f"The promise of {clause}.",
        "sources": ("redis-messages §3.3",),
        "where": f"contracts/clauses.yaml:{line}:3",
        "exercised": 0 if outcome == "unproven" else 4,
        "findings": (dataclasses.replace(FINDING, clause=clause),) * 2 if outcome == "broken" else (),
    }
    return Verdict(clause=clause, outcome=outcome, **{**defaults, **more})  # type: ignore[arg-type]


VERDICTS = (
    verdict("http.data", 10, "kept"),
    verdict("publish.once", 20, "broken"),
    verdict("publish.text", 30, "broken", level="should"),
    verdict("publish.unescaped", 40, "broken"),
    verdict("hitl.timeout", 50, "unproven", reason=f"its check crashed: {HOSTILE}"),
    verdict("http.far", 60, "unproven", reason="out of reach: needs feedback", in_reach=False),
    verdict("mapping.type", 70, "kept", seat="synapse"),
)
WAIVER = Waiver("publish.unescaped", "aura", "금요일까지 | <봐준다> 🙏", "김철수", date(2026, 3, 1), "waivers.yaml:1:3")
STALE = Fault(
    Waiver("http.data", "aura", "old", "이영희", date(2026, 3, 1), "waivers.yaml:6:3"),
    "http.data was exercised 4 times and kept; remove its waiver",
)


def story(name: str = "approve") -> JudgedScenario:
    """A scenario whose message never came."""
    text = (
        f'title: "The <b>title</b> of {name}, 조치 🙏"\n'
        "given: {cases: {odd: {tenant: 7}}}\n"
        "steps:\n"
        "  - detect: {case: odd, severity: HIGH, score: 0.9}\n"
        "  - expect publish: {by: aura, case: odd}\n"
    )
    played = scenario.parse(text, Path(f"{name}.yaml"), f"scenarios/{name}.yaml")
    told = history(
        step("given", at=0, scenario=name, file=f"scenarios/{name}.yaml", text=text, ids={"cases": {"odd": ["c-1"]}}),
        step("detect", at=0.1, step=0, line=4, case="odd"),
        step("expect publish", at=0.2, step=1, line=5),
    )
    return JudgedScenario(played, expect.judge(played, told), told)


def report(**changes: Any) -> Report:
    """Broken; with a live Aura, and a waiver that holds."""
    began = datetime(2026, 2, 11, 14, 30, tzinfo=UTC)
    defaults: dict[str, Any] = {
        "run": RUN,
        "verdicts": VERDICTS,
        "exit_code": 1,
        "scenarios": (story(),),
        "waived": {WAIVER.clause: WAIVER},
        "began": began,
        "ended": began.replace(second=3),
    }
    return Report(**{**defaults, **changes})


def calm() -> Report:
    """Everything is kept, and everything is simulated."""
    run = {**RUN, "seats": dict.fromkeys(("aura", "synapse", "workbench"), "simulated")}
    kept = tuple(each for each in VERDICTS if each.outcome == "kept")
    return report(run=run, verdicts=kept, exit_code=0, scenarios=(), waived={})
