"""Rows of `reference/java-semantics.md` §1, each read by both paths."""

import json
import math
import random
from collections.abc import Callable

import pytest

from harness.synapse.node import MISSING, Node
from harness.synapse.reader import Unreadable, read_tree, read_tree_exactly

PARSE = "JsonParseException"
END = "JsonEOFException"
LIMIT = "StreamConstraintsException"

both_paths = pytest.mark.parametrize("read", [read_tree, read_tree_exactly])
Read = Callable[[str], Node]


def outcome(read: Read, text: str) -> str:
    """The tree with its order and its types, or the exception of Java."""
    try:
        return repr(read(text))
    except Unreadable as error:
        return error.kind


@both_paths
@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", MISSING),
        (" \t\r\n", MISSING),
        ("null", None),
        ("true", True),
        ("1", 1),
        ("1.5 ", 1.5),
        ('"abc"', "abc"),
        ("[]", []),
        ('[{"a":null}]', [{"a": None}]),
        ("{}", {}),
        (' \n{ "a" : [ 1 , 2.0 , true , false , null ] } ', {"a": [1, 2.0, True, False, None]}),
        ('{"v":1}garbage', {"v": 1}),
        ('{"v":1}{"v":2}', {"v": 1}),
        ('{"v":1}}', {"v": 1}),
        ('{"v":1}\0', {"v": 1}),
        ('{"v":1}\ufffd', {"v": 1}),
        ("[1]]", [1]),
        ('"a""b"', "a"),
        ("null,", None),
        ("true-", True),
        ("1 2", 1),
        ('{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
        ('"\x7f\x85\u2028"', "\x7f\x85\u2028"),
        ('"\ufffd"', "\ufffd"),
        (r'"\"\\\/\b\f\n\r\t\u0000"', '"\\/\b\f\n\r\t\0'),
        (r'["\u123笷"]', ["\u1237"]),
        (r'["\u12𝄰"]', ["\u1240"]),
        (r'["\u123𝄰"]', ["\u1234\udd30"]),
        (r'["\ud83d\ude00"]', ["😀"]),
        (r'{"\ud83d":"\ude00\ud83d"}', {"\ud83d": "\ude00\ud83d"}),
        ('["\\ud83d😀"]', ["\ud83d😀"]),
        ("[-0]", [0]),
        ("[-0.0]", [-0.0]),
        ("[9223372036854775808]", [2**63]),
        ("[1e400,-1e400,1e-400]", [math.inf, -math.inf, 0.0]),
        ("[1E5,1e+5]", [100000.0, 100000.0]),
    ],
)
def test_a_text_is_read_up_to_the_end_of_its_first_value(read: Read, text: str, tree: Node) -> None:
    assert outcome(read, text) == repr(tree)


@both_paths
@pytest.mark.parametrize("first", ["\ufeff", "\xa0", "\u200b", "\ufffd", "\f", "\v", "\0", "/**/", "#\n"])
def test_nothing_but_four_blanks_may_precede_a_value(read: Read, first: str) -> None:
    assert outcome(read, first + "{}") == PARSE
    assert outcome(read, '{"a":' + first + "1}") == PARSE


@both_paths
@pytest.mark.parametrize(
    "number",
    ["00", "01", "-01", "+1", "1.", ".5", "-.5", "1e", "1e+", "0x10", "1_0", "1d", "NaN", "-Infinity", "-"],
)
def test_numbers_are_those_of_json(read: Read, number: str) -> None:
    assert outcome(read, f"[{number}]") == PARSE


@both_paths
@pytest.mark.parametrize("text", [r"\x", r"\a", r"\'", r"\0", r"\U0041", r"\u12", r"\uZZZZ", r"\u+123", "\n", "\x1f"])
def test_strings_and_names_are_those_of_json(read: Read, text: str) -> None:
    assert outcome(read, f'["{text}"]') == PARSE
    assert outcome(read, f'{{"{text}":1}}') == PARSE


@both_paths
@pytest.mark.parametrize(
    "text",
    [
        "{'a':1}", "{a:1}", "{1:1}", '{"a":1,}', '{,"a":1}', '{"a":1,,"b":1}', '{"a" 1}', '{"a":1 "b":2}',
        "[1,]", "[,1]", "[1 2]", "[1}", '{"a":1]', '{"a":}', "[tru]", "[truex]", "[nul", "nullx", "true_",
        "null한", "1,", "1{}", '1"a"', "1/", "1abc", "[1,", '{"a":1,',
    ],
)  # fmt: skip
def test_anything_else_is_refused(read: Read, text: str) -> None:
    assert outcome(read, text) == PARSE


@both_paths
@pytest.mark.parametrize(
    "text",
    [
        "{", "[", '{"a', '{"a"', '{"a":', '{"a":1', "[1", '["a', '["a\\', '["a\\u12', "-", "1e", "[1e+",
        "-I", "+",
    ],
)  # fmt: skip
def test_a_text_that_ends_too_early_is_told_apart(read: Read, text: str) -> None:
    assert outcome(read, text) == END


@both_paths
@pytest.mark.parametrize(
    ("fits", "exceeds"),
    [
        ("[" * 1000 + "]" * 1000, "[" * 1001 + "]" * 1001),
        ('{"a":' * 1000 + "1" + "}" * 1000, '{"a":' * 1001 + "1" + "}" * 1001),
        (f"[{'9' * 1000}]", f"[{'9' * 1001}]"),
        (f"[-{'9' * 1000}]", f"[-{'9' * 1001}]"),
        (f"[0.{'1' * 1000}]", f"[0.{'1' * 1001}]"),
        (f"[1.{'1' * 998}e1]", f"[1.{'1' * 999}e1]"),
        (f'{{"{"k" * 50_000}":1}}', f'{{"{"k" * 50_001}":1}}'),
        (f'{{"{"😀" * 25_000}":1}}', f'{{"{"😀" * 25_001}":1}}'),
    ],
    ids=["arrays", "objects", "digits", "negative", "fraction", "exponent", "name", "name beyond U+FFFF"],
)
def test_the_limits_of_jackson_are_exact(read: Read, fits: str, exceeds: str) -> None:
    read(fits)
    assert outcome(read, exceeds) == LIMIT


@both_paths
@pytest.mark.parametrize(
    ("fits", "exceeds"),
    [
        (f"1.{'1' * 1000}", f"1.{'1' * 1001}"),
        (f"-1.{'1' * 1000}", f"-1.{'1' * 1001}"),
        (f"1e{'0' * 1000}", f"1e{'0' * 1001}"),
        (f"1.5e{'0' * 998}", f"1.5e{'0' * 999}"),
        (f"0.{'1' * 1000}", f"0.{'1' * 1001}"),
        (f"[0.5e{'0' * 998}]", f"[0.5e{'0' * 999}]"),
        (f"[{' ' * 34_997}1.{'1' * 1000}]", f"[{' ' * 34_996}1.{'1' * 1000}]"),
        (f"[{' ' * 32_000}1.{'1' * 998}]", f"[{' ' * 32_000}1.{'1' * 1000}]"),
    ],
    ids=["alone", "negative", "exponent", "both", "zero", "zero and both", "end of a buffer", "within a buffer"],
)
def test_a_number_at_the_end_of_a_buffer_may_have_a_digit_more(read: Read, fits: str, exceeds: str) -> None:
    assert outcome(read, fits) not in (PARSE, END, LIMIT)
    assert outcome(read, exceeds) == LIMIT


def test_a_long_string_is_read_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.synapse.reader.MAX_STRING", 60_000)
    assert read_tree(f'["{"x" * 60_000}"]') == ["x" * 60_000]
    assert outcome(read_tree, f'["{"x" * 60_001}"]') == LIMIT
    assert outcome(read_tree, f'["{"😀" * 30_001}"]') == LIMIT


def test_an_error_says_where_what_was_found_and_what_was_expected() -> None:
    with pytest.raises(Unreadable, match=r"^JsonParseException: offset 7: found '\\ufeff', expected a value$"):
        read_tree('{"a" : \ufeff1}')


VALUES = [
    '"조치 승인됨"', '"😀"', r'"\ud83d"', r'"\ud83d\ude00"', r'"\\u0041"', '"a b"', '""',
    "0", "-0", "-1.5e3", "1e400", "0.85", "9" * 22, "true", "false", "null",
    "{}", "[]", '{"a":{"a":[1,{"b":null}]},"c":" "}', "[[],[0]]",
]  # fmt: skip
JUNK = [
    "{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "\\u12笷", "0", "-", "+", ".", "e", "N", "NaN", "'",
    "Infinity", "/", "true", "nul", " ", "\n", "\0", "\x0b", "\xa0", "\ufeff", "\ufffd", "１", "😀", "한",
]  # fmt: skip


def generated(rng: random.Random) -> str:
    names = rng.choices(['"a"', '"b"', '"한글"', r'"\u0061"', '"😀"'], k=rng.randint(0, 5))
    blank = rng.choice(["", "", " ", "\n\t"])
    text = "{" + f"{blank},".join(f"{blank}{name}{blank}:{rng.choice(VALUES)}" for name in names) + "}"
    for _ in range(rng.randint(0, 3)):
        at, length = rng.randint(0, len(text)), rng.choice([0, 0, 1, 3, len(text)])
        text = text[:at] + rng.choice(JUNK) + text[at + length :]
    return text


def test_both_paths_agree_on_valid_and_on_damaged_texts() -> None:
    rng = random.Random(3)
    texts = [generated(rng) for _ in range(3000)]
    assert [outcome(read_tree, text) for text in texts] == [outcome(read_tree_exactly, text) for text in texts]


def test_what_python_writes_both_paths_read_as_it_was() -> None:
    tree = {"한": ["😀", "\ud83d", {"n": [0.1, 10**20, -5, True, None, ""]}], "": {}}
    for text in (json.dumps(tree), json.dumps(tree, ensure_ascii=False, indent=1)):
        assert read_tree(text) == tree == read_tree_exactly(text)


def test_a_number_that_is_too_long_is_met_wherever_it_stands() -> None:
    for before in range(1003):
        assert outcome(read_tree, f'["{"검" * before}",{"9" * 1001}]') == LIMIT
        assert outcome(read_tree, f'["{"검" * before}",{"9" * 1000}]') != LIMIT
