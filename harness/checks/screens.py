"""What the screens of the workbench showed, and what happened to their cases: a history read for the checks of both.

Four shapes of events are read here, beside the frames on the topic:

    step     seat synapse    {do: "decided", case, document: key | null, approved: bool, request: id | null,
                             tenant?: int, left?: {key: status}}: a decision of the backend, directly after its
                             commit; `left` is how it left the documents of the case
    step     seat None       {do: "open-viewer", viewer, case, tenant: int, source: "stomp" | "sse" | "polling"}, when
                             it is open; {do: "close-viewer", viewer}, before it is closed
    fault    seat workbench  {do: "viewer-cut", viewer}; {do: "viewer-restored", viewer}: subscribed again
    refetch  seat workbench  {viewer, tenant, case, documents: [key], reason, notification: id | null, paths: [path],
                             seen: {case: status | null, documents: {key: status | null}}}, when all of it has come;
                             reason is `opened` (the first load, no refetch), `notification` or `catch-up`
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from math import inf
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from harness.checks.correlation import Notification
from harness.checks.notifications import as_seen, notifications
from harness.checks.view import ABSENT, OLDER_SHAPE, View, json_of
from harness.history import VIEWER, Event, decode
from harness.reproduce import publish
from harness.verdict import Finding

T = TypeVar("T")

UNKNOWN_TENANT = 0
OPENED = "opened"
CATCH_UP = "catch-up"


@dataclass(frozen=True, slots=True)
class CaseAction:
    """A case action as it reached the workbench, with the first of its frames."""

    frame: Notification
    case: str

    @property
    def seq(self) -> int:
        return self.frame.event.seq

    @property
    def tenant(self) -> Any:
        return self.frame.field("tenantId")

    def told(self, name: str) -> Any:
        return self.frame.payload.get(name)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the backend decided. Without a document it is about all of the case."""

    event: Event
    case: str
    document: str | None
    approved: bool
    request: str | None
    tenant: Any
    left: Mapping[str, str]
    """How it left the documents of its case; empty where that was not seen."""

    @property
    def seq(self) -> int:
        return self.event.seq

    @property
    def status(self) -> str:
        """Of its document, from now on (decision 11)."""
        return "APPROVED" if self.approved else "REJECTED"

    def about(self, document: str) -> bool:
        return self.document in (document, None)

    def changed_since(self, document: str, status: str) -> bool:
        """Whether it is known that somebody else made this of the document."""
        return self.left.get(document, status) != status


@dataclass(frozen=True, slots=True)
class Load:
    """One time that a viewer fetched its case. `paths` is what it asked for since its last load, which was `after`;
    `seen` has the status of each document."""

    event: Event
    viewer: str
    case: str
    reason: str
    notification: int | None
    paths: tuple[str, ...]
    case_status: str | None
    seen: Mapping[str, str | None]
    after: int

    @property
    def seq(self) -> int:
        return self.event.seq

    def told_by(self, action: CaseAction) -> bool:
        """Whether it was made for this notification."""
        return self.notification is not None and self.notification == action.frame.id

    def fetched(self, document: str) -> bool:
        """Whether what it saw of a document was asked for, and not remembered."""
        return document_path(document) in self.paths

    @property
    def shown(self) -> str:
        wanted = self.reason if self.notification is None else f"{self.reason} {self.notification}"
        statuses = json.dumps(self.event.data["seen"], ensure_ascii=False)
        return "\n".join([f"{self.viewer} ({wanted})", *(f"GET {path}" for path in self.paths), statuses])


Shown = CaseAction | Decision | Load | Event
"""What can be evidence of a finding."""


@dataclass(frozen=True, slots=True)
class Gap:
    """From the event at which a viewer's connection was lost to the one at which it was back, if it came back."""

    cut: Event
    restored: Event | None


@dataclass(frozen=True, slots=True)
class Showing:
    """A viewer that showed a case, from one event to another."""

    opened: Event
    closed: Event | None
    viewer: str
    case: str
    tenant: Any
    source: str
    gaps: tuple[Gap, ...]

    @property
    def until(self) -> float:
        return self.closed.seq if self.closed else inf

    def receives(self, action: CaseAction) -> bool:
        """Whether it was open and connected when this came."""
        cut_off = any(gap.cut.seq < action.seq < (gap.restored.seq if gap.restored else inf) for gap in self.gaps)
        return self.opened.seq < action.seq < self.until and not cut_off

    def concerned_by(self, one: CaseAction | Decision) -> bool:
        """Decision 9: an unknown tenant may be any."""
        unknown = one.tenant is None or one.tenant is ABSENT or one.tenant == UNKNOWN_TENANT
        return one.case == self.case and (unknown or one.tenant == self.tenant)

    def interrupted_within(self, start: float, end: float) -> bool:
        """Whether it lost its connection, or was closed, between these two moments."""
        ends = [gap.cut.at for gap in self.gaps] + ([self.closed.at] if self.closed else [])
        return any(start <= at <= end for at in ends)


def _once(derive: Callable[[View], T]) -> Callable[[View], T]:
    """Derived from each view only once, for all checks."""

    @wraps(derive)
    def derived(view: View) -> T:
        if derive not in view.cache:
            view.cache[derive] = derive(view)
        found: T = view.cache[derive]
        return found

    return derived


@_once
def case_actions(view: View) -> tuple[CaseAction, ...]:
    """One for each notification, however often it was sent. Two with the same id are told apart by what they say."""
    found: dict[object, CaseAction] = {}
    for one in notifications(view):
        case = _case_acted_upon(one) if one.event.kind == "broadcast" else None
        if case is not None:
            same = (one.id, str(one.event.data["body"])) if isinstance(one.id, int) else one.event.seq
            found.setdefault(same, CaseAction(one, case))
    return tuple(found.values())


@_once
def decisions(view: View) -> tuple[Decision, ...]:
    return tuple(
        Decision(
            event=event,
            case=event.data["case"],
            document=event.data["document"],
            approved=event.data["approved"],
            request=event.data["request"],
            tenant=event.data.get("tenant", UNKNOWN_TENANT),
            left=event.data.get("left", {}),
        )
        for event in view.history.of("step")
        if event.data.get("do") == "decided"
    )


@dataclass(frozen=True, slots=True)
class Get:
    """One answer of the backend to a viewer; `value` is ABSENT where it is no JSON."""

    event: Event
    value: Any

    @property
    def seq(self) -> int:
        return self.event.seq

    @property
    def viewer(self) -> str:
        """Who asked; empty where that was not said."""
        agent: str = self.event.data["headers"].get("user-agent", "")
        return unquote(agent.removeprefix(VIEWER)) if agent.startswith(VIEWER) else ""

    def by(self, viewer: str) -> bool:
        """Whether this viewer asked, or may have."""
        return self.viewer in (viewer, "")

    @property
    def rows(self) -> list[dict[str, Any]] | None:
        """The actions that it lists, of a case or of all; None where it lists none at all."""
        data = self.value.get("data") if isinstance(self.value, dict) else None
        listed = data.get("history") if isinstance(data, dict) else data
        return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else None


@_once
def gets(view: View) -> Mapping[str, tuple[Get, ...]]:
    """What viewers read of the backend, by path as it is when it is decoded. Where they say who they are, what nobody
    signed was asked for by somebody else."""
    events = [event for event in view.history.of("http") if event.seat == "synapse" and event.data["method"] == "GET"]
    answers = [Get(event, json_of(decode(event.data["answer"]))) for event in events]
    signed = [each for each in answers if each.viewer]
    found: dict[str, list[Get]] = {}
    for each in signed or answers:
        found.setdefault(each.event.data["path"], []).append(each)
    return {path: tuple(several) for path, several in found.items()}


def got(view: View, viewer: str, path: str, after: float, before: float) -> Get | None:
    """The last answer that a viewer got from this path between two events."""
    answers = gets(view).get(unquote(path), ())
    return next((each for each in reversed(answers) if after < each.seq < before and each.by(viewer)), None)


@_once
def loads(view: View) -> tuple[Load, ...]:
    found, latest = [], dict[str, int]()
    for event in view.history.of("refetch"):
        viewer = event.data["viewer"]
        after, latest[viewer] = latest.get(viewer, -1), event.seq
        claimed = tuple(event.data["paths"])
        # A viewer may believe that it has fetched what its cache gave it; without a tap there is no telling.
        seen = tuple(path for path in claimed if got(view, viewer, path, after, event.seq)) if gets(view) else claimed
        found.append(
            Load(
                event=event,
                viewer=viewer,
                case=event.data["case"],
                reason=event.data["reason"],
                notification=event.data["notification"],
                paths=seen,
                case_status=event.data["seen"].get("case"),
                seen=event.data["seen"].get("documents", {}),
                after=after,
            )
        )
    return tuple(found)


@_once
def refetches(view: View) -> tuple[Load, ...]:
    """All but the first load of each viewer."""
    return tuple(load for load in loads(view) if load.reason != OPENED)


@_once
def showings(view: View) -> tuple[Showing, ...]:
    of_viewers = [event for event in (*view.history.of("step"), *view.history.of("fault")) if "viewer" in event.data]
    of_viewers.sort(key=lambda event: event.seq)
    return tuple(
        _showing(event, [other for other in of_viewers if other.seq > event.seq])
        for event in of_viewers
        if event.data["do"] == "open-viewer"
    )


def finding(
    clause: str,
    expected: str,
    seen: str,
    pointer: str = "",
    *,
    shown: Iterable[Shown],
    reproduce: Iterable[str],
) -> Finding:
    """`shown` in the order in which a reader wants to see it."""
    shown = tuple(shown)
    return Finding(
        clause=clause,
        expected=expected,
        seen=seen,
        pointer=pointer,
        evidence="\n".join(map(_as_seen, shown)),
        events=tuple(one.seq for one in shown),
        reproduce=tuple(reproduce),
    )


def again(action: CaseAction) -> str:
    """How to make the same notification come once more."""
    wire = json.dumps(action.frame.payload, ensure_ascii=False)
    data = {"channel": action.frame.field("channel"), "wire": wire}
    return publish(replace(action.frame.event, data=data))


def get(path: str) -> str:
    return f'curl -i -H "Authorization: Bearer $HARNESS_TOKEN" "$HARNESS_SYNAPSE_URL"{shlex.quote(path)}'


def case_path(case: str) -> str:
    return f"/api/synapse/cases/{quote(case, safe='')}"


def document_path(document: str) -> str:
    return f"/api/synapse/documents/{quote(document, safe='')}"


def _case_acted_upon(one: Notification) -> str | None:
    payload = one.payload
    if not isinstance(payload, dict) or (one.field("type") != "CASE_ACTION" and payload.get("type") != OLDER_SHAPE):
        return None
    case = payload.get("case_id")
    return case if isinstance(case, str) else None


def _showing(opened: Event, later: list[Event]) -> Showing:
    """`later` are the events about viewers that follow."""
    viewer = opened.data["viewer"]
    own = [event for event in later if event.data["viewer"] == viewer]
    ends = [event for event in own if event.data["do"] in ("open-viewer", "close-viewer")]
    closed = ends[0] if ends else None
    gaps: list[Gap] = []
    for event in own[: own.index(closed)] if closed else own:
        if event.data["do"] == "viewer-cut":
            gaps.append(Gap(event, None))
        elif event.data["do"] == "viewer-restored" and gaps and gaps[-1].restored is None:
            gaps[-1] = Gap(gaps[-1].cut, event)
    data = opened.data
    return Showing(opened, closed, viewer, data["case"], data["tenant"], data["source"], tuple(gaps))


def _as_seen(one: Shown) -> str:
    match one:
        case CaseAction():
            return as_seen(one.frame)
        case Load():
            return one.shown
        case Decision():
            decided = f"{one.status} {one.document or 'without a document'}"
            return f"decided in the backend: case {one.case}, {decided}, request {one.request}"
    return json.dumps(one.data, ensure_ascii=False)
