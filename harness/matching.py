"""Which events of a history account for which expectation of a scenario. Each event accounts for one.

Order counts among events of one kind only, for two transports may be seen in either order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history import Event, decode
from harness.scenario import Scenario, Step

FIELDS = {"case": ("cases", "case_id"), "request": ("requests", "request_id"), "rag": ("rag", "rag_document_id")}
_ABSENT: Any = object()

Ids = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Block:
    """Steps that do something, and the expectations behind them, with the events from its start to the next's."""

    doing: tuple[Step, ...]
    expecting: tuple[Step, ...]
    begun: Mapping[str, Event]
    """The `step` events, by the `where` of the step: several may stand in one line."""
    events: tuple[Event, ...]


def blocks(told: Scenario, history: Sequence[Event]) -> Iterator[Block]:
    """The parts of a story in their order, those that did not begin too."""
    begun = {event.data["step"]: event for event in history if event.kind == "step" and "step" in event.data}
    groups: list[list[int]] = []
    for index, step in enumerate(told.steps):
        follows = groups and (step.expects or not told.steps[groups[-1][-1]].expects)
        if follows:
            groups[-1].append(index)
        else:
            groups.append([index])
    starts = [next((begun[i].seq for i in group if i in begun), None) for group in groups]
    for number, group in enumerate(groups):
        steps = [told.steps[index] for index in group]
        start = starts[number]
        end = next((seq for seq in starts[number + 1 :] if seq is not None), None)
        yield Block(
            doing=tuple(step for step in steps if not step.expects),
            expecting=tuple(step for step in steps if step.expects),
            begun={told.steps[index].where: begun[index] for index in group if index in begun},
            events=()
            if start is None
            else tuple(e for e in history if start <= e.seq and (end is None or e.seq < end)),
        )


def assigned(block: Block, ids: Ids) -> dict[str, tuple[Event, ...]]:
    """The events of each expectation that asks for some, by its `where`.

    In the order of the file; in an unordered group the one that asks for most goes first.
    """
    found: dict[str, tuple[Event, ...]] = {}
    taken: set[int] = set()
    reached: dict[tuple[str, str], int] = {}
    for group in block.expecting:
        ends: dict[tuple[str, str], int] = {}
        for step in sorted(group.expectations, key=_asked, reverse=True):
            if not _positive(step):
                continue
            kind = (step.verb, step.arguments.get("viewer", ""))
            after = reached.get(kind, -1) if step.verb != "expect answer" else -1
            fitting = [e for e in block.events if e.seq not in taken and e.seq > after and fits(step, e, ids)]
            events = tuple(fitting[: step.arguments["times"]])
            found[step.where] = events
            taken |= {event.seq for event in events}
            ends[kind] = max((ends.get(kind, -1), *(event.seq for event in events)))
        for kind, end in ends.items():
            reached[kind] = max(reached.get(kind, -1), end)
    return found


def _positive(step: Step) -> bool:
    return " no " not in step.verb and step.verb != "expect document"


def _asked(step: Step) -> int:
    """How much it asks for."""
    fields = step.arguments.get("fields", {})
    return len(step.arguments) + len(json.dumps(fields, ensure_ascii=False))


def fits(step: Step, event: Event, ids: Ids) -> bool:
    """Whether it is what is expected in every respect."""
    return is_meant(step, event, ids) and not any(differences(step, event))


def is_meant(step: Step, event: Event, ids: Ids) -> bool:
    """Whether it is of the kind that is expected, and about the same thing."""
    kind = step.verb.removeprefix("expect ").removeprefix("no ")
    return _IS[kind](step.arguments, event) and is_about(step.arguments, event, ids)


def _is_answer(arguments: Mapping[str, Any], event: Event) -> bool:
    # What a step calls is a POST; the GETs are the viewers' and the run's own.
    return event.kind == "http" and event.seat == arguments["by"] and event.data.get("method") == "POST"


def _is_publish(arguments: Mapping[str, Any], event: Event) -> bool:
    if event.kind != "published" or not str(event.data.get("channel", "")).startswith("workbench:"):
        return False
    return arguments.get("by") in (None, _producer(event)) and arguments.get("channel") in (None, event.data["channel"])


def _producer(event: Event) -> str:
    """Of a live seat the tap does not know whose a message is; its shape tells the backend's from Aura's."""
    if event.seat is not None:
        return event.seat
    return "synapse" if mapping(value_of(event)).get("type") == "case_action_completed" else "aura"


def _is_refetch(arguments: Mapping[str, Any], event: Event) -> bool:
    return (
        event.kind == "refetch"
        and event.data.get("viewer") == arguments["viewer"]
        and event.data.get("reason") != "opened"
    )


_IS: Mapping[str, Callable[[Mapping[str, Any], Event], bool]] = {
    "answer": _is_answer,
    "publish": _is_publish,
    "notification": lambda arguments, event: event.kind == "broadcast",
    "refetch": _is_refetch,
    "feedback": lambda arguments, event: event.kind == "feedback",
}


def is_about(arguments: Mapping[str, Any], event: Event, ids: Ids) -> bool:
    """Whether an event names the ids that the expectation's names stand for."""
    for key, (part, name) in FIELDS.items():
        if key not in arguments:
            continue
        known = ids.get(part, {}).get(arguments[key], ())
        if event.kind == "http":
            actions = ids.get("actions", {}).get(arguments[key], ()) if key == "case" else ()
            if not _named_in_call(event, {*known, *actions}):
                return False
        elif _field(event, name) not in known:
            return False
    return True


def _named_in_call(event: Event, known: set[str]) -> bool:
    body = _content(event, "body")
    values = {str(value) for value in body.values()} if isinstance(body, dict) else set()
    return bool(known & ({*str(event.data.get("path", "")).split("/")} | values | {*event.about.values()}))


def _field(event: Event, name: str) -> Any:
    value = value_of(event)
    if event.kind in ("broadcast", "stored"):
        value = value.get("payload") if isinstance(value, dict) else None
    if event.kind == "refetch":
        return event.data.get(name.removesuffix("_id"))
    return value.get(name) if isinstance(value, dict) else None


def value_of(event: Event) -> Any:
    """The JSON of an event, None where it is none."""
    match event.kind:
        case "http":
            return _content(event, "answer")
        case "published":
            return _content(event, "wire")
        case "broadcast":
            return _content(event, "body")
        case "feedback":
            return _content(event, "line")
        case "stored":
            return event.data.get("notification")
    return dict(event.data)


def _content(event: Event, name: str) -> Any:
    try:
        return json.loads(decode(event.data.get(name, "")))
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def differences(step: Step, event: Event) -> Iterator[str]:
    """Where an event is not as it is expected, in words."""
    arguments = step.arguments
    if "status" in arguments and event.data.get("status") != arguments["status"]:
        yield f"status is {event.data.get('status')}, expected {arguments['status']}"
    if "because" in arguments and event.data.get("reason") != arguments["because"]:
        yield f"it came because of {event.data.get('reason')}, expected {arguments['because']}"
    if "sees" in arguments:
        documents = mapping(mapping(event.data.get("seen")).get("documents"))
        for key, status in documents.items() if documents else [("no document", None)]:
            if status != arguments["sees"]:
                yield f"the screen shows {key} as {status}, expected {arguments['sees']}"
    value = value_of(event) if "fields" in arguments else None
    yield from _fields_differ(arguments.get("fields", {}), value, "")


def _fields_differ(wanted: Mapping[str, Any], found: Any, at: str) -> Iterator[str]:
    if not isinstance(found, dict):
        if wanted:
            yield f"{at or 'it'} is no JSON object, expected one"
        return
    for name, value in wanted.items():
        seen = found.get(name, _ABSENT)
        if isinstance(value, dict) and isinstance(seen, dict):
            yield from _fields_differ(value, seen, f"{at}{name}.")
        elif type(seen) is bool or type(value) is bool:
            if seen is not value:
                yield f"{at}{name} is {shown(seen)}, expected {shown(value)}"
        elif seen != value:
            yield f"{at}{name} is {shown(seen)}, expected {shown(value)}"


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def shown(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)


def reads(event: Event, keys: set[str]) -> bool:
    """Whether it is a GET of a document with one of these keys."""
    path = str(event.data.get("path", ""))
    return event.data.get("method") == "GET" and "/documents/" in path and path.rpartition("/")[2] in keys


def document_status(event: Event) -> Any:
    """Bare, or in the envelope of the backend's answers."""
    answer = mapping(_content(event, "answer"))
    inner = mapping(answer.get("data"))
    return inner.get("status", inner.get("statusCode")) if inner else answer.get("status")
