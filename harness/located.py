"""YAML and JSON files as plain data that knows its lines, so that a complaint about a file names the place.
Scalars follow the core schema of YAML 1.2: dates and `yes` stay text, as they would in JSON."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import AgreementError

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_INTEGERS = re.compile(r"[-+]?[0-9]+$|0o[0-7]+$|0x[0-9a-fA-F]+$")
_FLOATS = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")


def _core_schema(loader: Any) -> Any:
    """The loader without YAML 1.1's idea of a scalar, with the one of JSON and YAML 1.2."""
    loader.yaml_implicit_resolvers = {}
    for tag, pattern, first in (
        ("null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
        ("bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
        ("int", _INTEGERS, list("-+0123456789")),
        ("float", _FLOATS, list("-+.0123456789")),
    ):
        loader.add_implicit_resolver(_TAG + tag, pattern, first)
    return loader


_PLACE = re.compile(r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+): ")

_Loader = _core_schema(type("_Loader", (_Base,), {}))
_SlowLoader = _core_schema(type("_SlowLoader", (yaml.SafeLoader,), {}))


@dataclass(frozen=True, slots=True)
class Located:
    """What a file holds, and where: JSON pointer to line and column, both from 1."""

    path_shown: str
    data: Any
    where: Mapping[str, tuple[int, int]]

    def at(self, pointer: str) -> str:
        """`file:line:column` of the key (in a list, of the item), or of the nearest ancestor there is."""
        while pointer not in self.where and pointer:
            pointer = pointer.rpartition("/")[0]
        line, column = self.where.get(pointer, (1, 1))
        return f"{self.path_shown}:{line}:{column}"


def pointer(*steps: str | int) -> str:
    """The JSON pointer of the steps from the root."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def load(path: Path, path_shown: str | None = None) -> Located:
    """Read a file; one whose name ends in `.json` has to be strict JSON.

    Raises AgreementError when it cannot be read, is not well formed, or names a key twice."""
    shown = path_shown or path.name
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise AgreementError(f"{shown}:1:1: {reason}, expected a file") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        raise AgreementError(f"{shown}:{line}:{column}: bytes that are not UTF-8, expected UTF-8 text") from None
    return parse(text, shown, json_only=path.suffix == ".json")


def parse(text: str, path_shown: str, *, json_only: bool = False) -> Located:
    """As `load`, from text."""
    strict = _strict_json(text, path_shown) if json_only else None
    root = _compose(text, path_shown)
    if root is None:
        raise AgreementError(f"{path_shown}:1:1: nothing, expected a document")
    walk = _Walk(path_shown)
    walk.where[""] = _position(root.start_mark)
    data = walk.value(root, "", ())
    if walk.errors:
        raise AgreementError("\n".join(walk.errors))
    return Located(path_shown, strict if json_only else data, walk.where)


def _strict_json(text: str, shown: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        found = error.msg[0].lower() + error.msg[1:]
        raise AgreementError(f"{shown}:{error.lineno}:{error.colno}: {found}, expected valid JSON") from None


def _compose(text: str, shown: str) -> Any:
    # libyaml refuses the escaped surrogate pairs that JSON allows; the loader in Python takes them.
    loader = _SlowLoader if "\\ud" in text.lower() else _Loader
    try:
        return yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        line, column = _position(error.problem_mark or error.context_mark)
        found = error.problem or error.context or "not well formed"
        raise AgreementError(f"{shown}:{line}:{column}: {found}, expected valid YAML") from None
    except yaml.YAMLError:
        odd = yaml.reader.Reader.NON_PRINTABLE.search(text)
        before = text[: odd.start()] if odd else ""
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise AgreementError(f"{shown}:{line}:{column}: a control character, expected text that YAML allows") from None


@dataclass(frozen=True, slots=True)
class Text:
    """A text in a file, from `start` to `end`. `name` is the key of its value, in a list that of the list."""

    name: str
    value: str
    start: int
    end: int


def texts(text: str) -> Iterator[Text]:
    """Every text of a YAML file that loads, as often as it is spelled out there."""
    root = yaml.compose(text, Loader=_SlowLoader)  # its marks count characters, whatever the line ends are
    waiting, met = [("", root)], set()
    while waiting:
        name, node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            waiting += [(str(key.value), value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(name, item) for item in node.value]
        elif isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}str" and (name, id(node)) not in met:
            met.add((name, id(node)))
            yield Text(name, node.value, _behind_properties(text, node), node.end_mark.index)


def _behind_properties(text: str, node: Any) -> int:
    """Where the scalar itself begins, behind the anchor or tag that its mark counts to it."""
    start: int = node.start_mark.index
    properties = re.compile(r"(?:[&!]\S*\s+)+").match(text, start, node.end_mark.index)
    return properties.end() if properties else start


def _position(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Walk:
    """From nodes to data, with the position of every value on the way."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.where: dict[str, tuple[int, int]] = {}
        self.errors: list[str] = []

    def complain(self, node: Any, text: str) -> None:
        line, column = _position(node.start_mark)
        self.errors.append(f"{self.shown}:{line}:{column}: {text}")

    def value(self, node: Any, at: str, above: tuple[Any, ...]) -> Any:
        if node in above:
            self.complain(node, "an alias that contains itself, expected plain data")
            return None
        if isinstance(node, yaml.MappingNode):
            self._expect_tag(node, "map")
            return dict(self._members(node, at, (*above, node)))
        if isinstance(node, yaml.SequenceNode):
            self._expect_tag(node, "seq")
            return [self._placed(item, item, f"{at}/{i}", (*above, node)) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _placed(self, marked: Any, node: Any, at: str, above: tuple[Any, ...]) -> Any:
        self.where.setdefault(at, _position(marked.start_mark))
        return self.value(node, at, above)

    def _members(self, node: Any, at: str, above: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        seen: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.complain(key, "a collection as a key, expected text")
            elif key.value in seen:
                first = _position(seen[key.value])[0]
                self.complain(key, f'the key "{key.value}" again (first in line {first}), expected it once')
            else:
                seen[key.value] = key.start_mark
                # A key is the text that stands there: `200:` and `on:` are names, as in JSON.
                yield key.value, self._placed(key, value, at + pointer(key.value), above)

    def _scalar(self, node: Any) -> Any:
        text = node.value
        try:
            match node.tag.removeprefix(_TAG):
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
                case "float":
                    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self.complain(node, f'"{text[:40]}", expected a number')
            return None
        self._expect_tag(node, "str")
        return text

    def _expect_tag(self, node: Any, tag: str) -> None:
        if node.tag != _TAG + tag:
            self.complain(node, f'the tag "{node.tag.replace(_TAG, "!!")}", expected plain data')


def in_words(value: Any) -> str:
    """What was found, for a sentence."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return f'"{value}"'
    return str(value)


def lookup(data: Any, at: str) -> Any:
    """What stands at a JSON pointer, or None."""
    for step in at.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and step.isdecimal() and int(step) < len(data):
            data = data[int(step)]
        else:
            return None
    return data


def quoted(errors: Iterable[str], text: str) -> str:
    """Each complaint with the line it is about, the one before, and a mark under the place."""
    lines = text.splitlines()
    shown = []
    for error in sorted(dict.fromkeys(errors), key=_place):
        shown.append("\n".join((error, *_quote(lines, *_place(error)))))
    return "\n".join(shown)


def _place(error: str) -> tuple[int, int]:
    found = _PLACE.match(error)
    return (int(found["line"]), int(found["column"])) if found else (0, 0)


def _quote(lines: Sequence[str], line: int, column: int) -> Iterator[str]:
    for number in range(max(1, line - 1), line + 1):
        if number <= len(lines):
            yield f"{'>' if number == line else ' '} {number:4} | {lines[number - 1]}"
    if line <= len(lines):
        yield f"       | {_blank(lines[line - 1][: column - 1])}^"


def _blank(text: str) -> str:
    """As wide as the text: Korean and emoji take two columns."""
    from unicodedata import east_asian_width

    return "".join("\t" if c == "\t" else "  " if east_asian_width(c) in "WF" else " " for c in text)


class Fields:
    """An object in a file, read field by field; what is missing, mistyped or unknown is collected."""

    def __init__(self, file: Located, at: str, errors: list[str], shown_at: str | None = None) -> None:
        self.file, self.at, self.errors = file, at, errors
        self.name = at.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        self.where = file.at(at if shown_at is None else shown_at)
        self.known: set[str] = set()
        self.data: dict[str, Any] = {}
        found = lookup(file.data, at)
        if isinstance(found, dict):
            self.data = found
        else:
            errors.append(f"{self.where}: {in_words(found)}, expected an object")

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def complain(self, at: str, text: str) -> None:
        self.errors.append(f"{self.file.at(self.at + at)}: {text}")

    def typed(self, key: str, types: tuple[type, ...], *, required: bool = True) -> Any:
        self.known.add(key)
        if key not in self.data:
            if required and self.data:
                self.complain("", f'no "{key}", expected one')
            return None
        value = self.data[key]
        if type(value) in types:
            return value
        wanted = " or ".join(_TYPE_NAMES[each] for each in types)
        self.complain(pointer(key), f"{key} is {in_words(value)}, expected {wanted}")
        return None

    def text(
        self,
        key: str,
        *,
        among: Collection[str] = (),
        pattern: re.Pattern[str] | None = None,
        form: str = "",
        required: bool = True,
    ) -> str:
        value = self.typed(key, (str,), required=required)
        if value is None:
            return ""
        if not value:
            self.complain(pointer(key), f"{key} is empty, expected text")
        elif among and value not in among:
            self.complain(pointer(key), f'{key} is "{value}", expected one of {", ".join(among)}')
        elif pattern and not pattern.fullmatch(value):
            self.complain(pointer(key), f'{key} is "{value}", expected {form}')
        return str(value)

    def optional(self, key: str, *, among: Collection[str] = ()) -> str | None:
        return self.text(key, among=among, required=False) or None

    def texts(self, key: str, *, among: Collection[str] = (), required: bool = True) -> tuple[str, ...]:
        values = self.typed(key, (list,), required=required)
        if values == []:
            self.complain(pointer(key), f"{key} is an empty list, expected at least one")
        for index, value in enumerate(values or ()):
            if not isinstance(value, str) or (among and value not in among):
                wanted = f"one of {', '.join(among)}" if among else "text"
                self.complain(pointer(key, index), f"{key} has {in_words(value)}, expected {wanted}")
        return tuple(map(str, values or ()))

    def object(self, key: str) -> "Fields | None":
        found = self.typed(key, (dict,))
        return Fields(self.file, self.at + pointer(key), self.errors) if found else None

    def entries(self, key: str) -> list["Fields"]:
        """The members of the object under `key`, each an object of its own."""
        return self._inner(key, self.typed(key, (dict,)) or {})

    def items(self, key: str) -> list["Fields"]:
        """The items of the list under `key`, each an object."""
        return self._inner(key, self.typed(key, (list,)) or [])

    def _inner(self, key: str, found: Any) -> list["Fields"]:
        steps = found if isinstance(found, dict) else range(len(found))
        return [Fields(self.file, self.at + pointer(key, step), self.errors) for step in steps]

    def done(self) -> None:
        """Everything has been asked for: what is left is unknown."""
        for key in self.data:
            if key not in self.known:
                self.complain(
                    pointer(key),
                    f'the unknown field "{key}", expected one of {", ".join(sorted(self.known))}',
                )


_TYPE_NAMES = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}
