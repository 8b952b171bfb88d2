"""Rows of `reference/java-semantics.md` §2."""

import math

import pytest

from harness.synapse.node import MISSING, Node, as_boolean, as_long, as_text, is_number

LONG_MAX = 2**63 - 1


@pytest.mark.parametrize(
    ("node", "text", "boolean", "long"),
    [
        ("abc", "abc", False, 0),
        ("true", "true", True, 0),
        (" true ", " true ", True, 0),
        ("TRUE", "TRUE", False, 0),
        ("yes", "yes", False, 0),
        ("1", "1", False, 1),
        ("", "", False, 0),
        (0, "0", False, 0),
        (5, "5", True, 5),
        (-1, "-1", True, -1),
        (1.0, "1.0", False, 1),
        (-2.9, "-2.9", False, -2),
        (1e21, "1.0E21", False, LONG_MAX),
        (math.inf, "Infinity", False, LONG_MAX),
        (2**63, "9223372036854775808", True, -(2**63)),
        (2**64, "18446744073709551616", True, 0),
        (True, "true", True, 1),
        (False, "false", False, 0),
        (None, "null", False, 0),
        ({}, "", False, 0),
        ({"a": 1}, "", False, 0),
        ([1], "", False, 0),
        (MISSING, "", False, 0),
    ],
)
def test_every_kind_of_node_is_coerced_as_jackson_does(node: Node, text: str, boolean: bool, long: int) -> None:
    assert (as_text(node), as_boolean(node), as_long(node)) == (text, boolean, long)


@pytest.mark.parametrize(
    ("text", "long"),
    [
        (" 7 ", 7),
        ("+7", 7),
        ("-7", -7),
        ("+-7", -7),
        ("+ 7", 7),
        ("-", 0),
        ("12.7", 12),
        ("1e3", 1000),
        ("1e30", LONG_MAX),
        ("Infinity", LONG_MAX),
        ("12d", 12),
        ("0x1p3", 8),
        ("5.", 5),
        ("1_0", 0),
        ("0x10", 0),
        ("NaN", 0),
        ("１２", 0),
        ("9223372036854775807", LONG_MAX),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", 0),
        ("-99999999999999999999", 0),
        ("000000000000000000000000042", 42),
    ],
)
def test_text_counts_as_the_number_that_java_finds_in_it(text: str, long: int) -> None:
    assert as_long(text) == long


def test_a_boolean_is_no_number() -> None:
    assert [is_number(node) for node in (1, 1.5, True, "1", None, MISSING)] == [True, True] + [False] * 4
