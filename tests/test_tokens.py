"""Tokens as Aura takes them, and what may be said of one without keeping it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from harness.tokens import LIFETIME, claims, inspect, mint, unsigned

SECRET = "a-secret-of-at-least-32-bytes-for-tests"
OTHER = "another-secret-of-at-least-32-bytes-too"
NOW = datetime(2026, 2, 11, 14, 30, 0, 500_000, tzinfo=UTC)


def signed(payload: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(payload, secret, algorithm=algorithm)


def state(authorization: str | None, now: datetime = NOW) -> str:
    return inspect(authorization, SECRET, now)["token"]


def test_a_token_has_the_claims_that_aura_reads_with_times_in_whole_seconds() -> None:
    found = jwt.decode(mint(SECRET, "7", NOW, user="user-1"), SECRET, ["HS256"], options={"verify_exp": False})
    issued = int(NOW.timestamp())
    assert found == {"sub": "user-1", "tenant_id": "7", "iat": issued, "exp": issued + 3600}
    assert jwt.get_unverified_header(mint(SECRET, "7", NOW))["alg"] == "HS256"


def test_the_same_moment_gives_the_same_token() -> None:
    assert mint(SECRET, "7", NOW) == mint(SECRET, "7", NOW)
    assert mint(SECRET, "7", NOW) != mint(SECRET, "8", NOW)


def test_a_token_without_signature_claims_alg_none() -> None:
    header, payload, signature = unsigned("7", NOW).split(".")
    assert signature == ""
    assert jwt.get_unverified_header(unsigned("7", NOW))["alg"] == "none"
    assert payload
    assert header


def test_a_valid_token_is_told_with_its_tenant_and_nothing_else() -> None:
    assert inspect(f"Bearer {mint(SECRET, '7', NOW)}", SECRET, NOW) == {"token": "valid", "tenant": "7"}
    number = signed(claims("7", NOW) | {"tenant_id": 7})
    assert inspect(f"Bearer {number}", SECRET, NOW)["tenant"] == "7"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        f"Bearer {mint(OTHER, '7', NOW)}",
        f"Bearer {mint(SECRET, '7', NOW, lifetime=-LIFETIME)}",
        f"Bearer {unsigned('7', NOW)}",
        f"bearer {mint(SECRET, '7', NOW)}",
        "Bearer not.a.token",
    ],
)
def test_of_any_other_nothing_is_told_but_its_state(authorization: str | None) -> None:
    assert inspect(authorization, SECRET, NOW).keys() == {"token"}


def test_what_is_told_never_holds_the_token_or_the_secret() -> None:
    token = mint(SECRET, "7", NOW)
    told = str(inspect(f"Bearer {token}", SECRET, NOW))
    assert token not in told
    assert token.rpartition(".")[2] not in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, "missing"),
        ("", "missing"),
        ("  ", "missing"),
        ("Bearer", "malformed"),
        ("Bearer ", "malformed"),
        ("Bearer not.a.token", "malformed"),
        ("Bearer 토큰", "malformed"),
        ("Basic aGFybmVzczpoYXJuZXNz", "malformed"),
        (mint(SECRET, "7", NOW), "malformed"),
        (f"Token {mint(SECRET, '7', NOW)}", "malformed"),
        (f"bearer {mint(SECRET, '7', NOW)}", "unclear"),
        (f"BEARER {unsigned('7', NOW)}", "unclear"),
        (f"Bearer {unsigned('7', NOW)}", "alg-none"),
        (f"Bearer {unsigned('7', NOW)}c2ln", "alg-none"),
        (f"Bearer {mint(OTHER, '7', NOW)}", "wrong-signature"),
        (f"Bearer {mint(OTHER, '7', NOW, lifetime=-LIFETIME)}", "wrong-signature"),
        (f"Bearer {mint(SECRET, '7', NOW).rpartition('.')[0]}.", "wrong-signature"),
        (f"Bearer {mint(SECRET, '7', NOW, lifetime=-LIFETIME)}", "expired"),
        (f"Bearer {signed(claims('7', NOW), SECRET + SECRET, 'HS512')}", "malformed"),
        (f"Bearer {signed({'sub': 'u', 'tenant_id': '7'})}", "malformed"),
        (f"Bearer {signed({'sub': 'u', 'exp': 2**40})}", "malformed"),
        (f"Bearer {signed({'sub': 'u', 'tenant_id': '7', 'exp': None})}", "malformed"),
        (f"  Bearer {mint(SECRET, '7', NOW)}  ", "valid"),
    ],
)
def test_the_state_of_a_token(authorization: str | None, expected: str) -> None:
    assert state(authorization) == expected


def test_a_token_expires_at_its_second_on_the_clock_that_is_given() -> None:
    token = f"Bearer {mint(SECRET, '7', NOW, lifetime=timedelta(seconds=60))}"
    end = NOW.replace(microsecond=0) + timedelta(seconds=60)
    assert state(token, end - timedelta(microseconds=1)) == "valid"
    assert state(token, end) == "expired"


def test_a_token_from_the_future_is_not_judged_by_the_machine_s_clock() -> None:
    later = NOW + timedelta(days=36500)
    assert state(f"Bearer {mint(SECRET, '7', later)}", later) == "valid"
