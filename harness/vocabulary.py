"""The words of a scenario file, in one table: the parser reads it, the JSON Schema for editors is made of it, and so
the two cannot disagree. The vocabulary is small and fixed on purpose; a story that needs more needs a new word."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA_TITLE = "A scenario: one story through Aura, Redis, Synapse and the workbench"
_LENGTH = r"([0-9]+(\.[0-9]+)?s|[0-9]+ ticks?)"
DURATION = rf"(timeout|{_LENGTH})( [+-] {_LENGTH})?"
NAME = r"\w[\w .-]*"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value. `refers_to` names what has to be declared under the value before it can be used."""

    words: str
    types: tuple[type, ...]
    pattern: str | None = None
    among: tuple[str, ...] = ()
    minimum: int | None = None
    base64: bool = False
    refers_to: str = ""

    def fits(self, value: Any) -> bool:
        if type(value) not in self.types or not _can_be_sent(value):
            return False
        if self.among:
            return value in self.among
        if self.minimum is not None and value < self.minimum:
            return False
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            return False
        return not self.base64 or _is_base64(value)

    def schema(self) -> dict[str, Any]:
        names = [_JSON_TYPES[each] for each in self.types]
        schema: dict[str, Any] = {"type": names[0] if len(names) == 1 else names}
        if self.among:
            schema["enum"] = list(self.among)
        if self.pattern is not None:
            # ECMA 262 has no Unicode in \w; what stands here may be wider than what the parser takes, never narrower.
            schema["pattern"] = "^[^\\s]" if self.pattern == NAME else f"^{self.pattern}$"
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.base64:
            schema["contentEncoding"] = "base64"
        return schema


@dataclass(frozen=True, slots=True)
class Argument:
    about: str
    kind: Kind
    required: bool = False
    default: Any = None

    def schema(self) -> dict[str, Any]:
        default = {} if self.default is None else {"default": self.default}
        return {"description": self.about, **self.kind.schema(), **default}


@dataclass(frozen=True, slots=True)
class Verb:
    """`short` is the argument that a plain value stands for. Of `one_of` exactly one is given. `variants` are further
    arguments, by the value of the argument `by`."""

    about: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    short: str = ""
    one_of: tuple[str, ...] = ()
    variants: Mapping[str, Mapping[str, Argument]] = field(default_factory=dict)

    def schema(self) -> dict[str, Any]:
        described = {"description": self.about}
        if not self.arguments and not self.variants:
            return {**described, "type": "null"}
        if self.variants:
            forms = [_object({**self.arguments, **more}, by=by) for by, more in self.variants.items()]
            return {**described, "oneOf": forms}
        whole = _object(self.arguments)
        if self.one_of:
            whole["oneOf"] = [{"required": [name]} for name in self.one_of]
        if not self.short:
            return {**described, **whole}
        short = self.arguments[self.short].kind.schema()
        return {**described, **short} if len(self.arguments) == 1 else {**described, "oneOf": [short, whole]}


def _object(arguments: Mapping[str, Argument], by: str = "") -> dict[str, Any]:
    properties = {name: argument.schema() for name, argument in arguments.items()}
    required = [name for name, argument in arguments.items() if argument.required]
    if by:
        properties, required = {"by": {"const": by}, **properties}, ["by", *required]
    needed = {"required": required} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


def _can_be_sent(value: Any) -> bool:
    """No text with half a surrogate pair, no number that JSON or a database does not hold."""
    if isinstance(value, str):
        return not re.search("[\ud800-\udfff]", value)
    if isinstance(value, int):
        return abs(value) < 2**63
    return not isinstance(value, float) or math.isfinite(value)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return False
    return True


_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}

TEXT = Kind("text that is not empty", (str,), pattern=r"[\s\S]+")
NUMBER = Kind("a number", (int, float))
COUNT = Kind("a whole number of at least 1", (int,), minimum=1)
WHOLE = Kind("a whole number of at least 0", (int,), minimum=0)
BOOLEAN = Kind("true or false", (bool,))
OBJECT = Kind("an object", (dict,))
BASE64 = Kind("bytes in base64", (str,), base64=True)
NEW_NAME = Kind("a name: letters, digits, spaces, dots, hyphens", (str,), pattern=NAME)
DURATION_KIND = Kind("a duration, as 300s, 2 ticks, timeout, or timeout - 1 tick", (str,), pattern=DURATION)


def one_of(*values: str) -> Kind:
    return Kind(f"one of {', '.join(values)}", (str,), among=values)


CASE = Kind("the name of a case", (str,), refers_to="cases")
DOCUMENT = Kind("the name of a document", (str,), refers_to="documents")
VIEWER = Kind("the name of a viewer", (str,), refers_to="viewers")
ASKED = Kind("the name of a request that a step asks for", (str,), refers_to="requests")
RAG_DOCUMENT = Kind("the name of a document that a step vectorises", (str,), refers_to="rag")

_case = Argument("The case, by the name it has under `given`.", CASE)
_a_case = Argument("The case, by the name it has under `given`.", CASE, required=True)
_document = Argument("The document, by the name it has under `given`.", DOCUMENT)
_user = Argument("Who does it.", TEXT, default="reviewer-1")
_times = Argument("How many different ones.", COUNT, default=1)
_seat = Argument("Whose connection to Redis.", one_of("aura", "synapse"))
_viewer = Argument("The viewer, by the name it has under `given`.", VIEWER)
_a_viewer = Argument("The viewer, by the name it has under `given`.", VIEWER, required=True)
_its_request = Argument("The request, by the name it has in the step that asks for it.", ASKED)
_its_rag = Argument("The document, by the name it has in the step that vectorises it.", RAG_DOCUMENT)
_comment = Argument("What the reviewer wrote.", TEXT)

_by_api: Mapping[str, Argument] = {"case": _a_case, "user": _user, "document": _document, "comment": _comment}
_by_signal: Mapping[str, Argument] = {
    "request": Argument("The request that is answered.", NEW_NAME, required=True),
    "user": _user,
    "session": Argument(
        "Publish the signal directly for this session, whatever the request's own is or whether it exists yet.",
        NEW_NAME,
    ),
}
_reason = Argument("Why it is rejected.", TEXT)

DOING: Mapping[str, Verb] = {
    "detect": Verb(
        "Aura's analysis creates the case.",
        {
            "case": _a_case,
            "severity": Argument("How bad it is; only HIGH raises an alert.", TEXT, required=True),
            "score": Argument("Between 0 and 1.", NUMBER, default=0.85),
        },
    ),
    "rag": Verb(
        "A RAG run of Aura's ends.",
        {
            "document": Argument("A name for what is vectorised.", NEW_NAME, required=True),
            "chunks": Argument("How many pieces were added.", WHOLE, default=12),
            "succeeded": Argument("Whether it ended well.", BOOLEAN, default=True),
        },
    ),
    "request approval": Verb(
        "Aura asks a person, and waits for as long as its settings say.",
        {
            "case": _a_case,
            "request": Argument("A name for the request.", NEW_NAME, required=True),
            "session": Argument("The session that waits; one of its own where none is named.", NEW_NAME),
            "user": Argument("Who is asked; this becomes the executor.", TEXT, default="reviewer-1"),
            "document": _document,
        },
    ),
    "expire": Verb(
        "The stored request is gone, as when its time to live is over.",
        {"request": Argument("The request.", ASKED, required=True)},
        short="request",
    ),
    "approve": Verb(
        "A reviewer approves: by the backend's API, or by a signal to the HITL stream that waits.",
        variants={"api": _by_api, "signal": _by_signal},
    ),
    "reject": Verb(
        "A reviewer rejects: by the backend's API, or by a signal to the HITL stream that waits.",
        variants={"api": _by_api, "signal": {**_by_signal, "reason": _reason}},
    ),
    "record": Verb(
        "Somebody calls Aura's record endpoint.",
        {
            "case": _a_case,
            "request": Argument("The request id; one of its own where none is named.", NEW_NAME),
            "approved": Argument("The decision.", BOOLEAN, required=True),
            "user": _user,
            "document": _document,
            "comment": _comment,
        },
    ),
    "publish": Verb(
        "The run itself publishes a message, to see what its readers make of it.",
        {
            "channel": Argument("The Redis channel.", TEXT, required=True),
            "about": Argument("What the message is for.", TEXT, required=True),
            "json": Argument("The message, as JSON.", OBJECT),
            "text": Argument("The message, as text that need not be JSON.", TEXT),
            "base64": Argument("The message, as bytes.", BASE64),
            "ids": Argument(
                "Fields that are added to `json`: field to the name of a case, a document or a request, "
                "whose id becomes the value.",
                OBJECT,
            ),
            "readable": Argument("Whether a reader can make anything of it.", BOOLEAN, default=True),
        },
        one_of=("json", "text", "base64"),
    ),
    "open viewer": Verb("A person opens the workbench.", {"viewer": _a_viewer}, short="viewer"),
    "close viewer": Verb("A person closes the workbench.", {"viewer": _a_viewer}, short="viewer"),
    "cut": Verb(
        "The network breaks between Redis and a seat, or between a viewer and the backend.",
        {"seat": _seat, "viewer": _viewer},
        one_of=("seat", "viewer"),
    ),
    "restore": Verb(
        "The network works again; what reconnects has reconnected before the next step.",
        {"seat": _seat, "viewer": _viewer},
        one_of=("seat", "viewer"),
    ),
    "stop redis": Verb(
        "Redis goes away with all its keys: our own server is stopped, the embedded one emptied and disconnected."
    ),
    "start redis": Verb("Redis is back, empty; what subscribed has subscribed again before the next step."),
    "wait": Verb(
        "Time passes: virtual time in process, wall time otherwise. `timeout` is the configured HITL timeout.",
        {"for": Argument("How long.", DURATION_KIND, required=True)},
        short="for",
    ),
}

_fields = Argument("Fields that it has to have, with these values; it may have others.", OBJECT)
_about_it: Mapping[str, Argument] = {"case": _case, "request": _its_request, "rag": _its_rag}
_publish: Mapping[str, Argument] = {
    "by": Argument("Who publishes it.", one_of("aura", "synapse", "harness")),
    "channel": Argument("The Redis channel; any where none is named.", TEXT),
    **_about_it,
    "fields": _fields,
}
_notification: Mapping[str, Argument] = {
    **_about_it,
    "fields": Argument("Fields of NotificationDto that it has to have, with these values.", OBJECT),
}
_refetch: Mapping[str, Argument] = {
    "viewer": _a_viewer,
    "because": Argument(
        "Of a notification, or of what it found when it caught up.", one_of("notification", "catch-up")
    ),
    "sees": Argument("The status that every document on the screen has then.", TEXT),
}
_feedback: Mapping[str, Argument] = {"case": _case, "request": _its_request, "fields": _fields}

EXPECTING: Mapping[str, Verb] = {
    "expect answer": Verb(
        "A call that a step made is answered so.",
        {
            "by": Argument("Who answers.", one_of("aura", "synapse"), required=True),
            "status": Argument("The HTTP status.", COUNT, required=True),
            "case": _case,
            "fields": Argument("Fields of the JSON in the answer.", OBJECT),
            "times": _times,
        },
    ),
    "expect publish": Verb(
        "A message passes over Redis.",
        {**_publish, "by": Argument("Who publishes it.", _publish["by"].kind, required=True), "times": _times},
    ),
    "expect notification": Verb(
        "A notification is stored and broadcast to the browsers.", {**_notification, "times": _times}
    ),
    "expect refetch": Verb(
        "A viewer reads case detail and document again.", {**_refetch, "times": _times}, short="viewer"
    ),
    "expect document": Verb(
        "The document has this status in the backend's database.",
        {
            "document": Argument(_document.about, DOCUMENT, required=True),
            "status": Argument("Its status.", TEXT, required=True),
        },
    ),
    "expect feedback": Verb("Aura writes a feedback line.", {**_feedback, "times": _times}),
    "expect no publish": Verb("No such message passes over Redis that no other expectation accounts for.", _publish),
    "expect no notification": Verb(
        "No such notification reaches the browsers that no other expectation accounts for.", _notification
    ),
    "expect no refetch": Verb(
        "The viewer does not refetch, but for what another expectation accounts for.", _refetch, short="viewer"
    ),
    "expect no feedback": Verb("No such feedback line is written that no other expectation accounts for.", _feedback),
}
UNORDERED = "unordered"
UNORDERED_ABOUT = "Expectations of one kind that may come in any order."

GIVEN: Mapping[str, tuple[str, Mapping[str, Argument]]] = {
    "cases": (
        "Cases that the backend knows.",
        {
            "tenant": Argument("Whose it is.", WHOLE, default=7),
            "copies": Argument("How many cases this name stands for; a step on it is done to all at once.", COUNT),
        },
    ),
    "documents": (
        "Documents that the backend knows.",
        {
            "case": Argument("The case that it belongs to.", CASE, required=True),
        },
    ),
    "viewers": (
        "Workbenches that are open when the story begins.",
        {
            "shows": Argument("The case on the screen.", CASE, required=True),
            "tenant": Argument("Whose it is.", WHOLE, default=7),
            "by": Argument("How it hears of what happens.", one_of("stomp", "sse", "polling"), default="stomp"),
            "open": Argument("Whether it is open when the story begins.", BOOLEAN, default=True),
        },
    ),
}
SETTINGS: Mapping[str, Argument] = {
    "backend_publishes": Argument(
        "Whether the backend publishes case_action_completed of its own after its commit.", BOOLEAN, default=False
    ),
}


def json_schema() -> dict[str, Any]:
    """The schema of a scenario file in draft-07, which the editors' language servers read."""
    verbs = {name: verb.schema() for name, verb in {**DOING, **EXPECTING}.items()}
    expectations = {name: {"$ref": f"#/definitions/step/properties/{name.replace(' ', '%20')}"} for name in EXPECTING}
    one = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    group = {
        "description": UNORDERED_ABOUT,
        "type": "array",
        "minItems": 2,
        "items": {**one, "properties": expectations},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": SCHEMA_TITLE,
        "type": "object",
        "required": ["title", "steps"],
        "additionalProperties": False,
        "properties": {
            "title": {"description": "The story in one sentence.", **TEXT.schema()},
            "given": _given_schema(),
            "steps": {
                "description": "What happens, and what is expected of it.",
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/definitions/step"},
                "contains": {"anyOf": [{"required": [name]} for name in (*EXPECTING, UNORDERED)]},
            },
        },
        "definitions": {"step": {**one, "properties": {**verbs, UNORDERED: group}}},
    }


def _given_schema() -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for part, (about, arguments) in GIVEN.items():
        one = _object(arguments)
        empty = [] if "required" in one else [{"type": "null"}]
        parts[part] = {
            "description": about,
            "type": "object",
            "additionalProperties": {"anyOf": [one, *empty]} if empty else one,
        }
    parts["settings"] = {"description": "Settings of the simulated systems.", **_object(SETTINGS)}
    about = "What is there when the story begins."
    return {"description": about, "type": "object", "properties": parts, "additionalProperties": False}
