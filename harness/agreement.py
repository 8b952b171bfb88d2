"""`contracts/` as one frozen index. Everything that is structurally wrong in it is shown at once, so that
a person mends the folder in one go."""

import difflib
import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import AgreementError
from harness.located import Fields, Located, in_words
from harness.located import load as load_file

SEATS = ("aura", "synapse", "workbench")
LEVELS = ("must", "should")
TRIGGERS = ("trigger:detect", "trigger:rag", "trigger:hitl", "trigger:action")
NEEDS = ("http", "redis", "stomp", "rest", "feedback", "fault", "hitl-timeout", *TRIGGERS)

CLAUSES, OPENAPI, ASYNCAPI, MAPPING = "clauses.yaml", "openapi.yaml", "asyncapi.yaml", "mapping.yaml"
SAMPLES = "samples/index.yaml"

_CLAUSE_ID = re.compile(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Document:
    """One of the documents that the agreement was taken from; `sections` are the numbers of its headings."""

    id: str
    title: str
    date: str
    sections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """One promise: who keeps it, where it is written, and what a run must have to see it."""

    id: str
    seat: str
    level: str
    promise: str
    sources: tuple[str, ...]
    needs: frozenset[str]
    where: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A wire sample of the documents; `wire` is its value in one line of unescaped UTF-8, as Aura sends.

    `digest` is that of the value which stands in the document; `optional` names the fields that may be absent."""

    name: str
    value: Any
    wire: bytes
    schema: str
    channel: str | None
    keeper: str
    source: str
    digest: str
    optional: tuple[str, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of asyncapi.yaml; `messages` names the schemas of what it carries."""

    key: str
    address: str
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of mapping.yaml: a way to fill the field `to` of NotificationDto. It explains the words."""

    to: str
    clause: str
    level: str
    sources: tuple[str, ...]
    where: str
    channel: str | None = None
    when_absent: str | None = None
    when_true: str | None = None
    when_filled: tuple[str, ...] = ()
    field: str | None = None
    read: str | None = None
    text: str | None = None
    value: Any = None
    take: str | None = None
    cut: int | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """One item of mapping.yaml's `demands`: what the field `to` owes whatever its wording."""

    to: str
    clause: str
    level: str
    sources: tuple[str, ...]
    where: str
    channel: str | None = None
    when_absent: str | None = None
    when_filled: tuple[str, ...] = ()
    not_empty: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Agreement:
    """All of `contracts/`. `schemas` is keyed by file stem, `channels` by address, `samples` by name."""

    root: Path
    version: str
    documents: Mapping[str, Document]
    clauses: Mapping[str, Clause]
    schemas: Mapping[str, dict[str, Any]]
    channels: Mapping[str, Channel]
    samples: Mapping[str, Sample]
    mapping: tuple[Row, ...]
    demands: tuple[Demand, ...]
    openapi: dict[str, Any]
    asyncapi: dict[str, Any]


def contracts_dir() -> Path:
    """The agreement that ships with the harness: inside an installed wheel, else beside the package."""
    package = Path(__file__).resolve().parent
    shipped = package / "_data" / "contracts"
    return shipped if shipped.is_dir() else package.parent / "contracts"


def load(root: Path | None = None) -> Agreement:
    """The agreement at `root`, read once per process. Raises AgreementError with every fault found."""
    return _load((root or contracts_dir()).resolve())


@functools.cache
def _load(root: Path) -> Agreement:
    return assemble(root, read(root))


def read(root: Path) -> dict[str, Located]:
    """Every file of the agreement by its path below `root`."""
    if not root.is_dir():
        raise AgreementError(f"{root}:1:1: no such folder, expected the agreement")
    paths = [CLAUSES, OPENAPI, ASYNCAPI, MAPPING, SAMPLES]
    for folder in ("schemas", "samples"):
        paths += sorted(f"{folder}/{path.name}" for path in (root / folder).glob("*.json"))
    files: dict[str, Located] = {}
    errors: list[str] = []
    for path in paths:
        try:
            files[path] = load_file(root / path, f"{root.name}/{path}")
        except AgreementError as error:
            errors.append(str(error))
    if errors:
        raise AgreementError("\n".join(errors))
    return files


def assemble(root: Path, files: Mapping[str, Located]) -> Agreement:
    """The index over files that `read` gave."""
    errors: list[str] = []
    clauses = Fields(files[CLAUSES], "", errors)
    mapping = Fields(files[MAPPING], "", errors)
    agreement = Agreement(
        root=root,
        version=clauses.text("version", pattern=_VERSION, form="three numbers, as in 1.0.0"),
        documents={fields.name: _document(fields) for fields in clauses.entries("documents")},
        clauses={fields.name: _clause(fields) for fields in clauses.entries("clauses")},
        schemas={stem(path): _object(file, errors) for path, file in files.items() if path.startswith("schemas/")},
        channels=_channels(files[ASYNCAPI], errors),
        samples=_samples(files, errors),
        mapping=tuple(_row(fields) for fields in mapping.items("rows")),
        demands=tuple(_demand(fields) for fields in mapping.items("demands")),
        openapi=_object(files[OPENAPI], errors),
        asyncapi=_object(files[ASYNCAPI], errors),
    )
    clauses.done()
    mapping.done()
    if errors:
        raise AgreementError("\n".join(dict.fromkeys(errors)))
    return agreement


def no_such_clause(agreement: Agreement, name: str) -> str:
    """What to say of a name that is none."""
    close = difflib.get_close_matches(name, agreement.clauses, n=1)
    return f"there is no such clause; {f'did you mean {close[0]}?' if close else '`aura-harness gate` lists them all'}"


def digest(value: Any) -> str:
    """What a value is known by: equal for equal JSON, whatever the order of keys and the spaces between them."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def stem(path: str) -> str:
    """The name that a schema or sample goes by: its file without folder and `.json`."""
    return path.rpartition("/")[2].removesuffix(".json")


def _document(fields: Fields) -> Document:
    document = Document(fields.name, fields.text("title"), fields.text("date"), fields.texts("sections"))
    fields.done()
    return document


def _clause(fields: Fields) -> Clause:
    if not _CLAUSE_ID.fullmatch(fields.name):
        fields.complain("", f'the clause id "{fields.name}", expected group.name in lower case, as in http.accepted')
    clause = Clause(
        id=fields.name,
        seat=fields.text("seat", among=SEATS),
        level=fields.text("level", among=LEVELS),
        promise=fields.text("promise"),
        sources=fields.texts("source"),
        needs=frozenset(fields.texts("needs", among=NEEDS)),
        where=fields.where,
    )
    fields.done()
    return clause


_READS = ("text", "instant", "milliseconds", "integer")
_TAKES = ("channel", "everything", "body", "now", "database", "nothing")


def _row(fields: Fields) -> Row:
    row = Row(
        to=fields.text("to"),
        clause=fields.text("clause"),
        level=fields.text("level", among=LEVELS),
        sources=fields.texts("source"),
        where=fields.where,
        channel=fields.optional("channel"),
        when_absent=fields.optional("when_absent"),
        when_true=fields.optional("when_true"),
        when_filled=fields.texts("when_filled", required=False),
        field=fields.optional("from"),
        read=fields.optional("read", among=_READS),
        text=fields.optional("text"),
        value=fields.typed("value", (int, str), required=False),
        take=fields.optional("take", among=_TAKES),
        cut=fields.typed("cut", (int,), required=False),
        mark=fields.optional("mark") or "",
    )
    given = [key for key in ("from", "text", "value", "take") if key in fields]
    if len(given) != 1:
        fields.complain("", f"{' and '.join(given) or 'no value'}, expected exactly one of from, text, value, take")
    if ("from" in fields) != ("read" in fields):
        fields.complain("", "one of from and read, expected both or neither")
    fields.done()
    return row


def _demand(fields: Fields) -> Demand:
    demand = Demand(
        to=fields.text("to"),
        clause=fields.text("clause"),
        level=fields.text("level", among=LEVELS),
        sources=fields.texts("source"),
        where=fields.where,
        channel=fields.optional("channel"),
        when_absent=fields.optional("when_absent"),
        when_filled=fields.texts("when_filled", required=False),
        not_empty=fields.typed("not_empty", (bool,), required=False) is True,
        names=fields.texts("names", required=False),
    )
    if demand.not_empty == bool(demand.names):
        fields.complain("", "not the one thing that is owed, expected either not_empty: true or names")
    fields.done()
    return demand


def _samples(files: Mapping[str, Located], errors: list[str]) -> dict[str, Sample]:
    index = Fields(files[SAMPLES], "", errors)
    samples = {}
    for fields in index.entries("samples"):
        file = files.get(f"samples/{fields.name}.json")
        if file is None:
            fields.complain("", f'the sample "{fields.name}", expected a file {fields.name}.json beside the index')
        value = file.data if file else None
        samples[fields.name] = Sample(
            name=fields.name,
            value=value,
            wire=json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"),
            schema=fields.text("schema"),
            channel=fields.optional("channel"),
            keeper=fields.text("keeper", among=SEATS),
            source=fields.text("source"),
            digest=fields.text("digest", pattern=_DIGEST, form="16 hex digits"),
            optional=fields.texts("optional", required=False),
            where=file.at("") if file else fields.where,
        )
        fields.done()
    index.done()
    return samples


def _channels(file: Located, errors: list[str]) -> dict[str, Channel]:
    channels = {}
    for fields in Fields(file, "", errors).entries("channels"):
        address = fields.text("address")
        messages = tuple(_payload_schema(file, message, errors) for message in fields.entries("messages"))
        channels[address] = Channel(fields.name, address, messages)
    return channels


def _payload_schema(file: Located, message: Fields, errors: list[str]) -> str:
    """The schema behind a channel's message, which may stand under `components`."""
    reference = message.optional("$ref")
    if reference is not None:
        message = Fields(file, reference.removeprefix("#"), errors, shown_at=message.at)
    payload = message.object("payload")
    return stem(payload.text("$ref")) if payload else ""


def _object(file: Located, errors: list[str]) -> dict[str, Any]:
    if isinstance(file.data, dict):
        return file.data
    errors.append(f"{file.at('')}: {in_words(file.data)}, expected an object")
    return {}
