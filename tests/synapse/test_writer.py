"""Rows of `reference/java-semantics.md` §1 (depth) and §5 (output)."""

import math

import pytest

from harness.synapse.node import Tree
from harness.synapse.writer import Unwritable, write


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("조치 승인됨", '"조치 승인됨"'),
        ("😀", r'"\uD83D\uDE00"'),
        ("\ud83d", r'"\uD83D"'),
        ("\ud83d\ude00", r'"\uD83D\uDE00"'),
        ('"\\\b\t\n\f\r', r'"\"\\\b\t\n\f\r"'),
        ("\0\x1f", r'"\u0000\u001F"'),
        ("/\x7f\u2028<>&'", '"/\x7f\u2028<>&\'"'),
        (r"\u001f", r'"\\u001f"'),
        (1.0, "1.0"),
        (1e10, "1.0E10"),
        (-0.0, "-0.0"),
        (math.inf, '"Infinity"'),
        (-math.inf, '"-Infinity"'),
        (2**70, "1180591620717411303424"),
        ([True, False, None, 0], "[true,false,null,0]"),
        ([], "[]"),
        ({}, "{}"),
        ([[], {}, [1, [2]]], "[[],{},[1,[2]]]"),
        ({"b": {"😀": []}, "a": [{}]}, r'{"b":{"\uD83D\uDE00":[]},"a":[{}]}'),
    ],
)
def test_values_are_written_as_jackson_writes_them(value: Tree, written: str) -> None:
    assert write({"v": value}).decode() == f'{{"v":{written}}}'


def nested(depth: int) -> dict[str, Tree]:
    tree: dict[str, Tree] = {}
    for _ in range(depth - 1):
        tree = {"a": tree}
    return tree


def test_a_thousand_levels_are_written_and_one_more_is_not() -> None:
    assert write(nested(1000)) == b'{"a":' * 999 + b"{}" + b"}" * 999
    with pytest.raises(Unwritable) as caught:
        write(nested(1001))
    assert caught.value.kind == "JsonMappingException"
