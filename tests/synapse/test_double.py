"""Rows of `reference/java-semantics.md` §2b/2c; the digits of JDK 17 were taken from one."""

import math

import pytest

from harness.synapse import double


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (100.0, "100.0"),
        (0.85, "0.85"),
        (0.001, "0.001"),
        (9999999.0, "9999999.0"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
        (1e7, "1.0E7"),
        (0.0001, "1.0E-4"),
        (-0.0001, "-1.0E-4"),
        (1700000000000.0, "1.7E12"),
        (1700000000.123, "1.700000000123E9"),
        (123456789.0, "1.23456789E8"),
        (1e10, "1.0E10"),
        (1e21, "1.0E21"),
    ],
)
def test_a_double_is_plain_in_the_middle_and_has_an_exponent_elsewhere(value: float, text: str) -> None:
    assert double.to_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.8026044633812730e16, "1.8026044633812728E16"),
        (2e23, "1.9999999999999998E23"),
        (1e23, "9.999999999999999E22"),
        (5e-324, "4.9E-324"),
        (1e-323, "1.0E-323"),
        (2.2250738585072014e-308, "2.2250738585072014E-308"),
        (5e22, "4.9999999999999996E22"),
        (8.77e21, "8.769999999999999E21"),
        # Where its sums overflow: the last digit is not rounded up, and is.
        (2.1728839790527764e25, "2.1728839790527763E25"),
        (7.3600000000000006e25, "7.3600000000000006E25"),
    ],
)
def test_digits_are_those_of_jdk_17_even_where_they_are_not_the_shortest(value: float, text: str) -> None:
    assert double.to_text(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12.7", 12.7),
        ("1e3", 1000.0),
        ("12d", 12.0),
        ("1e5f", 100000.0),
        ("5.", 5.0),
        (".5", 0.5),
        (" 1 ", 1.0),
        ("0x1p3", 8.0),
        ("0x.8p1D", 1.0),
        ("-0x1p99999", -math.inf),
        ("0x1p99999", math.inf),
        ("1e999", math.inf),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        ("1_0", None),
        ("0x10", None),
        ("１", None),
        ("inf", None),
        ("", None),
        (".", None),
        ("--1", None),
        ("1\xa0", None),
    ],
)
def test_text_is_read_as_java_reads_it(text: str, value: float | None) -> None:
    assert double.parse(text) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.9, 1),
        (-1.9, -1),
        (1e30, 2**63 - 1),
        (-1e30, -(2**63)),
        (math.inf, 2**63 - 1),
        (-math.inf, -(2**63)),
        (math.nan, 0),
    ],
)
def test_the_cast_to_long_saturates(value: float, expected: int) -> None:
    assert double.to_long(value) == expected
