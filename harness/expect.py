"""Says of each expectation of a scenario whether a history keeps it, and at which hop the story stopped if not.

Pure, like a check: it needs the scenario and its history. The runner asks it while it waits, a person afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import scenario
from harness.history import Event, History, decode
from harness.redaction import redacted
from harness.scenario import Scenario, Step
from harness.verdict import Outcome

ANSWER, MESSAGE, ROW, FRAME, REFETCH = HOPS = (
    "HTTP answer",
    "Redis message",
    "stored row",
    "STOMP frame",
    "refetch",
)
FEEDBACK, DOCUMENT = "feedback line", "document status"
SIGNALS = "hitl:channel:{session}"
AROUND = 3
"""How many events before and behind the place are shown with a broken expectation."""

_FIELDS = {"case": ("cases", "case_id"), "request": ("requests", "request_id"), "rag": ("rag", "rag_document_id")}
_ABSENT: Any = object()

Ids = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Judged:
    """`hop` and `seat` say where the story stopped and who had to go on; `events` are the `seq` of what is meant."""

    step: Step
    outcome: Outcome
    expected: str
    seen: str = ""
    hop: str = ""
    seat: str = ""
    events: tuple[int, ...] = ()
    around: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedScenario:
    """The scenario of a run, what became of its expectations, and what was observed."""

    scenario: Scenario
    expectations: tuple[Judged, ...]
    history: History

    @property
    def outcome(self) -> Outcome:
        outcomes = {each.outcome for each in self.expectations}
        return "broken" if "broken" in outcomes else "unproven" if "unproven" in outcomes else "kept"


@dataclass(frozen=True, slots=True)
class _Stop:
    """Where a story stopped, whose turn it was, and what is wrong: with the event `near`, or, where nothing came, with
    what followed the one `before`."""

    hop: str
    seat: str
    said: str
    near: tuple[Event, ...] = ()
    before: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class _Block:
    """Steps that do something, and the expectations behind them, with the events from its start to the next's."""

    doing: tuple[Step, ...]
    expecting: tuple[Step, ...]
    begun: Mapping[int, Event]
    """The `step` events, by the line of the step."""
    events: tuple[Event, ...]


def judge(told: Scenario, history: Sequence[Event]) -> tuple[Judged, ...]:
    """One for each expectation, in the order of the file.

    The runner records `step` {do: "given", scenario: name, file: its name, text: all of it, ids: {cases, documents,
    requests, rag, actions: {name: [id, …]}}} before the first step, and `step` {do: verb, step: index, line: n} when a
    step begins; with `unproven: reason` for one that this run cannot play. An expectation looks at what happened since
    the last steps that did something began, up to the next such step. Each event accounts for one expectation. Order
    counts among events of one kind, for two transports may be seen in either order.
    """
    ids = ids_of(history)
    judged: list[Judged] = []
    impossible = next((event for event in history if event.kind == "step" and event.data.get("unproven")), None)
    for block in _blocks(told, history):
        judged += _judged(block, ids, history, impossible)
    return tuple(judged)


def rejudge(history: History) -> JudgedScenario | None:
    """The scenario that a history was recorded of, from its own text; None for one of something else.

    In a history that was cut off, what did not come is unproven. Raises ScenarioError where the text does not load.
    """
    given = _given(history)
    if "text" not in given:
        return None
    played = scenario.parse(given["text"], Path(f"{given['scenario']}.yaml"), given.get("file"))
    judged = judge(played, history)
    if not history.complete:
        judged = tuple(_perhaps_later(each) for each in judged)
    return JudgedScenario(played, judged, history)


def _perhaps_later(judged: Judged) -> Judged:
    if judged.outcome != "broken" or " no " in judged.step.verb:
        return judged
    return Judged(judged.step, "unproven", judged.expected, seen="the run was cut off")


def satisfied(told: Scenario, history: Sequence[Event], step: Step) -> bool:
    """Whether everything that this step expects is kept by what has happened so far."""
    meant = {part.where for part in step.expectations}
    return all(each.outcome == "kept" for each in judge(told, history) if each.step.where in meant)


def ids_of(history: Sequence[Event]) -> Ids:
    """What the names of the scenario stand for in this run."""
    ids: Ids = _given(history).get("ids", {})
    return ids


def _given(history: Sequence[Event]) -> Mapping[str, Any]:
    found = (event.data for event in history if event.kind == "step" and event.data.get("do") == "given")
    return next(found, {})


def _blocks(told: Scenario, history: Sequence[Event]) -> Iterator[_Block]:
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
        yield _Block(
            doing=tuple(step for step in steps if not step.expects),
            expecting=tuple(step for step in steps if step.expects),
            begun={told.steps[index].line: begun[index] for index in group if index in begun},
            events=()
            if start is None
            else tuple(e for e in history if start <= e.seq and (end is None or e.seq < end)),
        )


def _judged(block: _Block, ids: Ids, history: Sequence[Event], impossible: Event | None) -> Iterator[Judged]:
    matched = _assigned(block, ids)
    taken = {event.seq for events in matched.values() for event in events}
    stops: list[tuple[Step, _Stop]] = []
    for group in block.expecting:
        began = block.begun.get(group.line)
        for step in group.expectations:
            if impossible is not None and (began is None or began.seq >= impossible.seq):
                yield Judged(step, "unproven", _words(step), seen=str(impossible.data["unproven"]))
            elif began is None:
                yield Judged(step, "unproven", _words(step), seen="the run did not come as far as this step")
            elif " no " in step.verb:
                yield _nothing(block, step, ids, taken, history)
            elif step.verb == "expect document":
                yield _document(block, step, ids, history)
            else:
                yield _something(block, step, ids, matched[step.where], taken, history, stops)


# ---- Which event accounts for which expectation ---------------------------------------------------------------------


def _assigned(block: _Block, ids: Ids) -> dict[str, tuple[Event, ...]]:
    """In the order of the file; in an unordered group the one that asks for most goes first."""
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
            fitting = [e for e in block.events if e.seq not in taken and e.seq > after and _fits(step, e, ids)]
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


def _fits(step: Step, event: Event, ids: Ids) -> bool:
    return _is_meant(step, event, ids) and not any(_differences(step, event))


def _is_meant(step: Step, event: Event, ids: Ids) -> bool:
    """Whether it is of the kind that is expected, and about the same thing."""
    kind = step.verb.removeprefix("expect ").removeprefix("no ")
    return _IS[kind](step.arguments, event) and _is_about(step.arguments, event, ids)


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
    return "synapse" if _mapping(_value(event)).get("type") == "case_action_completed" else "aura"


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


def _is_about(arguments: Mapping[str, Any], event: Event, ids: Ids) -> bool:
    """Whether an event names the ids that the expectation's names stand for."""
    for key, (part, name) in _FIELDS.items():
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
    value = _value(event)
    if event.kind in ("broadcast", "stored"):
        value = value.get("payload") if isinstance(value, dict) else None
    if event.kind == "refetch":
        return event.data.get(name.removesuffix("_id"))
    return value.get(name) if isinstance(value, dict) else None


def _value(event: Event) -> Any:
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


def _differences(step: Step, event: Event) -> Iterator[str]:
    """Where an event is not as it is expected, in words."""
    arguments = step.arguments
    if "status" in arguments and event.data.get("status") != arguments["status"]:
        yield f"status is {event.data.get('status')}, expected {arguments['status']}"
    if "because" in arguments and event.data.get("reason") != arguments["because"]:
        yield f"it came because of {event.data.get('reason')}, expected {arguments['because']}"
    if "sees" in arguments:
        documents = _mapping(_mapping(event.data.get("seen")).get("documents"))
        for key, status in documents.items() if documents else [("no document", None)]:
            if status != arguments["sees"]:
                yield f"the screen shows {key} as {status}, expected {arguments['sees']}"
    value = _value(event) if "fields" in arguments else None
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
                yield f"{at}{name} is {_shown(seen)}, expected {_shown(value)}"
        elif seen not in (value, redacted(value, name)):  # people's text may have been taken out
            yield f"{at}{name} is {_shown(seen)}, expected {_shown(value)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)


# ---- What is said of an expectation ---------------------------------------------------------------------------------


def _something(
    block: _Block,
    step: Step,
    ids: Ids,
    events: tuple[Event, ...],
    taken: set[int],
    history: Sequence[Event],
    stops: list[tuple[Step, _Stop]],
) -> Judged:
    """`stops` are those of the expectations before it, and this one's is added to them."""
    seqs = tuple(event.seq for event in events)
    times = step.arguments["times"]
    if len(events) == times:
        return Judged(step, "kept", _words(step), events=seqs)
    stop = _stopped_before(block, step, stops) or _stopped(block, step, ids, taken)
    stops.append((step, stop))
    seen = stop.said if times == 1 else f"{len(events)} of {times}; {stop.said}"
    shown = (*seqs, *(event.seq for event in stop.near))
    around = _around(block, stop.near or stop.before, history)
    return Judged(step, "broken", _words(step), seen, stop.hop, stop.seat, shown, around)


def _nothing(block: _Block, step: Step, ids: Ids, taken: set[int], history: Sequence[Event]) -> Judged:
    unwanted = [event for event in block.events if event.seq not in taken and _fits(step, event, ids)]
    if not unwanted:
        return Judged(step, "kept", _words(step))
    hop, seat = _own_hop(step)
    if seat is None or step.verb == "expect no publish":
        seat = unwanted[0].seat
    seen = "it came" if len(unwanted) == 1 else f"it came {len(unwanted)} times"
    seqs = tuple(event.seq for event in unwanted)
    return Judged(step, "broken", _words(step), seen, hop, seat or "", seqs, _around(block, unwanted, history))


def _document(block: _Block, step: Step, ids: Ids, history: Sequence[Event]) -> Judged:
    """The last answer to a GET of the document since this step began."""
    keys = set(ids.get("documents", {}).get(step.arguments["document"], ()))
    began = block.begun[step.line].seq
    answers = [
        event
        for event in block.events
        if event.kind == "http" and event.seat == "synapse" and event.seq > began and _reads(event, keys)
    ]
    wanted = step.arguments["status"]
    last = answers[-1:]
    status = _document_status(last[0]) if last else None
    if last and status == wanted:
        return Judged(step, "kept", _words(step), events=(last[0].seq,))
    seen = f"its status is {_shown(status)}" if last else "nobody read it"
    seqs = tuple(event.seq for event in last)
    return Judged(step, "broken", _words(step), seen, DOCUMENT, "synapse", seqs, _around(block, last, history))


def _reads(event: Event, keys: set[str]) -> bool:
    path = str(event.data.get("path", ""))
    return event.data.get("method") == "GET" and "/documents/" in path and path.rpartition("/")[2] in keys


def _document_status(event: Event) -> Any:
    """Bare, or in the envelope of the backend's answers."""
    answer = _mapping(_content(event, "answer"))
    inner = _mapping(answer.get("data"))
    return inner.get("status", inner.get("statusCode")) if inner else answer.get("status")


def _own_hop(step: Step) -> tuple[str, str | None]:
    match step.verb.rpartition(" ")[2]:
        case "answer":
            return ANSWER, step.arguments["by"]
        case "publish":
            return MESSAGE, step.arguments.get("by")
        case "notification":
            return FRAME, "synapse"
        case "feedback":
            return FEEDBACK, "aura"
    return REFETCH, "workbench"


def _stopped_before(block: _Block, step: Step, stops: Sequence[tuple[Step, _Stop]]) -> _Stop | None:
    """What did not come to a hop does not come to a later one, whatever else came there."""
    own, _ = _own_hop(step)
    about = _about_what(block, step)
    for earlier, stop in stops:
        other = _about_what(block, earlier)
        same = all(about[name] == other[name] for name in about.keys() & other.keys())
        if same and not stop.near and {own, stop.hop} <= set(HOPS) and HOPS.index(stop.hop) < HOPS.index(own):
            return stop
    return None


def _stopped(block: _Block, step: Step, ids: Ids, taken: set[int]) -> _Stop:
    own, owner = _own_hop(step)
    near = [event for event in block.events if _is_meant(step, event, ids) and event.seq not in taken][-1:]
    if near:
        wrong = "; ".join(_differences(step, near[0]))
        said = wrong or "it came, but out of order; list them under `unordered` if the order does not matter"
        row = next((event for event in block.events if own == FRAME and _is_row_of(event, near[0])), None)
        hop = ROW if row is not None and any(_differences(step, row)) else own
        return _Stop(hop, owner or "", said, near=tuple(near))
    about = _about_what(block, step)
    before: tuple[Event, ...] = ()
    for hop in _hops_before(block, own):
        found = [event for event in block.events if _at_hop(hop, event) and _is_about(about, event, ids)]
        if hop == ANSWER:
            found = found or [event for event in block.events if _at_hop(hop, event)]
            refused = tuple(event for event in found if event.data.get("status") not in range(200, 300))[-1:]
            if refused:
                status = refused[0].data.get("status")
                said = f"the call was answered {status or 'not at all'}"
                return _Stop(hop, refused[0].seat or "", said, near=refused)
        if not found:
            return _Stop(hop, _keeper(block, hop), f"there was no {hop}", before=before)
        before = tuple(found[-1:])
        if hop != ANSWER and len(found) < step.arguments["times"]:
            return _Stop(hop, _keeper(block, hop), f"of what it takes, a {hop}, there were {len(found)}", near=before)
        if hop == ANSWER and _unsignalled(block):
            return _Stop(MESSAGE, "synapse", f"the backend published no answer on {SIGNALS}", before=before)
    return _Stop(own, owner or "", f"there was no {own}", before=before)


def _unsignalled(block: _Block) -> bool:
    """Whether somebody answered Aura's question at the backend, and nothing was published for Aura."""
    answered = any(_calls(step) and step.arguments.get("by") == "signal" for step in block.doing)
    return answered and not any(event.kind == "hitl_signal" for event in block.events)


def _is_row_of(row: Event, frame: Event) -> bool:
    return row.kind == "stored" and row.data.get("id") == _mapping(_value(frame)).get("id")


def _about_what(block: _Block, step: Step) -> dict[str, str]:
    """What the story is about: as the expectation says, else the only case of the steps before it."""
    about = {key: step.arguments[key] for key in _FIELDS if key in step.arguments}
    cases = {doing.arguments["case"] for doing in block.doing if "case" in doing.arguments}
    if not about and len(cases) == 1:
        about["case"] = cases.pop()
    return about


def _hops_before(block: _Block, own: str) -> tuple[str, ...]:
    """The hops that the story had to take to get there: from the call on, if there was one."""
    end = HOPS.index(MESSAGE if own == FEEDBACK else own)
    if any(_calls(step) for step in block.doing):
        return HOPS[:end]
    if any(step.verb in _TELLING for step in block.doing):
        return HOPS[1:end]
    return ()


_TELLING = ("detect", "rag", "publish", "wait", "request approval", "approve", "reject")


def _calls(step: Step) -> bool:
    """Whether a step is an HTTP call; a signal for a session of its own is published directly."""
    return step.verb in ("approve", "reject", "record") and "session" not in step.arguments


def _at_hop(hop: str, event: Event) -> bool:
    if hop == ANSWER:
        return event.kind == "http" and event.data.get("method") == "POST"
    if hop == MESSAGE:
        return event.kind == "published" and str(event.data.get("channel", "")).startswith("workbench:")
    return event.kind == {ROW: "stored", FRAME: "broadcast", REFETCH: "refetch"}[hop]


def _keeper(block: _Block, hop: str) -> str:
    if hop == ANSWER:
        return "aura" if any(step.verb == "record" for step in block.doing) else "synapse"
    if hop == MESSAGE:
        return "harness" if block.doing and all(step.verb == "publish" for step in block.doing) else "aura"
    return "workbench" if hop == REFETCH else "synapse"


def _around(block: _Block, near: Sequence[Event], history: Sequence[Event]) -> tuple[Event, ...]:
    """The events beside this one; where there is none, the last of the block."""
    seen = [event for event in history if event.kind != "run"]
    place = near[-1].seq if near else block.events[-1].seq if block.events else -1
    index = next((i for i, event in enumerate(seen) if event.seq == place), len(seen) - 1)
    return tuple(seen[max(0, index - AROUND) : index + AROUND + 1])


def _words(step: Step) -> str:
    """What is expected, in one line, as the file says it."""
    arguments = {key: value for key, value in step.arguments.items() if (key, value) != ("times", 1)}
    return f"{step.verb}: " + ", ".join(f"{key} {_plain(value)}" for key, value in arguments.items())


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
