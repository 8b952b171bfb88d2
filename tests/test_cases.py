"""Each curated call is what its name says, as the checks judge it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from histories import AGREEMENT, view
from histories import call as recorded

from harness import tokens
from harness.cases import DIRECT, GATEWAY, OPTIONAL, OTHER_METHODS, REQUIRED, Call, Caller, curated
from harness.checks.view import Exchange, record_paths
from harness.clock import Ids
from harness.generate import Traffic

SECRET = "a-secret-of-at-least-32-bytes-for-tests"
NOW = datetime(2026, 2, 11, 14, 30, tzinfo=UTC)
CALLER = Caller(SECRET, "7", NOW)
CALLS = tuple(curated(Traffic(1, Ids("h1")), CALLER))


def judged(call: Call) -> Exchange:
    """The exchange that the tap would record."""
    headers = {name.lower(): value for name, value in call.headers.items()}
    event = recorded(
        call.body,
        method=call.method,
        path=call.path,
        headers=headers,
        tenant=headers.get("x-tenant-id"),
        content_type=headers.get("content-type"),
        token=tokens.inspect(headers.get("authorization"), SECRET, NOW)["token"],
    )
    (only,) = view(event).exchanges
    return only


REFUSALS: Mapping[str, tuple[int, ...]] = {
    **{f"approved={approved} on {path}": () for approved in (True, False) for path in (DIRECT, GATEWAY)},
    **{f"{name} is {how}": () for name in OPTIONAL for how in ("null", "absent")},
    "an empty comment": (),
    "a request id for the first time": (),
    "the same request id again": (),
    "a content type with a charset": (),
    **dict.fromkeys(CALLER.refused_authorizations(), (401,)),
    "the header of another tenant": (403,),
    "no tenant header": (),
    **{f"no {name}": (422,) for name in REQUIRED},
    **{f"method {method}": (405,) for method in OTHER_METHODS},
    "no token, another method": (401, 405),
    "no token, a field missing": (401, 422),
    "another tenant, another method": (403, 405),
    "another tenant, a field missing": (403, 422),
}


def refusals(name: str) -> tuple[int, ...]:
    """By the table, except for the many whose names tell a value of the wrong type, or a whole body."""
    wrong = " is " in name or name.startswith("the body ")
    return REFUSALS.get(name, (422,) if wrong else ())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.name} on {call.path}")
def test_the_refusals_that_apply_to_a_call_are_those_of_its_name(call: Call) -> None:
    exchange = judged(call)
    assert exchange.refusals == refusals(call.name)
    assert exchange.unclear == ""


def test_every_name_of_the_table_is_called() -> None:
    assert REFUSALS.keys() <= {call.name for call in CALLS}


def test_no_name_is_left_to_chance() -> None:
    others = {call.name for call in CALLS} - REFUSALS.keys()
    assert all(name.split(" is ")[0] in (*REQUIRED, *OPTIONAL) or name.startswith("the body ") for name in others)


def test_every_call_is_one_of_the_record_endpoint() -> None:
    assert {call.path for call in CALLS} == record_paths(AGREEMENT)


@pytest.mark.parametrize(
    ("name", "missing"),
    [("no case_id", True), ("no approved", True), ("case_id is 7", False), ("case_id is null", False)],
)
def test_a_field_is_missing_or_wrong_as_the_name_says(name: str, missing: bool) -> None:
    (call,) = (call for call in CALLS if call.name == name)
    assert judged(call).missing_field is missing


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("no token", "missing"),
        ("an empty Authorization", "missing"),
        ("a scheme without a token", "malformed"),
        ("another scheme", "malformed"),
        ("a token without a scheme", "malformed"),
        ("a token that is no token", "malformed"),
        ("a token without its signature", "wrong-signature"),
        ("an expired token", "expired"),
        ("a token signed with another secret", "wrong-signature"),
        ("a token with alg none", "alg-none"),
    ],
)
def test_a_token_is_refused_for_the_reason_of_its_name(name: str, state: str) -> None:
    authorization = CALLER.refused_authorizations()[name]
    assert tokens.inspect(authorization, SECRET, NOW)["token"] == state


def test_every_reason_not_to_be_valid_has_a_call() -> None:
    states = {tokens.inspect(each, SECRET, NOW)["token"] for each in CALLER.refused_authorizations().values()}
    assert states == {"missing", "malformed", "alg-none", "wrong-signature", "expired"}


def test_the_caller_s_own_token_is_valid_for_its_tenant() -> None:
    assert tokens.inspect(CALLER.authorization, SECRET, NOW) == {"token": "valid", "tenant": "7"}


def test_a_call_without_tenant_header_is_made_on_both_paths() -> None:
    found = [judged(call) for call in CALLS if call.name == "no tenant header"]
    assert [(each.gateway, each.tenant_named) for each in found] == [(False, False), (True, False)]


@pytest.mark.parametrize(("name", "value"), [("comment", None), ("doc_key", None)])
def test_an_optional_field_is_null_or_absent_while_the_other_is_given(name: str, value: None) -> None:
    null, absent = (
        json.loads(next(call.body for call in CALLS if call.name == f"{name} is {how}")) for how in ("null", "absent")
    )
    (other,) = (each for each in OPTIONAL if each != name)
    assert null[name] is value
    assert name not in absent
    assert null[other]
    assert absent[other]


def test_each_call_has_ids_of_its_own_but_the_one_that_is_sent_twice() -> None:
    used: Counter[str] = Counter()
    for call in CALLS:
        try:
            body = json.loads(call.body)
        except ValueError:
            continue
        if isinstance(body, dict) and isinstance(body.get("request_id"), str) and body["request_id"]:
            used[body["request_id"]] += 1
    assert sorted(used.values())[-2:] == [1, 2]


def test_a_header_is_replaced_or_left_out() -> None:
    changed = CALLER.headers(X_Tenant_ID="8", Content_Type=None)
    assert changed == {"Authorization": CALLER.authorization, "X-Tenant-ID": "8"}
