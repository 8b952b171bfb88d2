"""Says of each expectation of a scenario whether a history keeps it, and at which hop the story stopped if not.

Pure, like a check: it needs the scenario and its history. The runner asks it while it waits, a person afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history import Event, History
from harness.hops import DOCUMENT, Stop, around, own_hop, stopped, stopped_before
from harness.matching import Block, Ids, assigned, blocks, document_status, fits, reads, shown
from harness.recorded import scenario_of
from harness.scenario import Scenario, Step
from harness.verdict import Outcome

_NEEDS = {
    "answer": "http",
    "publish": "redis",
    "notification": "stomp",
    "refetch": "rest",
    "document": "rest",
    "feedback": "feedback",
}
"""What a run has to see, in the words of its `reach`, to say anything of an expectation."""


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

    @property
    def wrong(self) -> Mapping[str, Judged]:
        """Those that were not kept, by where they stand in the file."""
        return {each.step.where: each for each in self.expectations if each.outcome != "kept"}


def judge(told: Scenario, history: Sequence[Event]) -> tuple[Judged, ...]:
    """One for each expectation, in the order of the file.

    The runner records `step` {do: "given", scenario: name, file: its name, text: all of it, ids: {cases, documents,
    requests, rag, actions: {name: [id, …]}}} before the first step, and `step` {do: verb, step: index, line: n} when a
    step begins; with `unproven: reason` for one that this run cannot play. An expectation looks at what happened since
    the last steps that did something began, up to the next such step. Each event accounts for one expectation. Order
    counts among events of one kind, for two transports may be seen in either order. What the run cannot see is out of
    its `reach`, and neither expected nor forbidden things are said of it.
    """
    ids = ids_of(history)
    found: list[Judged] = []
    impossible = next((event for event in history if event.kind == "step" and event.data.get("unproven")), None)
    reach = frozenset(need for event in history if event.kind == "run" for need in event.data["reach"])
    for block in blocks(told, history):
        found += _judged(block, ids, history, impossible, reach)
    return tuple(found)


def rejudge(history: History) -> JudgedScenario | None:
    """The scenario that a history was recorded of, from its own text; None for one of something else.

    Raises UsageError for what no player can have written.
    """
    played = scenario_of(history)
    return None if played is None else judged(played, history)


def judged(told: Scenario, history: History) -> JudgedScenario:
    """In a history that was cut off, what did not come is unproven, and so is what must not come, unless a later step
    had begun to do something."""
    found = judge(told, history)
    if not history.complete:
        last = [block for block in blocks(told, history) if block.begun][-1:]
        going_on = {part.where for block in last for step in block.expecting for part in step.expectations}
        found = tuple(_perhaps_later(each, each.step.where in going_on) for each in found)
    return JudgedScenario(told, found, history)


def _perhaps_later(found: Judged, going_on: bool) -> Judged:
    """What is said of an expectation whose run was cut off. `going_on` is whether it could still have come."""
    forbids = " no " in found.step.verb
    if (found.outcome == "broken" and not forbids) or (found.outcome == "kept" and forbids and going_on):
        return Judged(found.step, "unproven", found.expected, seen="the run was cut off")
    return found


def ids_of(history: Sequence[Event]) -> Ids:
    """What the names of the scenario stand for in this run."""
    given = (event for event in history if event.kind == "step" and event.data.get("do") == "given")
    return next((event.data["ids"] for event in given), {})


def _judged(
    block: Block, ids: Ids, history: Sequence[Event], impossible: Event | None, reach: Collection[str]
) -> Iterator[Judged]:
    matched = assigned(block, ids)
    taken = {event.seq for events in matched.values() for event in events}
    stops: list[tuple[Step, Stop]] = []
    for group in block.expecting:
        began = block.begun.get(group.where)
        for step in group.expectations:
            if impossible is not None and (began is None or began.seq >= impossible.seq):
                yield Judged(step, "unproven", _words(step), seen=str(impossible.data["unproven"]))
            elif began is None:
                yield Judged(step, "unproven", _words(step), seen="the run did not come as far as this step")
            elif (need := _NEEDS[step.verb.rpartition(" ")[2]]) not in reach:
                yield Judged(step, "unproven", _words(step), seen=f"out of reach: needs {need}")
            elif " no " in step.verb:
                yield _nothing(block, step, ids, taken, history)
            elif step.verb == "expect document":
                yield _document(block, step, began, ids, history)
            else:
                yield _something(block, step, ids, matched[step.where], taken, history, stops)


def _something(
    block: Block,
    step: Step,
    ids: Ids,
    events: tuple[Event, ...],
    taken: set[int],
    history: Sequence[Event],
    stops: list[tuple[Step, Stop]],
) -> Judged:
    """`stops` are those of the expectations before it, and this one's is added to them."""
    seqs = tuple(event.seq for event in events)
    times = step.arguments["times"]
    if len(events) == times:
        return Judged(step, "kept", _words(step), events=seqs)
    stop = stopped_before(block, step, stops) or stopped(block, step, ids, taken)
    stops.append((step, stop))
    seen = stop.said if times == 1 else f"{len(events)} of {times}; {stop.said}"
    meant = (*seqs, *(event.seq for event in stop.near))
    beside = around(block, stop.near or stop.before, history)
    return Judged(step, "broken", _words(step), seen, stop.hop, stop.seat, meant, beside)


def _nothing(block: Block, step: Step, ids: Ids, taken: set[int], history: Sequence[Event]) -> Judged:
    unwanted = [event for event in block.events if event.seq not in taken and fits(step, event, ids)]
    if not unwanted:
        return Judged(step, "kept", _words(step))
    hop, seat = own_hop(step)
    if seat is None or step.verb == "expect no publish":
        seat = unwanted[0].seat
    seen = "it came" if len(unwanted) == 1 else f"it came {len(unwanted)} times"
    seqs = tuple(event.seq for event in unwanted)
    return Judged(step, "broken", _words(step), seen, hop, seat or "", seqs, around(block, unwanted, history))


def _document(block: Block, step: Step, began: Event, ids: Ids, history: Sequence[Event]) -> Judged:
    """The last answer to a GET of the document since this step began, or the group that it is of."""
    keys = set(ids.get("documents", {}).get(step.arguments["document"], ()))
    answers = [
        event
        for event in block.events
        if event.kind == "http" and event.seat == "synapse" and event.seq > began.seq and reads(event, keys)
    ]
    wanted = step.arguments["status"]
    last = answers[-1:]
    status = document_status(last[0]) if last else None
    if last and status == wanted:
        return Judged(step, "kept", _words(step), events=(last[0].seq,))
    seen = f"its status is {shown(status)}" if last else "nobody read it"
    seqs = tuple(event.seq for event in last)
    return Judged(step, "broken", _words(step), seen, DOCUMENT, "synapse", seqs, around(block, last, history))


def _words(step: Step) -> str:
    """What is expected, in one line, as the file says it."""
    arguments = {key: value for key, value in step.arguments.items() if (key, value) != ("times", 1)}
    return f"{step.verb}: " + ", ".join(f"{key} {_plain(value)}" for key, value in arguments.items())


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
