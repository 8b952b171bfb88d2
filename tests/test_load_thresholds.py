"""What a load run has to reach is read as it is written, and what is not reached is told with both figures."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.ledger import BROADCAST, DELIVERY, MAPPED
from harness.load.thresholds import RECORD, LeastRate, Measured, MostP95, faults

HOPS = {
    DELIVERY: Measured(p95=0.040, rate=200.0, count=1000),
    MAPPED: Measured(p95=0.0, rate=200.0, count=1000),
    BROADCAST: Measured(p95=0.0, rate=0.0, count=0),
}


@pytest.mark.parametrize(
    ("text", "seconds"), [("50ms", 0.05), ("0.5s", 0.5), ("1500us", 0.0015), ("2s", 2.0), ("1e3ms", 1.0)]
)
def test_a_time_has_a_unit(text: str, seconds: float) -> None:
    found = MostP95.parse(f"Redis delivery={text}")
    assert found.hop == DELIVERY
    assert found.seconds == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["Redis delivery", "Redis delivery=", "=50ms", "50ms", "Redis delivery=50", "x=-1s"])
def test_what_is_no_threshold_is_told_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r'HOP=TIME was expected, such as "Redis delivery=50ms"'):
        MostP95.parse(text)


@pytest.mark.parametrize("text", ["mapped=300us", "mapped=0.9ms"])
def test_a_time_that_locust_rounds_to_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="at least 1 ms was expected, for locust rounds times to milliseconds"):
        MostP95.parse(text)


@pytest.mark.parametrize("text", ["nan", "inf", "0", "-5", "many", "HTTP record=many", "HTTP record="])
def test_a_rate_is_a_number(text: str) -> None:
    with pytest.raises(UsageError, match="a number of messages a second was expected"):
        LeastRate.parse(text)


def test_a_hop_that_does_not_exist_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match="there is no hop 'Redis deliver'; did you mean 'Redis delivery'"):
        MostP95.parse("Redis deliver=50ms")
    with pytest.raises(UsageError, match="there is no hop 'xyz'; there are 'HTTP record', 'Redis delivery'"):
        LeastRate.parse("xyz=1")


def test_a_p95_is_kept_up_to_its_limit() -> None:
    assert [*faults([MostP95(DELIVERY, 0.040)], HOPS, 200)] == []
    assert [*faults([MostP95(DELIVERY, 0.039)], HOPS, 200)] == ["Redis delivery: p95 40 ms, at most 39 ms was expected"]


@pytest.mark.parametrize("hop", [RECORD, BROADCAST])
def test_a_hop_that_nobody_reached_keeps_nothing(hop: str) -> None:
    assert [*faults([MostP95(hop, 2.0)], HOPS, 200)] == [
        f"{hop}: nothing reached it, a p95 of at most 2 s was expected"
    ]


def test_a_rate_is_of_a_hop_or_of_all_that_is_accepted() -> None:
    thresholds = [LeastRate.parse(text) for text in ("199.5", "201", "Redis delivery=200", "HTTP record=1")]
    assert [*faults(thresholds, HOPS, 200.04)] == [
        "accepted: 200.0 a second, at least 201 was expected",
        "HTTP record: 0.0 a second, at least 1 was expected",
    ]
