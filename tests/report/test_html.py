"""The page: whole, self-contained, and never anything but text where a message speaks."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from reports import HOSTILE, STALE, calm, report, story

from harness.report import html, printable

VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Elements and text of a page; raises AssertionError where a tag is not closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.tags if "id" in attributes]

    def said(self, tag: str) -> list[str]:
        return [name for name, _ in self.tags if name == tag]


PAGES = pytest.mark.parametrize(
    "text",
    [html.write(report(faults=(STALE,))), html.write(calm()), html.write(report(scenarios=(story("a"), story("b"))))],
    ids=["broken", "kept", "two stories"],
)


@PAGES
def test_every_tag_is_closed_and_every_id_is_there_once(text: str) -> None:
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))


@PAGES
def test_every_link_leads_to_a_place_in_the_page(text: str) -> None:
    page = Page(text)
    targets = [attributes["href"] for _, attributes in page.tags if "href" in attributes]
    assert targets
    assert {str(target) for target in targets} <= {f"#{name}" for name in page.ids}


@PAGES
def test_nothing_is_loaded_and_nothing_runs(text: str) -> None:
    page = Page(text)
    assert not {name for name, _ in page.tags} & {"script", "link", "img", "iframe", "object", "embed", "base"}
    assert not [key for _, attributes in page.tags for key in attributes if key == "src" or key.startswith("on")]
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'; style-src 'unsafe-inline'" in text


def test_hostile_text_is_shown_as_it_is() -> None:
    page = Page(html.write(report()))
    assert f"PUBLISH workbench:case:action\n{printable(HOSTILE)}" in page.texts
    assert printable(HOSTILE) in page.texts


def test_the_verdict_comes_first_and_names_what_failed_the_run() -> None:
    page = Page(html.write(report(faults=(STALE,))))
    told = page.texts[page.texts.index("✗ Broken") :]
    assert [text for text in told if text.strip()][:7] == [
        "✗ Broken",
        "A clause that counts is broken.",
        "Aura live at https://***@aura.example/api; synapse and workbench simulated.",
        "publish.once",
        " by aura",
        "approve",
        ", a scenario",
    ]
    assert str(STALE) in page.texts


def test_the_parts_stand_in_their_order_and_empty_ones_are_left_out() -> None:
    parts = ["broken", "waived", "unproven", "clauses", "scenarios"]
    assert [name for name in Page(html.write(report())).ids if name in parts] == parts
    assert [name for name in Page(html.write(calm())).ids if name in parts] == ["clauses"]


def test_a_scenario_that_went_wrong_is_unfolded_with_its_lines_and_its_timeline() -> None:
    page = Page(html.write(report()))
    (details,) = (attributes for name, attributes in page.tags if name == "details")
    assert "open" in details
    assert page.said("svg") == ["svg"]
    assert "   5    - expect publish: {by: aura, case: odd}" in page.texts
    assert "Redis message (aura)" in page.texts
    assert "approve-event-2" in page.ids


def test_what_was_not_proven_says_why_and_whether_it_counts() -> None:
    text = html.write(report())
    part = Page(text[text.index('<section id="unproven">') : text.index('<section id="clauses">')])
    assert "out of reach: needs feedback" in part.texts
    assert part.texts.count("fails the run") == 1


def test_what_can_be_scrolled_can_be_reached_with_the_keyboard() -> None:
    page = Page(html.write(report()))
    scrolled = [attributes for name, attributes in page.tags if name == "pre" or attributes.get("class") == "table"]
    assert scrolled
    assert all(attributes.get("tabindex") == "0" for attributes in scrolled)
