"""A history as a sequence diagram for the terminal: who told whom what, and when. `picture` draws the same arrows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.text import Text

from harness.history import FINISHED, LEFT_ALONE, Event, decode
from harness.report import printable

LANES = ("reviewer", "aura", "redis", "synapse", "workbench")
SHOWN = 200
"""How many arrows a diagram has room for; it says how many it leaves out."""
LABEL = 72
_TIME = 9
_NARROWEST = 12


@dataclass(frozen=True, slots=True)
class Arrow:
    """One line of a diagram. Where `source` and `target` are the same lane it is a note on that lane; `source` is
    empty for a note across all lanes. `style` is `plain`, `fault` or `step`."""

    at: float
    source: str
    target: str
    label: str
    style: str = "plain"
    seq: int = -1


def arrows(history: Sequence[Event]) -> tuple[Arrow, ...]:
    """What a diagram shows of a history, in its order; the reads that a refetch consists of are told by the refetch."""
    told = any(event.kind == "refetch" for event in history)
    drawn = (_DRAWN[event.kind](event) for event in history if event.kind in _DRAWN and not (told and _is_read(event)))
    return tuple(arrow for arrow in drawn if arrow is not None)


def chosen(all_arrows: Sequence[Arrow], shown: int = SHOWN) -> tuple[tuple[Arrow, ...], int, tuple[Arrow, ...]]:
    """The beginning, how many are left out in the middle, and the end: a story is told by both."""
    if len(all_arrows) <= shown:
        return tuple(all_arrows), 0, ()
    head = shown * 3 // 4
    tail = shown - head
    return tuple(all_arrows[:head]), len(all_arrows) - shown, tuple(all_arrows[-tail:])


def lanes_of(all_arrows: Sequence[Arrow]) -> tuple[str, ...]:
    """Those that have something to say, in their order; never fewer than two."""
    used = {lane for arrow in all_arrows for lane in (arrow.source, arrow.target)}
    return tuple(lane for lane in LANES if lane in used or lane in ("aura", "redis"))


def left_out(number: int) -> str:
    return f"{number} more {'is' if number == 1 else 'are'} left out here; --history keeps them all"


def seconds(at: float) -> str:
    """Readable at the precision that a story needs: milliseconds."""
    return f"{at:.3f} s"


def _is_read(event: Event) -> bool:
    return event.kind == "http" and event.data.get("method") == "GET" and event.data.get("status") == 200


# ---- From events to arrows ------------------------------------------------------------------------------------------


def _http(event: Event) -> Arrow:
    data = event.data
    method, path = str(data.get("method", "")), str(data.get("path", ""))
    status = data.get("status")
    caller = "workbench" if method == "GET" else "reviewer"
    if event.seat == "aura":
        caller = "synapse"
    label = f"{method} {path} → {'no answer' if status is None else status}"
    style = "plain" if isinstance(status, int) and status < 400 else "fault"
    lane = event.seat if event.seat in LANES else "synapse"
    return Arrow(event.at, caller, lane or "synapse", _label(label), style, event.seq)


def _published(event: Event) -> Arrow:
    channel = str(event.data.get("channel", ""))
    source = event.seat if event.seat in LANES else "reviewer" if event.seat == "harness" else "aura"
    return Arrow(event.at, source or "aura", "redis", _label(f"{channel}  {_gist(event)}"), "plain", event.seq)


def _stored(event: Event) -> Arrow:
    row = f"row {event.data.get('id')}"
    return Arrow(event.at, "redis", "synapse", _label(f"{row}  {_notification(event.data)}"), "plain", event.seq)


def _broadcast(event: Event) -> Arrow:
    notification = _json(event.data.get("body", ""))
    told = _notification({"notification": notification}) if isinstance(notification, dict) else _raw(event, "body")
    label = f"{str(event.data.get('destination', '')).rpartition('/')[2]}  {told}"
    return Arrow(event.at, "synapse", "workbench", _label(label), "plain", event.seq)


def _refetch(event: Event) -> Arrow:
    data = event.data
    seen = data.get("seen")
    documents = seen.get("documents") if isinstance(seen, dict) else None
    shows = ", ".join(map(str, documents.values())) if isinstance(documents, dict) else ""
    why = f" ({data['reason']})" if isinstance(data.get("reason"), str) else ""
    label = f"{data.get('viewer', 'a viewer')} sees {shows or data.get('case', '')}{why}"
    return Arrow(event.at, "workbench", "synapse", _label(label), "plain", event.seq)


def _hitl_request(event: Event) -> Arrow | None:
    """Of what is stored the request is shown, and not the session beside it."""
    data, about = event.data, event.about.get("request", "")
    if data.get("do") == "waiting":
        waits = f" for {data['timeout']:g} s" if isinstance(data.get("timeout"), (int, float)) else ""
        return Arrow(event.at, "aura", "aura", _label(f"waits{waits} for the answer to {about}"), "plain", event.seq)
    if "session" in data:
        return None
    return Arrow(event.at, "aura", "redis", _label(f"asks: hitl:request:{about}"), "plain", event.seq)


def _hitl_signal(event: Event) -> Arrow:
    told = _json(event.data.get("wire", ""))
    status = told.get("status") if isinstance(told, dict) else None
    label = f"{event.data.get('channel', 'hitl:channel')}  {status or _raw(event, 'wire')}"
    source = "reviewer" if event.seat == "harness" else "synapse"
    return Arrow(event.at, source, "redis", _label(label), "plain", event.seq)


def _feedback(event: Event) -> Arrow:
    line = _json(event.data.get("line", ""))
    told = line if isinstance(line, dict) else {}
    comment = f" “{told['comment']}”" if told.get("comment") else ""
    label = f"feedback: {told.get('action_type', event.data.get('line', ''))}{comment}"
    return Arrow(event.at, "aura", "aura", _label(label), "plain", event.seq)


def _fault(event: Event) -> Arrow:
    data = event.data
    what = str(data.get("do", ""))
    if data.get("error"):
        what = f"{what}: {data['error']}"
    viewer = f"{data['viewer']}: " if data.get("viewer") else ""
    lane = event.seat if event.seat in LANES else "redis" if event.seat == "redis" else "synapse"
    style = "plain" if what.endswith("restored") else "fault"
    return Arrow(event.at, lane or "synapse", lane or "synapse", _label(f"{viewer}{what}"), style, event.seq)


def _step(event: Event) -> Arrow | None:
    do = str(event.data.get("do", ""))
    if do in ("given", LEFT_ALONE, FINISHED) or do.startswith("expect") or do == "unordered":
        return None
    if event.data.get("unproven"):
        return Arrow(event.at, "", "", _label(f"{do}: {event.data['unproven']}"), "fault", event.seq)
    if event.seat in LANES:
        decision = "approved" if event.data.get("approved") is True else "rejected"
        label = f"{do} {event.data.get('case', '')}: {decision}" if do == "decided" else do
        return Arrow(event.at, event.seat or "", event.seat or "", _label(label), "plain", event.seq)
    named = [f"{value}" for key, value in event.data.items() if key in ("case", "about", "request", "seat", "viewer")]
    return Arrow(event.at, "", "", _label(" ".join([do, *named])), "step", event.seq)


_DRAWN = {
    "http": _http,
    "published": _published,
    "hitl_request": _hitl_request,
    "hitl_signal": _hitl_signal,
    "feedback": _feedback,
    "stored": _stored,
    "broadcast": _broadcast,
    "refetch": _refetch,
    "fault": _fault,
    "step": _step,
}


def _gist(event: Event) -> str:
    """What a message says, in a few words; of one that cannot be read, its bytes."""
    told = _json(event.data.get("wire", ""))
    if not isinstance(told, dict):
        return _raw(event, "wire")
    words = [told.get(name) for name in ("message", "type", "case_id", "rag_document_id", "status_code")]
    if isinstance(words[0], str) and words[0]:
        words[1] = None
    return " ".join(str(word) for word in words if isinstance(word, (str, int)) and word != "")


def _notification(data: Mapping[str, Any]) -> str:
    notification = data.get("notification")
    if not isinstance(notification, dict):
        return ""
    return " ".join(str(notification.get(name)) for name in ("type", "content") if notification.get(name))


def _raw(event: Event, name: str) -> str:
    value = event.data.get(name, "")
    return value if isinstance(value, str) else repr(_decoded(value))[2:-1]


def _decoded(value: Any) -> bytes:
    try:
        return decode(value)
    except (ValueError, KeyError, TypeError):
        return b"?"


def _json(value: Any) -> Any:
    try:
        return json.loads(_decoded(value))
    except (ValueError, RecursionError):
        return None


def _label(text: str) -> str:
    """One line that any terminal and any XML file can hold."""
    line = printable(" ".join(text[: 4 * LABEL].replace("\0", "\\u0000").split()))
    return line if len(line) <= LABEL else f"{line[: LABEL - 1]}…"


# ---- The terminal ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marks:
    lane: str
    line: str
    right: str
    left: str
    note: str
    fault: str
    more: str


UNICODE = Marks("│", "─", "▶", "◀", "●", "✗", "…")
ASCII = Marks("|", "-", ">", "<", "*", "x", "...")
_COLOURS = {"plain": "", "fault": "red", "step": "bold"}


def timeline(history: Sequence[Event], width: int, *, ascii_only: bool = False, shown: int = SHOWN) -> RenderableType:
    """The diagram; where the lanes do not fit beside each other, a list of who told whom."""
    found = arrows(history)
    lanes = lanes_of(found)
    head, missing, tail = chosen(found, shown)
    room = (width - _TIME) // len(lanes)
    marks = ASCII if ascii_only else UNICODE
    draw = _Diagram(lanes, min(room, 24), width, marks) if room >= _NARROWEST else _Listing(width, marks)
    lines = [*draw.heading(), *(line for arrow in head for line in draw.arrow(arrow))]
    if missing:
        lines.append(Text(_plain(f"{marks.more} {left_out(missing)}", marks), "dim"))
    return Group(*lines, *(line for arrow in tail for line in draw.arrow(arrow)))


@dataclass(frozen=True, slots=True)
class _Diagram:
    lanes: tuple[str, ...]
    room: int
    width: int
    marks: Marks

    def heading(self) -> list[Text]:
        names = "".join(set_cell_size(lane, self.room) for lane in self.lanes)
        return [Text(" " * _TIME + names.rstrip(), "bold"), self._row(self._columns())]

    def arrow(self, arrow: Arrow) -> list[Text]:
        time = Text(f"{arrow.at:{_TIME - 1}.3f} ", "dim")
        colour = _COLOURS[arrow.style]
        if not arrow.source:
            return [Text.assemble(time, (self._fitted(f"{self.marks.line * 2} {arrow.label}", 0), colour))]
        cells = self._columns()
        first, last = self._place(arrow.source), self._place(arrow.target)
        if first == last:
            mark = self.marks.fault if arrow.style == "fault" else self.marks.note
            cells[first] = mark
            row = "".join(cells[: first + 1])
            return [Text.assemble(time, row, (self._fitted(f" {arrow.label}", first + 1), colour))]
        low, high = sorted((first, last))
        cells[low + 1 : high] = self.marks.line * (high - low - 1)
        cells[high - 1 if last > first else low + 1] = self.marks.right if last > first else self.marks.left
        return [Text.assemble(time, ("".join(cells).rstrip(), colour)), self._under(arrow.label, low + 2, colour)]

    def _under(self, label: str, start: int, colour: str) -> Text:
        """The label between the lanes; further to the left where there is no room for it to the right."""
        text = _plain(label, self.marks)
        start = max(2, min(start, self.width - _TIME - cell_len(text)))
        text = self._fitted(text, start)
        lanes = self._columns()
        behind = "".join(lanes[start + cell_len(text) :]) if cell_len(text) else ""
        return Text.assemble(" " * _TIME, "".join(lanes[:start]), (text, colour), behind.rstrip())

    def _columns(self) -> list[str]:
        cells = [" "] * (self.room * len(self.lanes))
        for index in range(len(self.lanes)):
            cells[index * self.room] = self.marks.lane
        return cells

    def _row(self, cells: list[str]) -> Text:
        return Text(" " * _TIME + "".join(cells).rstrip())

    def _place(self, lane: str) -> int:
        return self.lanes.index(lane) * self.room

    def _fitted(self, text: str, start: int) -> str:
        return _cut(_plain(text, self.marks), self.width - _TIME - start, self.marks)


@dataclass(frozen=True, slots=True)
class _Listing:
    width: int
    marks: Marks

    def heading(self) -> list[Text]:
        return []

    def arrow(self, arrow: Arrow) -> list[Text]:
        who = arrow.source if arrow.source == arrow.target else f"{arrow.source} {self.marks.right} {arrow.target}"
        first = _cut(f"{arrow.at:.3f} {who}".rstrip(), self.width, self.marks)
        second = _cut(_plain(f"  {arrow.label}", self.marks), self.width, self.marks)
        return [Text(first, "dim"), Text(second, _COLOURS[arrow.style])]


def _plain(text: str, marks: Marks) -> str:
    """Without the marks that a terminal of ASCII cannot show; Korean and the rest is told by its escapes."""
    if marks is UNICODE:
        return text
    for mark, instead in (("→", "->"), ("…", "..."), ("“", '"'), ("”", '"')):
        text = text.replace(mark, instead)
    return text.encode("ascii", "backslashreplace").decode()


def _cut(text: str, room: int, marks: Marks) -> str:
    """At most so many columns: Korean and emoji take two."""
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(0, room - len(marks.more))).rstrip() + marks.more
