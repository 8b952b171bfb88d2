"""What happens in served systems is told to whoever listens; a play keeps what is its own, and nothing of others."""

from __future__ import annotations

import json

import pytest

from harness.clock import VirtualClock
from harness.history import Event, encode
from harness.serve.feed import Excerpt, Feed
from harness.virtual import run

MARK = "s1-1-story-"
OURS, THEIRS = f"{MARK}odd", "case-of-somebody"


def excerpted(*events: tuple[str, dict[str, object], dict[str, object]]) -> list[tuple[str, str | None]]:
    """Kind and `do` of what an excerpt keeps of these events: kind, data, about."""

    async def scene() -> list[tuple[str, str | None]]:
        clock = VirtualClock()
        feed = Feed(clock)
        excerpt = Excerpt(feed, clock, MARK)
        await excerpt.publishing(published)("workbench:alert", SENT)
        await excerpt.publishing(published)("workbench:alert", UNREADABLE)
        feed.listeners[excerpt.take] = None
        for kind, data, about in events:
            feed.record(kind, data, about=about)
        return [(event.kind, event.data.get("do")) for event in excerpt.history()]

    return run(scene())


async def published(channel: str, wire: bytes) -> int:
    return 1


SENT = '{"message":"표시 없는 메시지 👍","score":0.5}'.encode()
UNREADABLE = b"\xff{"
PAYLOAD = json.loads(SENT)


@pytest.mark.parametrize(
    ("kind", "data", "about"),
    [
        ("http", {"path": f"/api/synapse/cases/{OURS}"}, {}),
        ("published", {"wire": f'{{"case_id":"{OURS}"}}'}, {"case": OURS}),
        ("feedback", {"line": "{}"}, {"request": f"{MARK}question"}),
        ("published", {"wire": encode(SENT)}, {}),
        ("published", {"wire": encode(UNREADABLE)}, {}),
        ("fault", {"do": "listener-failed", "wire": encode(UNREADABLE)}, {}),
        ("stored", {"notification": {"payload": PAYLOAD}}, {}),
        ("broadcast", {"body": json.dumps({"payload": PAYLOAD})}, {}),
        ("fault", {"do": "cut"}, {}),
        ("fault", {"do": "restored"}, {}),
        ("fault", {"do": "failed"}, {}),
        ("fault", {"do": "emptied"}, {}),
    ],
)
def test_a_play_keeps_what_bears_its_mark_or_comes_of_what_it_sent(
    kind: str, data: dict[str, object], about: dict[str, object]
) -> None:
    assert len(excerpted((kind, data, about))) == 1


@pytest.mark.parametrize(
    ("kind", "data", "about"),
    [
        ("http", {"path": "/api/synapse/notifications"}, {}),
        ("published", {"wire": f'{{"case_id":"{THEIRS}"}}'}, {"case": THEIRS}),
        ("published", {"wire": '{"message":"another without a mark"}'}, {}),
        ("fault", {"do": "listener-failed", "wire": "{"}, {}),
        ("stored", {"notification": {"payload": {"message": "another"}}}, {}),
        ("stored", {"notification": None}, {}),
        ("broadcast", {"body": "{"}, {}),
        ("broadcast", {"body": '{"content":"no payload"}'}, {}),
        ("fault", {"do": "cut", "viewer": "of another play"}, {}),
        ("step", {"do": "detect"}, {"case": THEIRS}),
    ],
)
def test_a_play_keeps_nothing_of_others(kind: str, data: dict[str, object], about: dict[str, object]) -> None:
    assert excerpted((kind, data, about)) == []


def test_what_a_play_records_is_once_in_its_history_and_once_in_the_feed_but_not_the_text_of_its_scenario() -> None:
    async def scene() -> tuple[list[Event], list[Event]]:
        clock, heard = VirtualClock(), list[Event]()
        feed = Feed(clock)
        excerpt = Excerpt(feed, clock, MARK)
        feed.listeners[excerpt.take] = None
        feed.listeners[heard.append] = None
        excerpt.record("run", {})
        excerpt.record("step", {"do": "given", "ids": {"cases": {"odd": [OURS]}}})
        excerpt.record("refetch", {"case": OURS}, seat="workbench", about={"case": OURS})
        feed.record("step", {"do": "after"}, about={"case": OURS})
        return list(excerpt.history()), heard

    kept, heard = run(scene())
    assert [(event.seq, event.kind) for event in kept] == [(0, "run"), (1, "step"), (2, "refetch"), (3, "step")]
    assert [(event.seq, event.kind, event.seat) for event in heard] == [(0, "refetch", "workbench"), (1, "step", None)]
