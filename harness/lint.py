"""Is the agreement consistent: with itself, with the published meta-schemas, and with the checks?
Uses `jsonschema`, not the validator of the checks: a fault of one of them must not hide behind itself."""

import functools
import json
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema_specifications import REGISTRY as SPECIFICATIONS  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7, DRAFT202012

from harness import agreement as agreed
from harness.agreement import ASYNCAPI, CLAUSES, MAPPING, OPENAPI, SAMPLES, Agreement, Demand, Row, Sample
from harness.errors import AgreementError
from harness.located import Located, lookup, pointer

README = "README.md"
DTO = "schemas/notification-dto.json"
# The documents show what travels on these; the other channels they only name.
SAMPLED = "workbench:"

_DRAFTS = ((Draft7Validator, DRAFT7, "draft-07"), (Draft202012Validator, DRAFT202012, "draft 2020-12"))


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One inconsistency, at `folder/file:line:column`."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class _Book:
    """The agreement beside the files that it was read from."""

    agreement: Agreement
    files: Mapping[str, Located]
    readme: str

    def problem(self, file: str, at: str, text: str) -> Problem:
        return Problem(self.files[file].at(at), text)

    def schemas(self) -> dict[str, Located]:
        return {path: file for path, file in self.files.items() if path.startswith("schemas/")}


def lint(
    root: Path,
    checked: Mapping[str, object] | None,
    seats: Collection[str],
    reach: Collection[str] = agreed.NEEDS,
) -> list[Problem]:
    """Everything that is inconsistent, in the order of files and lines; empty when the agreement is sound.

    `checked` is keyed by the ids of the clauses that have a check (None: there is nothing to compare with). Those
    of `seats` must have one, as far as what they need is in `reach`. Of an agreement that does not load, only that
    is told."""
    try:
        book = _open(root)
    except AgreementError as error:
        return sorted((_from_line(line) for line in str(error).splitlines()), key=_place)
    # What resolves nowhere, or is no schema, cannot be used to judge samples.
    problems = {*_specifications(book), *_schemas(book), *_references(book)}
    if not problems:
        problems |= {*_conformance(book), *_necessity(book)}
    for rule in _RULES:
        problems |= {*rule(book)}
    if checked is not None:
        problems |= {*_checks(book, checked, seats, set(reach))}
    return sorted(problems, key=_place)


def _open(root: Path) -> _Book:
    files = agreed.read(root)
    readme = root / README
    if not readme.is_file():
        raise AgreementError(f"{root.name}/{README}:1:1: no such file, expected the decisions")
    return _Book(agreed.assemble(root, files), files, readme.read_text(encoding="utf-8"))


def _from_line(line: str) -> Problem:
    where = re.match(r"(.*?:\d+:\d+): ", line)
    return Problem(where[1], line[where.end() :]) if where else Problem("", line)


def _place(problem: Problem) -> tuple[str, list[int], str]:
    file, *numbers = problem.where.rsplit(":", 2)
    return file, [int(number) for number in numbers], problem.text


# ---- Meta-schemas ----------------------------------------------------------------------------------------


def _specifications(book: _Book) -> Iterator[Problem]:
    for path, published, title, draft in (
        (OPENAPI, "openapi-3.1.json", "OpenAPI 3.1", Draft202012Validator),
        (ASYNCAPI, "asyncapi-3.0.0.json", "AsyncAPI 3.0", Draft7Validator),
    ):
        for error in _published(published, draft).iter_errors(book.files[path].data):
            at, message = _told(error)
            yield book.problem(path, at, f"{message}, expected valid {title}")
    # The published meta-schema of OpenAPI leaves the schemas that stand inside to another one.
    for at, schema in _inner_schemas(book.files[OPENAPI].data, ""):
        for error in _meta(Draft202012Validator).iter_errors(schema):
            inside, message = _told(error)
            yield book.problem(OPENAPI, at + inside, f"{message}, expected a valid schema")


@functools.cache
def _published(name: str, draft: Any) -> Any:
    schema = json.loads((Path(__file__).parent / "metaschemas" / name).read_text(encoding="utf-8"))
    # Crawled once here; left to itself, the validator searches the whole schema again for every reference.
    return draft(schema, registry=(Resource.from_contents(schema) @ SPECIFICATIONS).crawl())


def _inner_schemas(data: Any, at: str) -> Iterator[tuple[str, Any]]:
    for step, value in _members(data):
        if step == "schema":
            yield at + pointer(step), value
        else:
            yield from _inner_schemas(value, at + pointer(step))


def _schemas(book: _Book) -> Iterator[Problem]:
    for path, file in book.schemas().items():
        for draft, _, name in _DRAFTS:
            for error in _meta(draft).iter_errors(file.data):
                at, message = _told(error)
                yield book.problem(path, at, f"{message}, expected a valid schema in {name}")
        yield from _outside_subset(book, path, file.data, "")


@functools.cache
def _meta(draft: Any) -> Any:
    return draft(draft.META_SCHEMA, registry=SPECIFICATIONS)


_OF_SCHEMAS = frozenset(["allOf", "anyOf", "oneOf", "properties", "patternProperties"])
_A_SCHEMA = frozenset(["additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else"])
_PLAIN = re.compile(
    r"\$ref|title|description|default|examples|type|enum|const|pattern|format|required|multipleOf|uniqueItems"
    r"|(min|max)(Properties|Items|Length|imum)|exclusive(Min|Max)imum"
)


def _outside_subset(book: _Book, path: str, schema: Any, at: str) -> Iterator[Problem]:
    """What draft-07 and 2020-12 read differently, or only one of them knows."""
    if isinstance(schema, list):
        yield book.problem(path, at, "a list of schemas, expected one: the drafts read a list differently")
    if not isinstance(schema, dict):
        return
    if "$ref" in schema and len(schema) > 1:
        text = "fields beside $ref, which draft-07 ignores; expected $ref alone, inside allOf"
        yield book.problem(path, at + "/$ref", text)
    for keyword, value in schema.items():
        here = at + pointer(keyword)
        if keyword == "pattern" and not _compiles(value):
            yield book.problem(path, here, f'the pattern "{value}", expected a regular expression')
        if keyword in _OF_SCHEMAS:
            for step, inner in _members(value):
                yield from _outside_subset(book, path, inner, here + pointer(step))
        elif keyword in _A_SCHEMA:
            yield from _outside_subset(book, path, value, here)
        elif not _PLAIN.fullmatch(keyword):
            text = f"the keyword {keyword}, expected one that draft-07 and 2020-12 have in common"
            yield book.problem(path, here, text)


def _compiles(pattern: Any) -> bool:
    try:
        re.compile(str(pattern))
    except re.error:
        return False
    return True


def _members(data: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(data, dict):
        return data.items()
    return enumerate(data) if isinstance(data, list) else ()


def _told(error: ValidationError) -> tuple[str, str]:
    """Where and what, from the innermost error that says it."""
    error = _innermost(error)
    at, message = pointer(*error.absolute_path), error.message
    if error.validator in ("additionalProperties", "unevaluatedProperties") and isinstance(error.instance, dict):
        extra = [name for name in re.findall(r"'([^']+)'", message) if name in error.instance]
        if extra:
            return at + pointer(extra[0]), f'the unknown field "{extra[0]}"'
    if len(message) > 200:
        message = f"this does not satisfy the keyword {error.validator}"
    return at, message


def _innermost(error: ValidationError) -> ValidationError:
    """Into alternatives, leaving aside "or a reference" where there is none."""
    while error.context:
        branches: dict[Any, list[ValidationError]] = {}
        for inner in error.context:
            branches.setdefault(inner.relative_schema_path[0], []).append(inner)
        meant = [errors for errors in branches.values() if not any(map(_wants_reference, errors))]
        fewest = sorted(meant or branches.values(), key=len)[0]
        error = best_match(fewest) or fewest[0]
    return error


def _wants_reference(error: ValidationError) -> bool:
    return error.validator == "required" and "'$ref'" in error.message


# ---- References ------------------------------------------------------------------------------------------


def _found_references(data: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    for step, value in _members(data):
        here = at + pointer(step)
        if step == "$ref":
            yield here, value
        else:
            yield from _found_references(value, here)


def _references(book: _Book) -> Iterator[Problem]:
    for path in (OPENAPI, ASYNCAPI, *book.schemas()):
        for at, reference in _found_references(book.files[path].data):
            file, _, fragment = str(reference).partition("#")
            target = book.files.get(_beside(path, file))
            if target is None:
                text = f'the reference "{reference}", expected a file of this folder'
            elif fragment and (not fragment.startswith("/") or lookup(target.data, fragment) is None):
                text = f'the reference "{reference}", expected a pointer to something that is there'
            else:
                continue
            yield book.problem(path, at, text)


def _beside(path: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), reference)) if reference else path


def _reachable(book: _Book, *starts: str) -> set[str]:
    """The files that are referred to from these, directly or not."""
    reached: set[str] = set()
    left = list(starts)
    while left:
        path = left.pop()
        if path in reached or path not in book.files:
            continue
        reached.add(path)
        for _, reference in _found_references(book.files[path].data):
            left.append(_beside(path, str(reference).partition("#")[0]))
    return reached


def _unused_schemas(book: _Book) -> Iterator[Problem]:
    for path in book.schemas().keys() - _reachable(book, OPENAPI, ASYNCAPI):
        yield book.problem(path, "", f"a schema that neither {OPENAPI} nor {ASYNCAPI} uses, expected one to")


def _versions(book: _Book) -> Iterator[Problem]:
    for path in (OPENAPI, ASYNCAPI):
        version = lookup(book.files[path].data, "/info/version")
        if version != book.agreement.version:
            text = f'version "{version}", expected "{book.agreement.version}" as in {CLAUSES}'
            yield book.problem(path, "/info/version", text)


# ---- Samples ---------------------------------------------------------------------------------------------


def _conformance(book: _Book) -> Iterator[Problem]:
    for draft, specification, name in _DRAFTS:
        for sample, validator in _validators(book, draft, specification):
            for error in validator.iter_errors(sample.value):
                at, message = _told(error)
                text = f"{message}, expected to conform to {sample.schema}.json in {name}"
                yield book.problem(f"samples/{sample.name}.json", at, text)


def _validators(book: _Book, draft: Any, specification: Any) -> Iterator[tuple[Sample, Any]]:
    """Every sample whose schema is there, with what judges it."""
    registry: Any = Registry().with_resources(
        (f"file:///{path}", specification.create_resource(file.data)) for path, file in book.schemas().items()
    )
    for sample in book.agreement.samples.values():
        if sample.schema in book.agreement.schemas:
            yield sample, draft({"$ref": f"file:///schemas/{sample.schema}.json"}, registry=registry)


def _necessity(book: _Book) -> Iterator[Problem]:
    """A schema says too little when a sample conforms without a field that is not optional."""
    for sample, validator in _validators(book, Draft202012Validator, DRAFT202012):
        if not validator.is_valid(sample.value):
            continue
        spared = {steps for steps, rest in _without_one(sample.value) if validator.is_valid(rest)}
        listed = {(name,) for name in sample.optional}
        for steps in spared - listed:
            name = ".".join(steps)
            text = f'"{name}" may be absent, expected it to be required, or optional in {SAMPLES}'
            yield book.problem(*_requirement(book, f"schemas/{sample.schema}.json", steps), text)
        for index, name in enumerate(sample.optional):
            if (name,) not in spared:
                text = f'"{name}" is no field that may be absent, expected only such'
                yield book.problem(SAMPLES, pointer("samples", sample.name, "optional", index), text)


def _without_one(value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The value without one of its fields, for each of them, also inside of others."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield (name,), {key: rest for key, rest in value.items() if key != name}
        for steps, rest in _without_one(inner):
            yield (name, *steps), value | {name: rest}


def _requirement(book: _Book, path: str, steps: tuple[str, ...]) -> tuple[str, str]:
    """Where a field should be required: in the most general of the schemas that name it."""
    above = "".join(pointer("properties", step) for step in steps[:-1])
    field = above + pointer("properties", steps[-1])
    naming = [each for each in _reachable(book, path) if lookup(book.files[each].data, field) is not None]
    general = min(naming, key=lambda each: (len(_reachable(book, each)), each), default=path)
    return general, above + "/required"


def _digests(book: _Book) -> Iterator[Problem]:
    for sample in book.agreement.samples.values():
        found = agreed.digest(sample.value)
        if found != sample.digest:
            text = f"the digest {found}, expected {sample.digest}, which {SAMPLES} gives to the value in the document"
            yield book.problem(f"samples/{sample.name}.json", "", text)


def _samples(book: _Book) -> Iterator[Problem]:
    agreement = book.agreement
    for path in book.files:
        if path.startswith("samples/") and path.endswith(".json") and agreed.stem(path) not in agreement.samples:
            yield book.problem(path, "", f"a sample that is not in {SAMPLES}, expected it there")
    over_http = _reachable(book, OPENAPI)
    for sample in agreement.samples.values():
        at = pointer("samples", sample.name)
        channel = agreement.channels.get(sample.channel or "")
        if sample.schema not in agreement.schemas:
            yield book.problem(SAMPLES, at + "/schema", f'the schema "{sample.schema}", expected a file of schemas/')
        elif sample.channel is None:
            if f"schemas/{sample.schema}.json" not in over_http:
                yield book.problem(SAMPLES, at, f"no channel, and {OPENAPI} does not use the schema; expected either")
        elif channel is None:
            text = f'the channel "{sample.channel}", expected an address of {ASYNCAPI}'
            yield book.problem(SAMPLES, at + "/channel", text)
        elif sample.schema not in channel.messages:
            text = f'the channel "{sample.channel}" does not carry {sample.schema}, expected one that does'
            yield book.problem(SAMPLES, at + "/channel", text)
    shown = {sample.channel for sample in agreement.samples.values()}
    for channel in agreement.channels.values():
        if channel.address.startswith(SAMPLED) and channel.address not in shown:
            at = pointer("channels", channel.key)
            yield book.problem(ASYNCAPI, at, f'no sample for "{channel.address}", expected one in {SAMPLES}')


# ---- The mapping -----------------------------------------------------------------------------------------


def _mapping(book: _Book) -> Iterator[Problem]:
    agreement = book.agreement
    known = set().union(*(_fields(book, f"schemas/{name}.json") for name in _workbench_messages(agreement)))
    filled = _fields(book, DTO)
    for at, entry in _entries(agreement):
        clause = agreement.clauses.get(entry.clause)
        if clause is None or not clause.id.startswith("mapping."):
            text = f'the clause "{entry.clause}", expected one of the mapping.* clauses of {CLAUSES}'
            yield book.problem(MAPPING, at + "/clause", text)
        elif clause.level != entry.level:
            text = f"level {entry.level}, expected {clause.level} as {clause.id} has it in {CLAUSES}"
            yield book.problem(MAPPING, at + "/level", text)
        if entry.to not in filled:
            yield book.problem(MAPPING, at + "/to", f'the field "{entry.to}", expected one of {DTO}')
        if entry.channel is not None and entry.channel not in agreement.channels:
            text = f'the channel "{entry.channel}", expected an address of {ASYNCAPI}'
            yield book.problem(MAPPING, at + "/channel", text)
        for key, name in _asked(entry):
            if name not in known:
                text = f'the field "{name}", expected one that a schema of a workbench channel has'
                yield book.problem(MAPPING, at + pointer(key), text)
    for name in filled - {row.to for row in agreement.mapping}:
        yield book.problem(DTO, pointer("properties", name), f"no row of {MAPPING} fills {name}, expected one")
    judged = {entry.clause for _, entry in _entries(agreement)}
    for clause_id in agreement.clauses:
        if clause_id.startswith("mapping.") and clause_id not in judged:
            text = f"no row of {MAPPING} is judged by {clause_id}, expected one"
            yield book.problem(CLAUSES, pointer("clauses", clause_id), text)


def _entries(agreement: Agreement) -> Iterator[tuple[str, Row | Demand]]:
    yield from ((pointer("rows", index), row) for index, row in enumerate(agreement.mapping))
    yield from ((pointer("demands", index), demand) for index, demand in enumerate(agreement.demands))


def _order(book: _Book) -> Iterator[Problem]:
    """A field always gets a value, and every row can be the one that gives it."""
    settled: dict[str, bool] = {}
    last: dict[str, int] = {}
    for index, row in enumerate(book.agreement.mapping):
        if settled.get(row.to):
            text = f"a row that is never reached: one above fills {row.to} whatever comes, expected it above"
            yield book.problem(MAPPING, pointer("rows", index), text)
        always = row.field is None and not (row.channel or row.when_absent or row.when_true or row.when_filled)
        settled[row.to] = settled.get(row.to, False) or always
        last[row.to] = index
    for name, index in last.items():
        if not settled[name]:
            text = f"the last row of {name} does not always apply, expected one that does"
            yield book.problem(MAPPING, pointer("rows", index), text)


def _workbench_messages(agreement: Agreement) -> set[str]:
    channels = agreement.channels.values()
    return {name for channel in channels if channel.address.startswith(SAMPLED) for name in channel.messages}


def _fields(book: _Book, path: str) -> set[str]:
    """The properties that a schema names, those of the schemas it refers to included."""
    names: set[str] = set()
    for file in _reachable(book, path):
        properties = lookup(book.files[file].data, "/properties")
        names |= set(properties if isinstance(properties, dict) else ())
    return names


def _asked(entry: Row | Demand) -> Iterator[tuple[str, str]]:
    """The fields of the message that a row looks at, each with the key that names it."""
    single: dict[str, str | None] = {"when_absent": entry.when_absent}
    several: dict[str, tuple[str, ...]] = {"when_filled": entry.when_filled}
    if isinstance(entry, Row):
        single |= {"from": entry.field, "when_true": entry.when_true}
        slots = re.findall(r"\{([^|}]*)", entry.text or "")
        several["text"] = tuple(name for slot in slots for name in slot.split(","))
    else:
        several["names"] = entry.names
    for key, one in single.items():
        if one is not None:
            yield key, one
    for key, names in several.items():
        for name in names:
            yield key, name


# ---- Clauses ---------------------------------------------------------------------------------------------


_SECTION = re.compile(r"(\S+) §(\d+(?:\.\d+)*)")


def _musts(book: _Book) -> Iterator[Problem]:
    for clause in book.agreement.clauses.values():
        if clause.level == "must" and not any(map(_SECTION.fullmatch, clause.sources)):
            text = "a must that no document promises, expected a section of one among its sources, or the level should"
            yield book.problem(CLAUSES, pointer("clauses", clause.id, "source"), text)


def _sources(book: _Book) -> Iterator[Problem]:
    agreement = book.agreement
    decisions = set(re.findall(r"^#+ Decision (\d+)\b", book.readme, re.MULTILINE))
    named: list[tuple[str, str, str]] = []
    for clause in agreement.clauses.values():
        at = pointer("clauses", clause.id, "source")
        named += ((CLAUSES, at + pointer(i), source) for i, source in enumerate(clause.sources))
    for at, entry in _entries(agreement):
        at += pointer("source")
        named += ((MAPPING, at + pointer(i), source) for i, source in enumerate(entry.sources))
    for sample in agreement.samples.values():
        named.append((SAMPLES, pointer("samples", sample.name, "source"), sample.source))
    for file, at, source in named:
        text = _unfounded(agreement, source, decisions, shown=file == SAMPLES)
        if text:
            yield book.problem(file, at, text)


def _unfounded(agreement: Agreement, source: str, decisions: set[str], *, shown: bool) -> str:
    """What is wrong with a source; `shown`: only a document can be one."""
    section = _SECTION.fullmatch(source)
    document = agreement.documents.get(section[1]) if section else None
    if section and document:
        known = ", ".join(document.sections)
        return "" if section[2] in document.sections else f'the source "{source}", expected one of its sections {known}'
    if shown:
        return f'the source "{source}", expected a document with its section'
    decision = re.fullmatch(r"decision (\d+)", source)
    if decision:
        return "" if decision[1] in decisions else f"{source}, expected a heading Decision {decision[1]} in {README}"
    known = 'a document with its section, "deployed" or "decision N"'
    return "" if source == "deployed" else f'the source "{source}", expected {known}'


def _checks(book: _Book, checked: Mapping[str, object], seats: Collection[str], reach: set[str]) -> Iterator[Problem]:
    clauses = book.agreement.clauses
    for clause in clauses.values():
        if clause.seat in seats and clause.needs <= reach and clause.id not in checked:
            yield book.problem(CLAUSES, pointer("clauses", clause.id), f"{clause.id} has no check, expected one")
    for clause_id in checked.keys() - clauses.keys():
        yield book.problem(CLAUSES, "/clauses", f"a check judges {clause_id}, expected a clause of that id")


_RULES: tuple[Callable[[_Book], Iterator[Problem]], ...] = (
    _unused_schemas,
    _versions,
    _samples,
    _digests,
    _mapping,
    _order,
    _musts,
    _sources,
)
