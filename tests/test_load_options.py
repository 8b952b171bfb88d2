"""Options of a load run: what cannot be meant is told before anything is sent, and nothing secret is written down."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.ledger import BROADCAST, DELIVERY, Limits
from harness.load import options
from harness.load.thresholds import LeastRate, MostP95

SECRET = "a-secret-of-more-than-32-bytes-in-all"
HOST = "http://127.0.0.1:9000/aura"


def given(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add(parser)
    found = parser.parse_args(arguments)
    found.num_users, found.run_time = 20, 15
    return found


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "SYNAPSE_URL", "AURA_SECRET", "AURA_TOKEN", "TENANT"):
        monkeypatch.delenv(f"HARNESS_{name}", raising=False)


def test_without_any_option_it_is_paced_and_nothing_may_be_lost() -> None:
    read = options.read(given())
    assert (read.rate, read.limits, read.thresholds, read.ledger, read.history) == (10.0, Limits(), (), None, None)


def test_flat_out_has_no_pace_and_says_what_it_measures() -> None:
    asked = given("--flat-out")
    read = options.read(asked)
    assert read.rate is None
    assert "measures throughput" in options.told(asked, read, embedded=True)


def test_thresholds_may_be_several() -> None:
    read = options.read(given("--max-p95", "Redis delivery=50ms", "--max-p95", "mapped=1ms", "--min-rate", "100"))
    assert read.thresholds == (MostP95("Redis delivery", 0.05), MostP95("mapped", 0.001), LeastRate("", 100))


def test_what_may_be_in_gaps_is_of_each_hop_or_of_the_one_that_is_named() -> None:
    read = options.read(given("--max-in-gap", "5", "--max-in-gap", "broadcast=7"))
    assert read.limits.in_gaps == {DELIVERY: 5, BROADCAST: 7}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate", "0"], "--rate 0: a number above 0 was expected"),
        (["--rate", "fast"], "--rate fast: a number above 0 was expected"),
        (["--max-lost", "-1"], "--max-lost -1: a whole number was expected"),
        (["--max-duplicated", "x"], "--max-duplicated x: a whole number was expected"),
        (["--max-in-gap", "broadcast="], "--max-in-gap broadcast=: a whole number was expected"),
        (["--max-in-gap", "mapped=1"], "--max-in-gap mapped=1: 'mapped' has no gaps; give 'Redis delivery' or"),
        (["--quiet-seconds", "0"], "--quiet-seconds 0: a number above 0 was expected"),
        (["--ledger", "/nowhere/at/all.json"], "--ledger /nowhere/at/all.json: it cannot be written"),
        (["--min-rate", "x"], "--min-rate x: a number of messages a second was expected"),
    ],
)
def test_what_cannot_be_meant_is_told(arguments: Sequence[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        options.read(given(*_equal(arguments)))


def _equal(arguments: Sequence[str]) -> list[str]:
    """So that a value may begin with a hyphen."""
    return [f"{name}={value}" for name, value in zip(arguments[::2], arguments[1::2], strict=True)]


def test_a_host_needs_a_redis_and_a_secret() -> None:
    with pytest.raises(UsageError, match="--host is given without --redis-url"):
        options.target(given(), HOST, embedded=False)
    with pytest.raises(UsageError, match="--host needs a secret to sign tokens with"):
        options.target(given("--redis-url", "redis://127.0.0.1:1"), HOST, embedded=False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--redis-url", "redis://127.0.0.1:1"], r"--redis-url \(also HARNESS_REDIS_URL\) is given without --host"),
        (["--synapse", "http://127.0.0.1:2"], r"--synapse \(also HARNESS_SYNAPSE_URL\) is given without --host"),
        (["--secret", SECRET], "--secret is given without --host; give both, or neither"),
        (["--token", "t"], "--token is given without --host"),
        (["--tenant", "8"], "--tenant is given without --host"),
    ],
)
def test_what_belongs_to_a_host_is_not_passed_over_without_one(arguments: Sequence[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        options.must_be_alone(given(*arguments))


def test_a_secret_in_the_environment_is_for_other_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_AURA_SECRET", SECRET)
    options.must_be_alone(given())


def test_a_host_without_a_path_is_aura_itself() -> None:
    asked = given("--redis-url", "redis://127.0.0.1:1", "--secret", SECRET)
    assert options.target(asked, "http://127.0.0.1:9000", embedded=False).aura.url == HOST


def test_the_environment_says_what_no_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("HARNESS_AURA_SECRET", SECRET)
    monkeypatch.setenv("HARNESS_SYNAPSE_URL", "http://127.0.0.1:2")
    target = options.target(given(), HOST, embedded=False)
    assert (target.redis_url, target.aura.secret) == ("redis://127.0.0.1:1", SECRET)
    assert target.synapse is not None
    assert target.synapse.url == "http://127.0.0.1:2"


def test_what_travels_to_workers_can_be_written_as_json() -> None:
    asked = given("--max-p95", "mapped=1ms", "--ledger", "ledger.json")
    assert options.read(argparse.Namespace(**json.loads(json.dumps(vars(asked))))) == options.read(asked)


def test_no_secret_is_written_down(tmp_path: Path) -> None:
    asked = given("--redis-url", "redis://:geheim@127.0.0.1:1", "--secret", SECRET, "--history", str(tmp_path / "h"))
    said = " ".join(
        (
            *options.command(asked, "http://user:geheim@host/aura"),
            options.told(asked, options.read(asked), embedded=False),
        )
    )
    assert "geheim" not in said
    assert SECRET not in said
