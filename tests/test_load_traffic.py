"""What users send: as the agreement has it, with ids by which it is found again, and at the pace that was asked for."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from harness.agreement import Agreement
from harness.aura.body import read_action
from harness.clock import WallClock
from harness.errors import UsageError
from harness.ledger import Marks
from harness.load.traffic import MOST_BEHIND, Pace, Ratio, Traffic
from harness.schema import compile_schemas

MARKS = Marks("l1")


def traffic(seed: int = 1, ratio: str = "3:2") -> Traffic:
    return Traffic(seed, WallClock(), Ratio.parse(ratio))


def test_a_reviewers_call_is_accepted_and_carries_its_id_in_a_korean_text() -> None:
    body = traffic().action("l1-w0-7")
    action = read_action("application/json", body)
    assert (action.request_id, MARKS.of(body)) == ("l1-w0-7", (0, 7))
    assert any("가" <= character <= "힣" for character in action.comment or "")
    assert "\\u" not in body.decode()


def test_messages_are_those_that_aura_publishes(agreed: Agreement) -> None:
    validators = compile_schemas(agreed)
    for wire, schema in ((traffic().alert("l1-w0-1"), "alert"), (traffic().rag_status("l1-w0-1"), "rag-status")):
        assert validators[schema].violations(json.loads(wire)) == ()
        assert MARKS.of(wire) == (0, 1)


def test_one_seed_gives_the_same_calls() -> None:
    def calls(seed: int) -> list[bytes]:
        one = traffic(seed)
        return [one.action(f"l1-w0-{number}") for number in range(100)]

    assert calls(1) == calls(1) != calls(2)


@pytest.mark.parametrize(
    ("text", "of", "approved"), [("3:2", 5, 3), ("3:2", 100, 60), ("1:0", 7, 7), ("0:1", 7, 0), ("1:9", 10, 1)]
)
def test_decisions_keep_their_ratio_however_few_they_are(text: str, of: int, approved: int) -> None:
    one = traffic(ratio=text)
    assert sum(json.loads(one.action("l1-w0-1"))["approved"] for _ in range(of)) == approved


@pytest.mark.parametrize("text", ["", "3", "3:2:1", "0:0", "-1:2", "a:b", "1.5:2"])
def test_what_is_no_ratio_is_told(text: str) -> None:
    with pytest.raises(UsageError, match=r"--decisions .*APPROVE:REJECT was expected"):
        Ratio.parse(text)


def test_a_pace_is_kept_although_every_send_takes_its_time() -> None:
    now = began = 100.0
    pace = Pace(10, user=1, now=began)
    sends = []
    for _ in range(1000):
        now += pace.wait(now)
        sends.append(now)
        now += 0.03
    assert sends[-1] - sends[0] == pytest.approx(99.9)
    assert {round(later - earlier, 6) for earlier, later in pairwise(sends)} == {0.1}


def test_users_send_at_moments_of_their_own() -> None:
    first = sorted(Pace(10, user, now=0.0).wait(0.0) for user in range(100))
    assert max(later - earlier for earlier, later in pairwise(first)) < 0.003


def test_who_is_late_makes_up_for_it_but_not_for_ever() -> None:
    pace = Pace(10, user=0, now=0.0)
    assert pace.wait(0.5) == 0.0
    at_once = 0
    while not pace.wait(60.0):
        at_once += 1
    assert at_once == MOST_BEHIND * 10
