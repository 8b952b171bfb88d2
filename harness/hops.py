"""At which hop a story stopped, whose turn it was, and which events show it.

A story goes from hop to hop: what did not come to one does not come to a later one, and only the seat that had to take
the first missing hop is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.history import Event
from harness.matching import FIELDS, Block, Ids, differences, is_about, is_meant, mapping, value_of
from harness.scenario import Step

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


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a story stopped, whose turn it was, and what is wrong: with the event `near`, or, where nothing came, with
    what followed the one `before`."""

    hop: str
    seat: str
    said: str
    near: tuple[Event, ...] = ()
    before: tuple[Event, ...] = ()


def own_hop(step: Step) -> tuple[str, str | None]:
    """The hop that an expectation looks at, and whose it is; None where the expectation leaves that open."""
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


def stopped_before(block: Block, step: Step, stops: Sequence[tuple[Step, Stop]]) -> Stop | None:
    """What did not come to a hop does not come to a later one, whatever else came there."""
    own, _ = own_hop(step)
    about = _about_what(block, step)
    for earlier, stop in stops:
        other = _about_what(block, earlier)
        same = all(about[name] == other[name] for name in about.keys() & other.keys())
        if same and not stop.near and {own, stop.hop} <= set(HOPS) and HOPS.index(stop.hop) < HOPS.index(own):
            return stop
    return None


def stopped(block: Block, step: Step, ids: Ids, taken: set[int]) -> Stop:
    """Of an expectation that nothing accounts for. `taken` are the `seq` of the events that account for others."""
    own, owner = own_hop(step)
    near = [event for event in block.events if is_meant(step, event, ids) and event.seq not in taken][-1:]
    if near:
        wrong = "; ".join(differences(step, near[0]))
        said = wrong or "it came, but out of order; list them under `unordered` if the order does not matter"
        row = next((event for event in block.events if own == FRAME and _is_row_of(event, near[0])), None)
        hop = ROW if row is not None and any(differences(step, row)) else own
        return Stop(hop, owner or "", said, near=tuple(near))
    about = _about_what(block, step)
    before: tuple[Event, ...] = ()
    for hop in _hops_before(block, own):
        found = [event for event in block.events if _at_hop(hop, event) and is_about(about, event, ids)]
        if hop == ANSWER:
            found = found or [event for event in block.events if _at_hop(hop, event)]
            refused = tuple(event for event in found if event.data.get("status") not in range(200, 300))[-1:]
            if refused:
                status = refused[0].data.get("status")
                said = f"the call was answered {status or 'not at all'}"
                return Stop(hop, refused[0].seat or "", said, near=refused)
        if not found:
            return Stop(hop, _keeper(block, hop), f"there was no {hop}", before=before)
        before = tuple(found[-1:])
        if hop != ANSWER and len(found) < step.arguments["times"]:
            return Stop(hop, _keeper(block, hop), f"of what it takes, a {hop}, there were {len(found)}", near=before)
        if hop == ANSWER and _unsignalled(block):
            return Stop(MESSAGE, "synapse", f"the backend published no answer on {SIGNALS}", before=before)
    return Stop(own, owner or "", f"there was no {own}", before=before)


def _unsignalled(block: Block) -> bool:
    """Whether somebody answered Aura's question at the backend, and nothing was published for Aura."""
    answered = any(_calls(step) and step.arguments.get("by") == "signal" for step in block.doing)
    return answered and not any(event.kind == "hitl_signal" for event in block.events)


def _is_row_of(row: Event, frame: Event) -> bool:
    return row.kind == "stored" and row.data.get("id") == mapping(value_of(frame)).get("id")


def _about_what(block: Block, step: Step) -> dict[str, str]:
    """What the story is about: as the expectation says, else the only case of the steps before it."""
    about = {key: step.arguments[key] for key in FIELDS if key in step.arguments}
    cases = {doing.arguments["case"] for doing in block.doing if "case" in doing.arguments}
    if not about and len(cases) == 1:
        about["case"] = cases.pop()
    return about


def _hops_before(block: Block, own: str) -> tuple[str, ...]:
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


def _keeper(block: Block, hop: str) -> str:
    if hop == ANSWER:
        return "aura" if any(step.verb == "record" for step in block.doing) else "synapse"
    if hop == MESSAGE:
        return "harness" if block.doing and all(step.verb == "publish" for step in block.doing) else "aura"
    return "workbench" if hop == REFETCH else "synapse"


def around(block: Block, near: Sequence[Event], history: Sequence[Event]) -> tuple[Event, ...]:
    """The events beside this one; where there is none, the last of the block."""
    seen = [event for event in history if event.kind != "run"]
    place = near[-1].seq if near else block.events[-1].seq if block.events else -1
    index = next((i for i, event in enumerate(seen) if event.seq == place), len(seen) - 1)
    return tuple(seen[max(0, index - AROUND) : index + AROUND + 1])
