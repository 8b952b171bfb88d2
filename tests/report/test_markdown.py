"""The job summary, read as a Markdown renderer reads it: nothing that came from the wire is markup."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from reports import HOSTILE, RUN, STALE, VERDICTS, calm, report, verdict

from harness.report import markdown, printable

OURS = re.compile(r"(<details>|<details open>|</details>|</?summary>|</?code>)")


def tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        yield token
        yield from token.children or ()


def of(kind: str, text: str) -> list[Token]:
    return [token for token in tokens(text) if token.type == kind]


def test_no_text_becomes_markup() -> None:
    text = markdown.write(report(faults=(STALE,)))
    for kind in ("html_block", "html_inline"):
        for token in of(kind, text):
            assert "<" not in OURS.sub("", token.content), token.content
    assert not [token for token in tokens(text) if token.type in ("link_open", "image", "strong_open", "em_open")]
    assert len(of("heading_open", text)) == 1


@pytest.mark.parametrize("said", [HOSTILE, "`", "``` `", " a ", "", "<script>", "a|b", "\\|<b>", "\\", "[x]: http://x"])
def test_a_code_span_holds_any_text_on_one_line(said: str) -> None:
    (token,) = of("code_inline", f"- {markdown.code(said)}")
    assert token.content == (" ".join(printable(said).split()) or "(nothing)")


@pytest.mark.parametrize("said", [HOSTILE, "```", "~~~\n```\n", "</details>"])
def test_a_block_holds_any_text(said: str) -> None:
    (token,) = of("fence", f"before\n\n{markdown.block(said)}\n\nafter")
    assert token.content == f"{printable(said)}\n"


@pytest.mark.parametrize("said", ["a|b", "\\|<b>", "a\\", "<b>|</b>", "x` | `y"])
def test_a_cell_holds_any_text(said: str) -> None:
    """The reason of a clause that is unproven may speak of a message."""
    odd = dataclasses.replace(verdict("hitl.timeout", 50, "unproven"), reason=said)
    text = markdown.write(report(verdicts=(*VERDICTS[:4], odd, *VERDICTS[5:]), waived={}))
    assert not of("html_inline", text)
    assert said in ["".join(child.content for child in token.children or ()) for token in of("inline", text)]
    assert len({row.count(" | ") for row in text.splitlines() if row.startswith("| ✅ kept | must | `")}) == 1


def test_a_bar_in_a_url_ends_no_cell() -> None:
    where = "https://aura.example/a\\|<b>x</b>|c"
    text = markdown.write(report(run={**RUN, "seats": {**RUN["seats"], "aura": where}}))
    assert f"live at {where}" in [
        "".join(child.content for child in each.children or ()) for each in of("inline", text)
    ]


def test_the_verdict_is_at_the_top_and_the_keepers_are_counted() -> None:
    lines = markdown.write(report()).splitlines()
    assert lines[0] == "## ❌ Broken: a clause that counts is broken"
    assert lines[2].startswith("2 kept, 2 broken, 1 waived, 2 unproven; aura live at ")
    assert "| aura | `live at https://***@aura.example/api` | 1 | 2 | 1 | 2 |" in lines
    assert "| synapse | `simulated` | 1 |  |  |  |" in lines


def test_findings_stand_with_their_bytes_and_what_fails_the_run_is_unfolded() -> None:
    text = markdown.write(report())
    assert [line for line in text.splitlines() if "</code> (" in line] == [
        "<details open><summary>❌ <code>publish.once</code> (must) broken: aura, 2 times</summary>",
        "<details><summary>❌ <code>publish.text</code> (should) broken: aura, 2 times</summary>",
        "<details><summary>🔕 <code>publish.unescaped</code> (must) waived: aura, 2 times</summary>",
    ]
    assert of("fence", text)[0].content == f"PUBLISH workbench:case:action\n{printable(HOSTILE)}\n"


def test_a_summary_stays_below_the_megabyte_that_github_takes() -> None:
    one = VERDICTS[1].findings[0]
    large = dataclasses.replace(one, seen="가" * 300_000, evidence="나" * 300_000, reproduce=("다" * 300_000,) * 2)
    many = tuple(verdict(f"publish.{n}", n + 1, "broken", findings=(large,) * 5) for n in range(200))
    text = markdown.write(report(verdicts=many, waived={}))
    assert len(text.encode()) < 1024 * 1024
    assert "175 more findings are left out here" in text


def test_a_run_without_a_finding_says_so() -> None:
    assert markdown.write(calm()).startswith("## ✅ Kept: every must in reach is kept\n")
