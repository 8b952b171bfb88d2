"""What deviations and what was seen of them come to: the marks, the score, the exit code, and how people see it."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

import pytest
from rich.console import Console

from harness.agreement import Agreement
from harness.drift.deviation import Deviation
from harness.drift.matrix import Matrix, matrix, must_know
from harness.drift.run import Seen, Task
from harness.errors import UsageError
from harness.report import matrix as report

HTTP = Deviation.of("aura", "http", "답을 바꿨다 <script>.", "http.data http.logged", also="http.accepted")
STORED = Deviation.of("synapse", "stored", "I save it twice.", "subscriber.stored")


def seen(
    deviation: Deviation, broken: Mapping[str, str], out_of_reach: Mapping[str, str] | None = None, crash: str = ""
) -> Seen:
    return Seen(Task(deviation.id, 1), 0.5, broken, {}, out_of_reach or {}, crash)


def made(agreed: Agreement, *pairs: tuple[Deviation, Seen], whole: bool = False) -> Matrix:
    return matrix(agreed.clauses, pairs, whole=whole)


CAUGHT = {"http.data": "x; seen: 😀", "http.logged": "y; seen: <b>"}


def test_a_deviation_is_caught_when_every_clause_that_must_break_is_broken(agreed: Agreement) -> None:
    found = made(agreed, (HTTP, seen(HTTP, CAUGHT | {"http.accepted": "z"})))
    assert found.rows[0].marks == {"http.accepted": "also", "http.data": "caught", "http.logged": "caught"}
    assert (found.score(), found.failed, found.exit_code) == ((1, 1), (), 0)


def test_it_survives_when_one_of_them_sleeps(agreed: Agreement) -> None:
    found = made(agreed, (HTTP, seen(HTTP, {"http.data": "x"})), (STORED, seen(STORED, {"subscriber.stored": "x"})))
    assert [row.deviation for row in found.failed] == [HTTP]
    assert (found.score(), found.score("aura"), found.score("synapse"), found.exit_code) == ((1, 2), (0, 1), (1, 1), 1)


def test_a_clause_of_another_seat_is_an_accusation_and_fails(agreed: Agreement) -> None:
    found = made(agreed, (STORED, seen(STORED, {"subscriber.stored": "x", "refetch.others": "y"})))
    assert found.rows[0].of("accused") == ("refetch.others",)
    assert (found.score(), found.exit_code) == ((1, 1), 1)


def test_a_clause_of_its_own_seat_that_it_did_not_name_is_beyond_it_and_fails(agreed: Agreement) -> None:
    found = made(agreed, (HTTP, seen(HTTP, CAUGHT | {"publish.once": "z"})))
    assert found.rows[0].of("beyond") == ("publish.once",)
    assert (found.score(), found.failed, found.exit_code) == ((1, 1), found.rows, 1)
    assert "1 breaks more than confessed" in listed(found)
    assert "beyond     publish.once" in listed(found)


def test_a_deviation_from_what_the_agreement_has_not_is_refused(agreed: Agreement) -> None:
    fewer = {id_: clause for id_, clause in agreed.clauses.items() if id_ != "http.logged"}
    with pytest.raises(UsageError, match=r"aura.http must break http.logged, which the agreement has not"):
        must_know(fewer, [STORED, HTTP])
    must_know(fewer, [STORED])


def test_a_run_that_crashed_caught_nothing(agreed: Agreement) -> None:
    found = made(agreed, (STORED, seen(STORED, {}, crash="KeyError: 'x'")))
    assert (found.score(), found.exit_code) == ((0, 1), 1)
    assert "KeyError: 'x'" in listed(found)


def test_a_clause_that_nothing_broke_is_untested_or_out_of_reach_with_the_reason(agreed: Agreement) -> None:
    reasons = {"publish.once": "out of reach: needs redis"}
    found = made(agreed, (HTTP, seen(HTTP, CAUGHT, reasons)), whole=True)
    assert found.untested["publish.once"] == "out of reach: needs redis"
    assert found.untested["subscriber.stored"] == ""
    assert "http.data" not in found.untested
    assert f"{len(agreed.clauses) - 3} clauses untested" in listed(found)
    assert "no other team accused" in listed(found)


def test_of_a_part_of_the_catalogue_nothing_is_said_of_clauses(agreed: Agreement) -> None:
    found = made(agreed, (HTTP, seen(HTTP, CAUGHT)))
    assert found.untested == {}
    assert "untested" not in listed(found)


def listed(found: Matrix) -> str:
    console = Console(file=io.StringIO(), width=110)
    console.print(report.listed(found, 110))
    console.print(report.summary(found), soft_wrap=True)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_people_read_what_survived_with_its_confession_and_how_to_see_it_again(agreed: Agreement) -> None:
    text = listed(
        made(agreed, (HTTP, seen(HTTP, {"http.data": "x"})), (STORED, seen(STORED, {"subscriber.stored": "x"})))
    )
    for told in (
        "답을 바꿨다 <script>.",
        "http.logged",
        "aura-harness drift --only aura.http --seed 1",
        "1 of 2 caught (50 %): aura 0 %, synapse 100 %; no other team accused",
    ):
        assert told in text


def test_the_picture_is_xml_with_a_square_for_each_mark_and_nothing_of_it_is_markup(agreed: Agreement) -> None:
    found = made(agreed, (HTTP, seen(HTTP, CAUGHT | {"refetch.others": "\x00\ud800"})))
    root = ElementTree.fromstring(report.picture(found, findings=True))
    squares = [each.get("class") for each in root.iter("{http://www.w3.org/2000/svg}rect")]
    legend = ["caught", "missed", "also", "beyond", "accused"]
    assert squares == [None, *legend, "caught", "caught", "accused"]
    titles = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "답을 바꿨다 <script>." in titles


def test_a_picture_alone_tells_no_findings_and_is_the_same_wherever_the_marks_are(agreed: Agreement) -> None:
    here, there = (made(agreed, (HTTP, seen(HTTP, dict.fromkeys(CAUGHT, words)))) for words in ("x", "y"))
    assert report.picture(here) == report.picture(there)
    assert report.picture(here, findings=True) != report.picture(there, findings=True)


def test_the_page_holds_the_picture_and_loads_nothing(agreed: Agreement) -> None:
    page = report.page(made(agreed, (HTTP, seen(HTTP, CAUGHT))))
    assert report.picture(made(agreed, (HTTP, seen(HTTP, CAUGHT))), findings=True) in page
    for loading in ("<script", "<link", "src=", "href=", "url(", "@import"):
        assert loading not in page


def test_a_finding_that_is_cut_says_what_writes_all_of_it(agreed: Agreement) -> None:
    text = listed(made(agreed, (STORED, seen(STORED, {"refetch.others": "x" * 400}))))
    assert "400 characters; --json FILE has them all" in " ".join(text.split())


def test_programs_get_everything(agreed: Agreement) -> None:
    told = made(agreed, (HTTP, seen(HTTP, {"http.data": "x"})), whole=True).as_json()
    assert told["score"] == {"all": {"caught": 0, "all": 1}, "aura": {"caught": 0, "all": 1}}
    assert told["deviations"][0] | {"confession": ""} == {
        "id": "aura.http",
        "seat": "aura",
        "confession": "",
        "survives": True,
        "caught": ["http.data"],
        "missed": ["http.logged"],
        "also": [],
        "beyond": [],
        "accused": [],
        "findings": {"http.data": "x"},
        "unproven": {},
        "seconds": 0.5,
        "crash": "",
    }
    assert told["clauses"]["http.data"] == {"seat": "aura", "level": "must", "broken_by": ["aura.http"]}
    assert told["untested"]["http.logged"] == ""
