"""The approval requests of a gate run: none shares an id with another, and every answer is one the agreement knows."""

from __future__ import annotations

import json

import pytest

from harness.agreement import Agreement
from harness.clock import Ids
from harness.schema import compile_schemas
from harness.stories import Answer, Pause, Story, approval_stories

STORIES = list(approval_stories(Ids("h1"), patience=0.3))


def answers(story: Story) -> list[Answer]:
    return [move for move in story.moves if isinstance(move, Answer)]


def test_every_request_has_ids_of_its_own() -> None:
    for ids in (
        [story.request.request_id for story in STORIES],
        [story.request.session_id for story in STORIES],
        [story.request.user_id for story in STORIES],
        [
            story.request.context[name]
            for story in STORIES
            for name in ("caseId", "case_id")
            if name in story.request.context
        ],
    ):
        assert len(set(ids)) == len(ids)
        assert all(each.startswith("h1-") for each in ids)


@pytest.mark.parametrize("answer", [answer for story in STORIES for answer in answers(story)])
def test_an_answer_is_what_the_agreement_says(answer: Answer, agreed: Agreement) -> None:
    wire = answer.wire(1770820201.5)
    assert compile_schemas(agreed)["hitl-signal"].violations(json.loads(wire)) == ()
    assert ("reason" in json.loads(wire)) is (answer.reason is not None)


def test_one_is_answered_elsewhere_one_for_another_and_some_not_at_all() -> None:
    elsewhere = [story for story in STORIES for one in answers(story) if one.session_id != story.request.session_id]
    another = [story for story in STORIES for one in answers(story) if one.request_id != story.request.request_id]
    assert (len(elsewhere), len(another)) == (1, 1)
    assert sum(not story.moves for story in STORIES) == 2


def test_nothing_waits_longer_than_aura_does() -> None:
    for story in STORIES:
        assert sum(move.seconds for move in story.moves if isinstance(move, Pause)) < 0.3
