from pathlib import Path
from typing import Any

import pytest

from harness.errors import AgreementError
from harness.located import Fields, load, lookup, parse, pointer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-02-11", "2026-02-11"),
        ("yes", "yes"),
        ("Off", "Off"),
        ("1:30", "1:30"),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.0.0", "1.0.0"),
        ("-.inf", float("-inf")),
        ("true", True),
        ("~", None),
        ('"5"', "5"),
        ("!!str 5", "5"),
        ("<<", "<<"),
    ],
)
def test_a_scalar_is_what_the_core_schema_says(text: str, value: object) -> None:
    assert parse(f"key: {text}", "f.yaml").data == {"key": value}


def test_a_key_is_the_text_that_stands_there() -> None:
    assert parse("200: a\non: b\n~: c\n", "f.yaml").data == {"200": "a", "on": "b", "~": "c"}


def test_a_pointer_leads_to_the_line_and_column_of_its_key_or_item() -> None:
    located = parse("a:\n  b/c: 1\n  d:\n    - x\n    -   y\n", "f.yaml")
    assert located.at("/a/b~1c") == "f.yaml:2:3"
    assert located.at("/a/d/1") == "f.yaml:5:9"
    assert located.at("") == "f.yaml:1:1"


def test_a_pointer_to_nothing_falls_back_to_the_nearest_ancestor() -> None:
    located = parse("a:\n  b: 1\n", "f.yaml")
    assert located.at("/a/b/c/d") == "f.yaml:2:3"
    assert located.at("/z") == "f.yaml:1:1"


def test_json_knows_its_lines_too() -> None:
    located = parse('{\n  "a": [1, {"b": "\\ud83d\\ude00"}]\n}', "f.json", json_only=True)
    assert located.data == {"a": [1, {"b": "😀"}]}
    assert located.at("/a/1/b") == "f.json:2:13"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("f.yaml", "a: 1\nb: [1\n", "f.yaml:3:1: did not find expected ',' or ']', expected valid YAML"),
        (
            "f.yaml",
            "a: 1\nb:\n  a: 1\n  a: 2\n",
            'f.yaml:4:3: the key "a" again (first in line 3), expected it once',
        ),
        ("f.yaml", "a: !date 1\n", 'f.yaml:1:4: the tag "!date", expected plain data'),
        ("f.yaml", "a: !!int x\n", 'f.yaml:1:4: "x", expected a number'),
        ("f.yaml", "a: &x\n  b: *x\n", "f.yaml:1:4: an alias that contains itself, expected plain data"),
        ("f.yaml", "? [a]\n: 1\n", "f.yaml:1:3: a collection as a key, expected text"),
        ("f.yaml", "", "f.yaml:1:1: nothing, expected a document"),
        ("f.yaml", "a: 1\nb: \x07\n", "f.yaml:2:4: a control character, expected text that YAML allows"),
        (
            "f.json",
            '{"a": 1',
            "f.json:1:8: expecting ',' delimiter, expected valid JSON",
        ),
        (
            "f.json",
            '{\n "a": 1, "a": 2}',
            'f.json:2:10: the key "a" again (first in line 2), expected it once',
        ),
    ],
)
def test_what_is_not_well_formed_is_told_with_its_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(AgreementError) as caught:
        load(tmp_path / name)
    assert str(caught.value) == message


def test_all_faults_that_do_not_stop_the_reading_are_told_at_once() -> None:
    with pytest.raises(AgreementError) as caught:
        parse("a: 1\na: 2\nb: !x 3\n", "f.yaml")
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == ["f.yaml:2:1", "f.yaml:3:4"]


def test_a_file_that_cannot_be_read_is_told_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(AgreementError, match=r"^shown\.yaml:1:1: No such file or directory, expected a file$"):
        load(tmp_path / "absent.yaml", "shown.yaml")


def test_bytes_that_are_not_utf8_are_told_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(AgreementError, match=r"^f\.yaml:2:4: bytes that are not UTF-8"):
        load(tmp_path / "f.yaml")


def test_a_pointer_escapes_its_steps_and_lookup_undoes_it() -> None:
    assert pointer("a/b", "c~d", 0) == "/a~1b/c~0d/0"
    assert lookup({"a/b": {"c~d": [7]}}, "/a~1b/c~0d/0") == 7


@pytest.mark.parametrize("at", ["/b", "/a/1", "/a/x", "/a/0/z"])
def test_lookup_of_nothing_is_none(at: str) -> None:
    assert lookup({"a": [1]}, at) is None


def _complaints(text: str, ask: Any) -> list[str]:
    errors: list[str] = []
    ask(Fields(parse(text, "f.yaml"), "", errors))
    return errors


def test_fields_collects_what_is_missing_mistyped_or_unknown() -> None:
    def ask(fields: Fields) -> None:
        fields.text("a")
        fields.text("b", among=("x", "y"))
        fields.texts("c")
        fields.object("d")
        fields.done()

    assert _complaints("b: z\nc: [1, p]\nd: no\ne: 1\n", ask) == [
        'f.yaml:1:1: no "a", expected one',
        'f.yaml:1:1: b is "z", expected one of x, y',
        "f.yaml:2:5: c has 1, expected text",
        'f.yaml:3:1: d is "no", expected an object',
        'f.yaml:4:1: the unknown field "e", expected one of a, b, c, d',
    ]
