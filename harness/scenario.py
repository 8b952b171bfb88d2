"""`scenarios/*.yaml` as data that knows its lines. Whatever is wrong with a file is shown at once, with the lines
it is about, so that its author never meets a stack trace."""

from __future__ import annotations

import base64
import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import located
from harness.errors import AgreementError, HarnessError
from harness.located import Located, in_words, pointer, quoted
from harness.vocabulary import DOING, EXPECTING, GIVEN, SETTINGS, UNORDERED, Argument, Verb

SCHEMA = "schema.json"
LONGEST = 24 * 3600.0
"""Seconds; a story that waits longer waits so long."""
_PARTS = ("title", "given", "steps")
_VERBS: Mapping[str, Verb] = {**DOING, **EXPECTING}


class ScenarioError(HarnessError):
    """A scenario does not load. Each complaint begins with `file:line:column` and quotes the lines it is about."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Duration:
    """So many times the configured timeout, seconds, and ticks: the smallest step of time that a run tells apart."""

    timeouts: int = 0
    seconds: float = 0.0
    ticks: int = 0

    def within(self, *, timeout: float, tick: float) -> float:
        """In seconds, never less than none."""
        return max(0.0, self.timeouts * timeout + self.seconds + self.ticks * tick)


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    where: str
    tenant: int
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    name: str
    where: str
    case: str


@dataclass(frozen=True, slots=True)
class Viewer:
    name: str
    where: str
    shows: str
    tenant: int
    by: str
    open: bool


@dataclass(frozen=True, slots=True)
class Given:
    cases: Mapping[str, Case] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict)
    viewers: Mapping[str, Viewer] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """`arguments` has every default filled in, and what is absent left out; a `wait` has a Duration in `for`.

    `lines` are the lines of the file from `line` on; `parts` are the expectations of an unordered group."""

    verb: str
    arguments: Mapping[str, Any]
    where: str
    line: int
    lines: tuple[str, ...]
    parts: tuple[Step, ...] = ()

    @property
    def expects(self) -> bool:
        return self.verb in EXPECTING or self.verb == UNORDERED

    @property
    def expectations(self) -> tuple[Step, ...]:
        """What this step expects: itself, the parts of a group, or nothing."""
        if self.verb in EXPECTING:
            return (self,)
        return self.parts


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    title: str
    path: Path
    given: Given
    steps: tuple[Step, ...]
    where: str
    text: str
    """The whole file."""

    @property
    def file(self) -> str:
        """As it is shown in front of a line."""
        return self.where.rsplit(":", 2)[0]


def scenarios_dir() -> Path:
    """The scenarios that ship with the harness: inside an installed wheel, else beside the package."""
    package = Path(__file__).resolve().parent
    shipped = package / "_data" / "scenarios"
    return shipped if shipped.is_dir() else package.parent / "scenarios"


def paths(folder: Path | None = None) -> tuple[Path, ...]:
    return tuple(sorted((folder or scenarios_dir()).glob("*.yaml")))


def load_all(folder: Path | None = None) -> tuple[Scenario, ...]:
    """Every scenario of a folder by name. Raises ScenarioError with the faults of all its files."""
    folder = folder or scenarios_dir()
    scenarios, errors = [], []
    for path in paths(folder):
        try:
            scenarios.append(load(path))
        except ScenarioError as error:
            errors.append(str(error))
    if errors:
        raise ScenarioError("\n\n".join(errors))
    if not scenarios:
        raise ScenarioError(f"{folder}: no file *.yaml, expected a folder of scenarios")
    return tuple(scenarios)


def load(path: Path, path_shown: str | None = None) -> Scenario:
    """Raises ScenarioError with every fault found."""
    shown = path_shown or f"{path.parent.name}/{path.name}".removeprefix("/")
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}, expected a scenario file") from None
    except UnicodeDecodeError:
        text = ""
    try:
        file = located.load(path, shown)
    except AgreementError as error:  # not well formed: it knows the place already
        raise ScenarioError(quoted(str(error).splitlines(), text)) from None
    return _parsed(file, text, path)


def parse(text: str, path: Path, path_shown: str | None = None) -> Scenario:
    """As `load`, from text."""
    try:
        file = located.parse(text, path_shown or path.name)
    except AgreementError as error:
        raise ScenarioError(quoted(str(error).splitlines(), text)) from None
    return _parsed(file, text, path)


def wire(arguments: Mapping[str, Any], ids: Mapping[str, str]) -> bytes:
    """The bytes that a `publish` step sends. `ids` are the values of the fields that its argument `ids` names."""
    if "base64" in arguments:
        return base64.b64decode(arguments["base64"])
    if "text" in arguments:
        return str(arguments["text"]).encode()
    return json.dumps({**arguments["json"], **ids}, ensure_ascii=False).encode("utf-8", "surrogatepass")


def duration(text: str) -> Duration:
    """Of text that is one (vocabulary.DURATION)."""
    found = {"timeout": 0, "s": 0.0, "tick": 0}
    sign = 1
    for word in re.findall(r"timeout|[0-9.]+s|[0-9]+ ticks?|[+-]", text):
        if word in "+-":
            sign = 1 if word == "+" else -1
        elif word == "timeout":
            found["timeout"] += sign
        elif word.endswith("s") and "tick" not in word:
            found["s"] += sign * float(word[:-1])
        else:
            found["tick"] += sign * int(word.split()[0])
    return Duration(int(found["timeout"]), min(found["s"], LONGEST), int(found["tick"]))


def _parsed(file: Located, text: str, path: Path) -> Scenario:
    reading = _Reading(file, text)
    scenario = reading.scenario(path)
    if reading.errors:
        raise ScenarioError(quoted(reading.errors, text))
    return scenario


def _near(word: str, words: Collection[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]}?" if close else ""


class _Reading:
    """One file, read part by part; what is missing, mistyped or unknown is collected."""

    def __init__(self, file: Located, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = text.splitlines()
        self.errors: list[str] = []
        self.declared: dict[str, set[str]] = {}

    def scenario(self, path: Path) -> Scenario:
        whole = self.object("", self.file.data, _PARTS)
        for part in ("title", "steps"):
            if part not in whole:
                self.complain("", f'no "{part}", expected one')
        title = whole.get("title", "-")
        if not isinstance(title, str) or not title:
            self.complain("/title", f"the title is {in_words(title)}, expected the story in one sentence")
        self.declared = self._declared(whole)
        steps = tuple(self._steps(whole.get("steps")))
        if not self.errors and not any(step.expects for step in steps):
            self.complain("/steps", "no step expects anything, expected one that does: else nothing can be proven")
        return Scenario(
            name=path.stem,
            title=str(title),
            path=path,
            given=self._given(whole.get("given")),
            steps=steps,
            where=self.file.at(""),
            text=self.text,
        )

    def complain(self, at: str, text: str) -> None:
        self.errors.append(f"{self.file.at(at)}: {text}")

    def object(self, at: str, value: Any, known: Collection[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.complain(at, f"{in_words(value)}, expected an object with {', '.join(known)}")
            return {}
        for key in value:
            if key not in known:
                wanted = f"expected one of {', '.join(known)}" if known else "expected none"
                self.complain(at + pointer(key), f'the unknown field "{key}", {wanted}{_near(key, known)}')
        return value

    def _declared(self, whole: Mapping[str, Any]) -> dict[str, set[str]]:
        """Names by what they are of: those under `given`, and those that steps bring up."""
        given = whole.get("given")
        names = {part: set(_dict(_dict(given).get(part))) for part in GIVEN}
        names |= {"requests": set(), "rag": set()}
        steps = whole.get("steps")
        for step in steps if isinstance(steps, list) else ():
            for verb, arguments in _dict(step).items():
                bringing = {"request approval": ("requests", "request"), "record": ("requests", "request")}
                part, key = {**bringing, "rag": ("rag", "document")}.get(verb, ("", ""))
                name = _dict(arguments).get(key)
                if isinstance(name, str):
                    names[part].add(name)
        return names

    def _given(self, found: Any) -> Given:
        if found is None:
            return Given()
        given = self.object("/given", found, (*GIVEN, "settings"))
        parts: dict[str, dict[str, dict[str, Any]]] = {}
        for part, (_, arguments) in GIVEN.items():
            at = f"/given/{part}"
            things = given.get(part, {})
            if not isinstance(things, dict):
                self.complain(at, f"{in_words(things)}, expected an object of {part} by name")
                things = {}
            parts[part] = {
                name: self._arguments(at + pointer(name), {} if value is None else value, arguments)
                for name, value in things.items()
            }
        at, settings = "/given/settings", given.get("settings", {})
        return Given(
            cases={name: Case(name, self._at("cases", name), **_known(Case, v)) for name, v in parts["cases"].items()},
            documents={
                name: Document(name, self._at("documents", name), **_known(Document, value))
                for name, value in parts["documents"].items()
            },
            viewers={
                name: Viewer(name, self._at("viewers", name), **_known(Viewer, value))
                for name, value in parts["viewers"].items()
            },
            settings=self._arguments(at, settings, SETTINGS),
        )

    def _at(self, part: str, name: str) -> str:
        return self.file.at(f"/given/{part}{pointer(name)}")

    def _steps(self, found: Any) -> Iterator[Step]:
        if not isinstance(found, list) or not found:
            if found is not None:
                self.complain("/steps", f"{in_words(found) if found else 'no step'}, expected a list of steps")
            return
        for index, value in enumerate(found):
            yield self._step(f"/steps/{index}", value, [*_VERBS, UNORDERED])

    def _step(self, at: str, value: Any, verbs: Collection[str]) -> Step:
        line, lines = self._lines(at)
        where = self.file.at(at)
        if isinstance(value, str) and value in verbs and not _VERBS[value].arguments and not _VERBS[value].variants:
            value = {value: None}
        if not isinstance(value, dict) or len(value) != 1:
            several = f"the {len(value)} fields {', '.join(value)}" if isinstance(value, dict) else in_words(value)
            near = _near(str(value), verbs) if isinstance(value, str) else ""
            self.complain(at, f"{several}, expected one verb with its arguments{near}")
            return Step("", {}, where, line, lines)
        ((verb, given),) = value.items()
        inner = at + pointer(verb)
        if verb not in verbs:
            wanted = "an expectation" if UNORDERED not in verbs else "a verb"
            near = _near(verb, verbs) or f": one of {', '.join(verbs)}"
            self.complain(inner, f'the unknown verb "{verb}", expected {wanted}{near}')
            return Step(verb, {}, where, line, lines)
        if verb == UNORDERED:
            return Step(verb, {}, where, line, lines, tuple(self._group(inner, given)))
        arguments = self._verb(inner, verb, given)
        return Step(verb, arguments, where, line, lines)

    def _group(self, at: str, found: Any) -> Iterator[Step]:
        if not isinstance(found, list) or len(found) < 2:
            self.complain(at, f"{in_words(found)}, expected a list of at least two expectations")
            return
        for index, value in enumerate(found):
            yield self._step(f"{at}/{index}", value, tuple(EXPECTING))

    def _verb(self, at: str, name: str, given: Any) -> dict[str, Any]:
        verb = _VERBS[name]
        if not verb.arguments and not verb.variants:
            if given is not None:
                self.complain(at, f'{in_words(given)}, expected nothing behind "{name}"')
            return {}
        if verb.short and given is not None and not isinstance(given, dict):
            given = {verb.short: given}
            arguments = self._arguments(at, given, verb.arguments, shown=at)
        elif verb.variants:
            arguments = self._variant(at, given, verb)
        else:
            arguments = self._arguments(at, given, verb.arguments)
        self._one_of(at, given, verb)
        if "for" in arguments:
            arguments["for"] = duration(arguments["for"])
        self._ids(at, arguments)
        return arguments

    def _variant(self, at: str, given: Any, verb: Verb) -> dict[str, Any]:
        by = _dict(given).get("by")
        if not isinstance(given, dict) or not isinstance(by, str) or by not in verb.variants:
            if not isinstance(given, dict):
                found, place = in_words(given), at
            else:
                found, place = (f"by is {in_words(by)}", f"{at}/by") if "by" in given else ('no "by"', at)
            self.complain(place, f"{found}, expected by: {' or '.join(verb.variants)}{_near(str(by), verb.variants)}")
            return {}
        rest = {key: value for key, value in given.items() if key != "by"}
        request = rest.get("request")
        if by == "signal" and "session" not in rest and isinstance(request, str):
            asked = self.declared["requests"]
            if request not in asked:
                wanted = "expected a request that a step asks for, or the session that the signal is for"
                self.complain(f"{at}/request", f'request is "{request}", {wanted}{_near(request, asked)}')
        return {"by": by, **self._arguments(at, rest, verb.variants[by], f" where it is by {by}")}

    def _one_of(self, at: str, given: Any, verb: Verb) -> None:
        named = [name for name in verb.one_of if name in _dict(given)]
        if verb.one_of and len(named) != 1 and isinstance(given, dict):
            found = " and ".join(named) or "none of them"
            self.complain(at, f"{found}, expected exactly one of {', '.join(verb.one_of)}")

    def _ids(self, at: str, arguments: Mapping[str, Any]) -> None:
        """The ids that a published message gets stand in its JSON, and name something that there is."""
        names = set().union(*self.declared.values())
        if "ids" in arguments and "json" not in arguments:
            self.complain(f"{at}/ids", "ids without json, expected the JSON that they are added to")
        for key, name in _dict(arguments.get("ids")).items():
            if name not in names:
                near = _near(str(name), names)
                self.complain(
                    f"{at}/ids{pointer(key)}", f"{in_words(name)}, expected a declared case, document or request{near}"
                )

    def _arguments(
        self, at: str, given: Any, arguments: Mapping[str, Argument], where: str = "", shown: str = ""
    ) -> dict[str, Any]:
        """`shown` is the place of a value that stands for its whole object."""
        if not isinstance(given, dict):
            wanted = ", ".join(arguments)
            self.complain(at, f"{in_words(given)}, expected an object with {wanted}")
            return {}
        values: dict[str, Any] = {}
        for key, value in given.items():
            place = shown or at + pointer(key)
            argument = arguments.get(key)
            if argument is None:
                wanted = f"expected one of {', '.join(arguments)}{where}{_near(key, arguments)}"
                self.complain(place, f'the unknown argument "{key}", {wanted}')
            elif not argument.kind.fits(value):
                near = _near(str(value), argument.kind.among)
                self.complain(place, f"{key} is {in_words(value)}, expected {argument.kind.words}{near}")
            else:
                self._refers(place, key, value, argument)
                values[key] = value
        for key, argument in arguments.items():
            if key not in given:
                if argument.required:
                    self.complain(at, f'no "{key}", expected {argument.kind.words}{where}')
                elif argument.default is not None:
                    values[key] = argument.default
        return values

    def _refers(self, at: str, key: str, value: str, argument: Argument) -> None:
        part = argument.kind.refers_to
        if part and value not in self.declared[part]:
            names = sorted(self.declared[part])
            wanted = f"expected {argument.kind.words}"
            there = f": {', '.join(names)}" if names else ", and there is none"
            self.complain(at, f'{key} is "{value}", {wanted}{there}{_near(value, names)}')

    def _lines(self, at: str) -> tuple[int, tuple[str, ...]]:
        """The lines of the step: from its own to the one before whatever comes next, without blanks and comments."""
        first, column = self.file.where[at]
        last = first
        for number in range(first + 1, len(self.lines) + 1):
            line = self.lines[number - 1]
            if line.strip() and len(line) - len(line.lstrip()) < column - 1:
                break
            if line.strip() and not line.lstrip().startswith("#"):
                last = number
        return first, tuple(self.lines[first - 1 : last])


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _known(of: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass; what a fault left without a value gets None, and is never seen."""
    names = [name for name in of.__slots__ if name not in ("name", "where")]  # type: ignore[attr-defined]
    return {name: values.get(name, 1 if name == "copies" else None) for name in names}
