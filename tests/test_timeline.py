"""The sequence diagram of a history, in a terminal of any width and as a page: whatever was sent, it can be drawn."""

from __future__ import annotations

import dataclasses
import io
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from histories import ACTION, BODY, CASE_ACTION, LINE, call, fault, feedback, handled, history, published, step, stored
from rich.cells import cell_len
from rich.console import Console

from harness.history import Event, History
from harness.report.picture import timeline_html
from harness.report.timeline import arrows, timeline

SENT, STORED, FRAMED = handled()
CUT_EMOJI = {**ACTION, "message": "조치 승인됨 🙅‍♀️" * 30}
HOSTILE = b"\xff\x00\x1b[31m\r\n</text><script>alert(1)</script>&amp;\xe2\x80\xae"


def other(kind: str, seat: str | None, at: float, **data: Any) -> Event:
    return dataclasses.replace(step("", at=at), kind=kind, seat=seat, data=data)


def asked(do: str, at: float, **data: Any) -> Event:
    return dataclasses.replace(other("hitl_request", "aura", at, do=do, **data), about={"request": "request-1"})


STORY = history(
    step("given", at=0, ids={}),
    step("approve", at=1.0, step=0, line=9, case="odd"),
    asked("stored", at=1.0, key="hitl:session:s", ttl=3600, session={"requestId": "request-1"}),
    asked("stored", at=1.0, key="hitl:request:request-1", ttl=1800, request={"requestId": "request-1"}),
    asked("waiting", at=1.01, channel="hitl:channel:s", timeout=300.0),
    other("hitl_signal", "synapse", 1.05, channel="hitl:channel:s", wire='{"status": "approved"}'),
    feedback(),
    dataclasses.replace(SENT, seat="aura"),
    STORED,
    FRAMED,
    dataclasses.replace(step("decided", at=1.25, case="case-1", approved=True), seat="synapse"),
    other(
        "refetch", "workbench", 1.3, viewer="kim", case="c", reason="notification", seen={"documents": {"d": "OPEN"}}
    ),
    call(),
    fault("cut", at=2.0),
    fault("restored", at=2.5),
    step("expect publish", at=3.0, step=1, line=10),
    step("finished", at=3.0),
)


def drawn(told: History, width: int = 100, *, ascii_only: bool = False, shown: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, emoji=False, markup=False).print(
        timeline(told, width, ascii_only=ascii_only, shown=shown)
    )
    return out.getvalue()


def svg(page: str) -> ET.Element:
    found = re.search(r"<svg .*</svg>", page, re.DOTALL)
    assert found is not None
    return ET.fromstring(found[0])


def texts(page: str) -> list[str]:
    return ["".join(node.itertext()) for node in svg(page).iter("{http://www.w3.org/2000/svg}text")]


# ---- What is drawn


def test_an_arrow_goes_from_who_told_to_who_was_told() -> None:
    assert [(arrow.source, arrow.target, arrow.label) for arrow in arrows(STORY)] == [
        ("", "", "approve odd"),
        ("aura", "redis", "asks: hitl:request:request-1"),
        ("aura", "aura", "waits for 300 s for the answer to request-1"),
        ("synapse", "redis", "hitl:channel:s approved"),
        ("aura", "aura", "feedback: APPROVE “검토 후 승인”"),
        ("aura", "redis", "workbench:case:action 조치 승인됨 case-1 APPROVED"),
        ("redis", "synapse", "row 1 CASE_ACTION 조치 승인됨"),
        ("synapse", "workbench", "notifications CASE_ACTION 조치 승인됨"),
        ("synapse", "synapse", "decided case-1: approved"),
        ("workbench", "synapse", "kim sees OPEN (notification)"),
        ("synapse", "aura", "POST /aura/action/record → 200"),
        ("synapse", "synapse", "cut"),
        ("synapse", "synapse", "restored"),
    ]


def test_refusals_and_faults_stand_out_and_recoveries_do_not() -> None:
    told = history(call(status=401), call(status=None), call(), fault("cut"), fault("restored"))
    assert [arrow.style for arrow in arrows(told)] == ["fault", "fault", "plain", "fault", "plain"]


def test_what_cannot_be_played_is_told_with_its_reason() -> None:
    told = history(step("stop redis", at=1, step=0, line=3, unproven="not ours to stop"))
    assert [(arrow.label, arrow.style) for arrow in arrows(told)] == [("stop redis: not ours to stop", "fault")]


def test_the_reads_of_a_refetch_are_told_once() -> None:
    get = dataclasses.replace(call(method="GET", path="/api/synapse/cases/c"), seat="synapse")
    assert [arrow.source for arrow in arrows(history(get))] == ["workbench"]
    assert len(arrows(history(get, other("refetch", "workbench", 2, viewer="kim")))) == 1


# ---- In the terminal


def test_the_diagram_in_a_wide_terminal() -> None:
    assert drawn(history(step("approve", at=1, case="odd"), feedback(), SENT, STORED, fault("cut")), 81) == (
        "         reviewer          aura              redis             synapse\n"
        "         │                 │                 │                 │\n"
        "   1.000 ── approve odd\n"
        "   1.100 │                 ● feedback: APPROVE “검토 후 승인”\n"
        "   1.200 │──────────────────────────────────▶│                 │\n"
        "         │ workbench:case:action 조치 승인됨 case-1 APPROVED   │\n"
        "   1.210 │                 │                 │────────────────▶│\n"
        "         │                 │                 │ row 1 CASE_ACTION 조치 승인됨\n"
        "   1.200 │                 │                 │                 ✗ cut\n"
    )


def test_the_diagram_in_ascii() -> None:
    assert drawn(history(feedback(), published()), 60, ascii_only=True) == (
        "         aura                    redis\n"
        "         |                       |\n"
        '   1.100 * feedback: APPROVE "\\uac80\\ud1a0 \\ud6c4 \\uc2b9\\...\n'
        "   1.200 |---------------------->|\n"
        "         | workbench:case:action \\uc870\\uce58 \\uc2b9\\uc77...\n"
    )


def test_where_there_is_no_room_for_lanes_there_is_a_list() -> None:
    assert drawn(history(feedback(), published()), 30) == (
        "1.100 aura\n  feedback: APPROVE “검토 후…\n1.200 aura ▶ redis\n  workbench:case:action 조치…\n"
    )


@pytest.mark.parametrize("width", [20, 30, 44, 60, 80, 100, 160])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_the_terminal_whatever_was_sent(width: int, ascii_only: bool) -> None:
    told = history(
        *STORY[1:],
        published(HOSTILE),
        published(CUT_EMOJI),
        published(HOSTILE, channel="workbench:" + "긴채널" * 40),
        feedback({**LINE, "comment": "가\n나\x1b[2J" * 50}),
        feedback("no JSON \ud800"),
        call({**BODY, "comment": "🙅" * 200}, path="/" + "경로" * 90),
        fault("listener-failed", error="ValueError('\x07')"),
    )
    lines = drawn(told, width, ascii_only=ascii_only).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert not any(ord(character) < 0x20 for line in lines for character in line)
    if ascii_only:
        assert all(line.isascii() for line in lines)


def test_a_long_history_says_what_it_leaves_out_and_keeps_beginning_and_end() -> None:
    told = history(*(published({**ACTION, "case_id": f"case-{n:03}"}) for n in range(300)))
    text = drawn(told, 120)
    assert "… 100 more are left out here; --history keeps them all" in text
    assert re.findall(r"case-(\d+)", text) == [f"{n:03}" for n in (*range(150), *range(250, 300))]


# ---- As a page


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = timeline_html(STORY, "검토자가 승인한다 🙅 <b>")
    assert page.startswith("<!doctype html>")
    assert "<title>검토자가 승인한다 🙅 &lt;b&gt;</title>" in page
    assert "aura simulated" in page
    assert not re.search(r"<(script|link|img|iframe)|url\(|@import|\b(src|href)=", page)
    assert re.findall(r"https?://[^\"' <]+", page) == ["http://www.w3.org/2000/svg"]
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    HTMLParser().feed(page)
    assert texts(page)[:4] == ["aura", "redis", "synapse", "workbench"]
    assert "feedback: APPROVE “검토 후 승인”" in texts(page)


def test_each_arrow_of_the_page_can_be_pointed_at() -> None:
    groups = [node.get("id") for node in svg(timeline_html(STORY, "x")).iter("{http://www.w3.org/2000/svg}g")]
    assert groups == [f"event-{arrow.seq}" for arrow in arrows(STORY)]


def test_hostile_bytes_are_text_on_the_page() -> None:
    told = history(
        published(HOSTILE), feedback("\ud800\0\x1b"), fault("x", error="]]>\x08"), stored({"content": "</svg>"})
    )
    page = timeline_html(told, "\0 </title><script>\ud800")
    page.encode()
    assert "<script" not in page
    assert any("</text><script>alert(1)" in text for text in texts(page))


def test_a_long_history_on_the_page_says_what_it_leaves_out() -> None:
    told = history(*(published(channel=CASE_ACTION) for _ in range(300)))
    page = timeline_html(told, "x")
    assert "… 100 more are left out here; --history keeps them all" in texts(page)
    assert len(list(svg(page).iter("{http://www.w3.org/2000/svg}g"))) == 200


def test_a_history_of_nothing_is_a_picture_of_nothing() -> None:
    assert texts(timeline_html(History([]), "nothing")) == ["aura", "redis"]
    assert drawn(History([]))


def test_a_seat_that_nobody_knows_is_drawn_somewhere() -> None:
    foreign = history(*(dataclasses.replace(event, seat="게이트웨이") for event in STORY))
    assert "POST" in drawn(foreign)
    assert "POST" in timeline_html(foreign, "한 이야기")
