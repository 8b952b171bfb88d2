"""Rows of `reference/java-semantics.md` §3 and §5."""

import pytest

from harness.synapse import java


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("조치 승인됨 😀".encode(), "조치 승인됨 😀"),
        (b"\xef\xbb\xbf{}", "\ufeff{}"),
        (b"\xed\xa0\xbd", "\ufffd"),
        (b"\xed\xa0", "\ufffd"),
        (b"\xed\xa0A", "\ufffdA"),
        (b"\xed", "\ufffd"),
        (b"\xedA", "\ufffdA"),
        (b"\xed\xa0\xbd\xed\xb8\x80", "\ufffd\ufffd"),
        (b"\xed\x9f\xbf", "\ud7ff"),
        (b"\xc0\x80", "\ufffd\ufffd"),
        (b"\xe0\x80\x80", "\ufffd\ufffd\ufffd"),
        (b"\xf0\x9f\x98", "\ufffd"),
        (b"\xf5\xff", "\ufffd\ufffd"),
    ],
)
def test_bytes_that_are_not_utf_8_are_replaced_as_java_replaces_them(body: bytes, text: str) -> None:
    assert java.decode(body) == text


def test_units_take_pairs_apart_and_join_puts_them_together() -> None:
    assert java.units("a😀") == "a\ud83d\ude00"
    assert java.join("a\ud83d\ude00\ud83d") == "a😀\ud83d"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "…"),
        ("😀" * 100, "😀" * 100),
        ("😀" * 101, "😀" * 100 + "…"),
        ("x" * 199 + "😀", "x" * 199 + "\ud83d…"),
        ("한" * 201, "한" * 200 + "…"),
        ("\ud83d" * 201, "\ud83d" * 200 + "…"),
    ],
)
def test_the_cut_counts_utf_16_units(text: str, expected: str) -> None:
    assert java.cut(text, 200) == expected


def test_trim_knows_no_blanks_beyond_the_space() -> None:
    assert java.trim("\0\t true \x1f") == "true"
    assert java.trim("\xa0true\u3000") == "\xa0true\u3000"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2**63 - 1, 2**63 - 1), (2**63, -(2**63)), (2**64, 0), (-(2**63) - 1, 2**63 - 1), (-1, -1)],
)
def test_a_whole_number_beyond_64_bits_wraps(value: int, expected: int) -> None:
    assert java.wrap_long(value) == expected
