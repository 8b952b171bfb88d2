"""Every message of a load run accounted for: what was sent, what came of it hop by hop, and what a gap took.

Pure, and cheap enough to stand on the hot path: a message costs some bytes in flat arrays, and an id says where. What
the publisher was told, what came off Redis and what a screen was shown are written apart, each by one writer.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Self

DELIVERY: Final = "Redis delivery"
MAPPED: Final = "mapped"
BROADCAST: Final = "broadcast"
EXAMPLES: Final = 5
"""How many ids of each kind are told."""
SHOWN: Final = 80
"""Characters of an error that are told, or of what cannot be read."""
ROOM: Final = 4096
DISPATCH: Final = 0.1
"""Seconds by which one message may overtake another in Synapse, which handles each on a thread of its own."""

_UNANSWERED, _ACCEPTED, _REFUSED = range(3)
_FOREIGN = "foreign"
_ENDLESS = float("inf")


@dataclass(frozen=True, slots=True)
class Hop:
    """`lost` is due and not there; `in_gap` is not there either, and could not have come: nobody was connected.
    `malformed` is of the frames that reached a screen; what came off Redis is malformed for what can be made of it."""

    reached: int = 0
    lost: int = 0
    in_gap: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    malformed: int = 0

    def __add__(self, other: Self) -> Self:
        return replace(
            self, **{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        )


@dataclass(frozen=True, slots=True)
class Account:
    """Of one channel.

    `refused` was answered with an error, or never left; `indeterminate` was sent and never answered, so that either may
    have become of it. `denied` was refused and delivered all the same. `mapped` is what Synapse can make a notification
    of and conforms, `malformed` what came and is not that. `foreign` carries no id of the run.
    """

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    indeterminate: int = 0
    denied: int = 0
    mapped: int = 0
    malformed: int = 0
    foreign: int = 0
    delivery: Hop = Hop()
    broadcast: Hop | None = None
    """None where no screen was looked at."""

    def __add__(self, other: Self) -> Self:
        """Every worker sees all that is foreign, so that it is not added up; who was connected longest saw most."""
        added = ("sent", "accepted", "refused", "indeterminate", "denied", "mapped", "malformed")
        return replace(
            self,
            **{name: getattr(self, name) + getattr(other, name) for name in added},
            foreign=max(self.foreign, other.foreign),
            delivery=self.delivery + other.delivery,
            broadcast=_either(self.broadcast, other.broadcast),
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """In which nothing could come by a hop. Seconds of its worker's run; without an end it lasted to the end."""

    hop: str
    why: str
    began: float
    ended: float | None = None
    lost: int = 0
    worker: int = 0
    excused: bool = True
    """Whether the one who is loaded need not have done it: it is of our own subscription, or overlaps such a one."""

    def takes(self, sent: float, answered: float) -> bool:
        """Whether what was published at some time between these may have fallen into it."""
        return sent <= self.until and self.began <= answered

    @property
    def until(self) -> float:
        return _ENDLESS if self.ended is None else self.ended


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run is content with. `in_gaps` is how many gaps of a hop may take; where it does not say, those that are
    excused may take any number, and what the others took is lost."""

    lost: int = 0
    duplicated: int = 0
    in_gaps: Mapping[str, int] = field(default_factory=dict)
    quiet: float = 3.0
    """Seconds without an arrival after which what had not come was given up."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of the messages of one worker, or of several. `first` are a few ids of each kind, by hop and word."""

    run: str
    workers: tuple[int, ...]
    channels: Mapping[str, Account]
    first: Mapping[str, Sequence[str]] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    seconds: float = 0.0
    """From the first message that was sent to the last."""
    drained: bool = True
    """Whether it was quiet at the end; where not, what is told to be lost may only be late."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """What went wrong in the load itself while it took something, and how often."""

    @property
    def total(self) -> Account:
        return sum(self.channels.values(), Account())

    @property
    def rate(self) -> float:
        """Accepted messages a second."""
        return self.total.accepted / self.seconds if self.seconds else 0.0

    @property
    def hops(self) -> Mapping[str, Hop]:
        """Of all channels."""
        total = self.total
        return {DELIVERY: total.delivery, **({} if total.broadcast is None else {BROADCAST: total.broadcast})}

    @property
    def in_gaps(self) -> int:
        return sum(gap.lost for gap in self.gaps)

    def lost(self, limits: Limits = Limits()) -> int:
        """At all hops: what was due outside of gaps, and what gaps took that nothing excuses."""
        taken = sum(gap.lost for gap in self.gaps if not gap.excused and gap.hop not in limits.in_gaps)
        return taken + sum(hop.lost for hop in self.hops.values())

    def faults(self, limits: Limits = Limits()) -> Iterator[str]:
        """Why this is not a run to be content with. What was refused, is told and is no fault."""
        total = self.total
        if (lost := self.lost(limits)) > limits.lost:
            yield f"{lost:,} lost, or later than {limits.quiet:g} s; at most {limits.lost:,} may be"
        yield from self._faults_of_gaps(limits)
        for hop, found in self.hops.items():
            if found.duplicated > limits.duplicated:
                yield f"{hop}: {found.duplicated:,} duplicated, at most {limits.duplicated:,} may be"
            if found.malformed:
                yield f"{hop}: {found.malformed:,} malformed, none may be"
        if total.malformed:
            yield f"{total.malformed:,} malformed, none may be"
        if total.denied:
            yield f"{total.denied:,} refused and delivered all the same, none may be"
        for error, times in self.errors.items():
            yield f"{error}, {times:,} times: an error of the load itself, and the ledger may be wrong; report it"
        if not self.drained:
            yield "messages still came when the drain was given up: what is told to be lost may only be late"
        if not total.sent:
            yield "nothing was sent"
        elif not total.accepted:
            yield f"none of {total.sent:,} was accepted; see what was answered"

    def _faults_of_gaps(self, limits: Limits) -> Iterator[str]:
        for hop, most in limits.in_gaps.items():
            taken = sum(gap.lost for gap in self.gaps if gap.hop == hop)
            if taken > most:
                yield f"{hop}: {taken:,} lost in gaps, at most {most:,} may be"
        for gap in self.gaps:
            if gap.ended is None and gap.lost:
                yield f"{gap.hop}: gone to the end ({gap.why}), {gap.lost:,} lost"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            run=value["run"],
            workers=tuple(value["workers"]),
            channels={name: _account(each) for name, each in value["channels"].items()},
            first={kind: tuple(ids) for kind, ids in value["first"].items()},
            gaps=tuple(Gap(**gap) for gap in value["gaps"]),
            seconds=value["seconds"],
            drained=value["drained"],
            errors=value["errors"],
        )


def merged(results: Iterable[Result]) -> Result:
    """One of all workers, each of which accounts for its own ids. At least one is needed, and all are of one run."""
    first, *others = sorted(results, key=lambda result: result.workers)
    for other in others:
        if other.run != first.run or set(other.workers) & set(first.workers):
            raise ValueError(f"{other.run} {other.workers}: another worker of {first.run} was expected")
        kinds = first.first.keys() | other.first.keys()
        first = Result(
            run=first.run,
            workers=first.workers + other.workers,
            channels={
                name: first.channels.get(name, Account()) + other.channels.get(name, Account())
                for name in sorted(first.channels.keys() | other.channels.keys())
            },
            first={kind: _distinct([*first.first.get(kind, ()), *other.first.get(kind, ())]) for kind in sorted(kinds)},
            gaps=first.gaps + other.gaps,
            seconds=max(first.seconds, other.seconds),
            drained=first.drained and other.drained,
            errors=Counter(first.errors) + Counter(other.errors),
        )
    return first


class Ledger:
    """The messages of one worker. Times are seconds of one clock, and a hop's arrivals come in the order of time."""

    def __init__(self, run: str, worker: int, *, screen: bool = False) -> None:
        """With a `screen`, what is broadcast is accounted for, too."""
        self.run = run
        self.worker = worker
        self._prefix = f"{run}-w{worker}-"
        self._channels: list[str] = []
        self._channel_of: dict[str, int] = {}
        self._count = 0
        self._room = 0
        self._channel = bytearray()
        self._answer = bytearray()
        self._malformed = bytearray()
        self._lane = array("l")
        self._sent = array("d")
        self._answered = array("d")
        self._passages = {DELIVERY: _Passage(self, DELIVERY)}
        if screen:
            self._passages[BROADCAST] = _Passage(self, BROADCAST, DISPATCH)
        self._delivery = self._passages[DELIVERY]
        self._broadcast = self._passages.get(BROADCAST)
        self._foreign: Counter[str] = Counter()
        self._garbled: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._first: dict[str, list[str]] = {}

    def __len__(self) -> int:
        return self._count

    def id(self, seq: int) -> str:
        return f"{self._prefix}{seq}"

    def sent_at(self, seq: int) -> float:
        return self._sent[seq]

    def channel(self, seq: int) -> str:
        return self._channels[self._channel[seq]]

    # ---- What the publisher does and is told ------------------------------------------------------------------------

    def send(self, channel: str, lane: int, at: float) -> int:
        """The sequence of a message that is about to be sent. A lane sends one after the other: only within it is there
        an order. Until something else is said, it is indeterminate."""
        seq = self._count
        if seq == self._room:
            self._make_room()
        try:
            self._channel[seq] = self._channel_of[channel]
        except KeyError:
            self._channel[seq] = self._channel_of[channel] = len(self._channels)
            self._channels.append(channel)
        self._lane[seq] = lane
        self._sent[seq] = at
        self._count = seq + 1
        return seq

    def _make_room(self) -> None:
        """For many at once: it is dearer than all else that there is to do for one."""
        self._room += ROOM
        for flags in (
            self._channel,
            self._answer,
            self._malformed,
            *(each.arrived for each in self._passages.values()),
        ):
            flags.extend(bytes(ROOM))
        self._lane.extend([0] * ROOM)
        self._sent.extend([0.0] * ROOM)
        self._answered.extend([_ENDLESS] * ROOM)

    def accepted(self, seq: int, at: float) -> None:
        self._answer[seq] = _ACCEPTED
        self._answered[seq] = at

    def refused(self, seq: int, at: float) -> None:
        self._answer[seq] = _REFUSED
        self._answered[seq] = at

    # ---- What comes -------------------------------------------------------------------------------------------------

    def delivered(self, seq: int) -> bool:
        """Whether it is one of ours that comes for the first time."""
        return self._delivery.take(seq)

    def malformed(self, seq: int) -> None:
        if not self._malformed[seq]:
            self._malformed[seq] = 1
            self._keep("malformed", self.id(seq))

    def broadcast(self, seq: int) -> bool:
        """As `delivered`."""
        return self._broadcast is not None and self._broadcast.take(seq)

    def misshown(self, seq: int) -> None:
        """What reached the screen is no notification."""
        self._passages[BROADCAST].malformed[self._channel[seq]] += 1
        self._keep(f"malformed: {BROADCAST}", self.id(seq))

    def garbled(self, channel: str, shown: str) -> None:
        """One of ours of which nobody can say which."""
        self._garbled[channel] += 1
        self._keep("malformed", shown)

    def foreign(self, channel: str, shown: str) -> None:
        self._foreign[channel] += 1
        self._keep(_FOREIGN, shown)

    def failed(self, hop: str, error: Exception) -> None:
        """Of ours, while something was taken."""
        self._errors[f"{hop}: {type(error).__name__}: {str(error)[:SHOWN]}"] += 1

    # ---- When nothing can come --------------------------------------------------------------------------------------

    def listening(self, hop: str, at: float) -> None:
        """What is published from now on can come by this hop: it was just subscribed, or was again."""
        self._passages[hop].open(at)

    def cut(self, hop: str, why: str) -> None:
        """A connection is found to be gone. It was there when the last message that came was sent, at least: what Redis
        took before that one has come before it, and what it took later may be lost."""
        self._passages[hop].close(why)

    # ---- What became of them ----------------------------------------------------------------------------------------

    @property
    def arrivals(self) -> int:
        """How often anything came, by any hop, for the first time or not."""
        return sum(passage.taken for passage in self._passages.values())

    @property
    def complete(self) -> bool:
        """Whether everything that was sent has come, by every hop."""
        bad = self._malformed.count(1) if self._broadcast is not None else 0
        return all(
            passage.distinct + (bad if hop == BROADCAST else 0) == len(self) for hop, passage in self._passages.items()
        )

    def result(self, *, drained: bool = True) -> Result:
        """Nothing may be sent any more."""
        first = {kind: tuple(ids) for kind, ids in self._first.items()}
        accounts = {name: Counter[str]() for name in (*self._channels, *self._foreign, *self._garbled)}
        hops = {(name, hop): Counter[str]() for name in accounts for hop in self._passages}
        gaps = [*self._gaps()]
        taken = [0] * len(gaps)
        self._count_answers(accounts, first)
        self._count_arrivals(accounts, hops)
        for seq, hop in self._missing():
            index = self._gap_of(seq, hop, gaps)
            hops[self._channels[self._channel[seq]], hop]["lost" if index is None else "in_gap"] += 1
            if index is not None:
                taken[index] += 1
            _add(first, f"{'lost' if index is None else 'in a gap'}: {hop}", self.id(seq))
        return Result(
            run=self.run,
            workers=(self.worker,),
            channels={name: self._account(name, accounts[name], hops) for name in sorted(accounts)},
            first=first,
            gaps=tuple(replace(gap, lost=count) for gap, count in zip(gaps, taken, strict=True)),
            seconds=self._sent[self._count - 1] - self._sent[0] if self._count else 0.0,
            drained=drained,
            errors=dict(self._errors),
        )

    def unclear(self) -> frozenset[int]:
        """Those of which nobody can say what has become of them here: never answered, or taken by a gap."""
        gaps = [*self._gaps()]
        taken = {seq for seq, hop in self._missing() if self._gap_of(seq, hop, gaps) is not None}
        return frozenset(taken.union(seq for seq in range(self._count) if self._answer[seq] == _UNANSWERED))

    def lost(self, hop: str) -> Iterator[int]:
        """Those that were due by this hop and are neither there nor in a gap."""
        gaps = [*self._gaps()]
        return (seq for seq, missing in self._missing() if missing == hop and self._gap_of(seq, hop, gaps) is None)

    def _count_answers(self, accounts: Mapping[str, Counter[str]], first: dict[str, tuple[str, ...]]) -> None:
        words = {_UNANSWERED: "indeterminate", _ACCEPTED: "accepted", _REFUSED: "refused"}
        for seq in range(self._count):
            account = accounts[self._channels[self._channel[seq]]]
            word = words[self._answer[seq]]
            account["sent"] += 1
            account[word] += 1
            if word != "accepted":
                _add(first, word, self.id(seq))
            if word == "refused" and self._delivery.arrived[seq]:
                account["denied"] += 1
                _add(first, "refused and delivered", self.id(seq))

    def _count_arrivals(
        self, accounts: Mapping[str, Counter[str]], hops: Mapping[tuple[str, str], Counter[str]]
    ) -> None:
        for hop, passage in self._passages.items():
            for seq, times in enumerate(passage.arrived[: self._count]):
                hops[self._channels[self._channel[seq]], hop]["reached"] += bool(times)
            words = {"duplicated": passage.again, "out_of_order": passage.late, "malformed": passage.malformed}
            for word, counted in words.items():
                for index, count in counted.items():
                    hops[self._channels[index], hop][word] += count
        for seq, times in enumerate(self._delivery.arrived[: self._count]):
            if times:
                word = "malformed" if self._malformed[seq] else "mapped"
                accounts[self._channels[self._channel[seq]]][word] += 1
        for name, count in self._garbled.items():
            accounts[name]["malformed"] += count

    def _account(self, name: str, counted: Counter[str], hops: Mapping[tuple[str, str], Counter[str]]) -> Account:
        broadcast = Hop(**hops[name, BROADCAST]) if self._broadcast is not None else None
        return Account(
            **counted, foreign=self._foreign[name], delivery=Hop(**hops[name, DELIVERY]), broadcast=broadcast
        )

    def _missing(self) -> Iterator[tuple[int, str]]:
        for seq in range(self._count):
            yield from ((seq, hop) for hop in self._missing_of(seq))

    def _missing_of(self, seq: int) -> Iterator[str]:
        """What was accepted is due on Redis, and what came off Redis, and is no nonsense, is due on the screen."""
        if not self._delivery.arrived[seq]:
            if self._answer[seq] == _ACCEPTED:
                yield DELIVERY
        elif self._broadcast is not None and not self._broadcast.arrived[seq] and not self._malformed[seq]:
            yield BROADCAST

    def _gaps(self) -> Iterator[Gap]:
        ours = [*self._delivery.all_gaps()]
        yield from ours
        for gap in self._broadcast.all_gaps() if self._broadcast is not None else ():
            yield replace(gap, excused=any(gap.takes(our.began, our.until) for our in ours))

    def _gap_of(self, seq: int, hop: str, gaps: Sequence[Gap]) -> int | None:
        """Of its own hop, if there is one. Where our subscription was gone, Synapse's may have been gone as well: what
        came to us all the same did not have to come to a screen."""
        sent, answered = self._sent[seq], self._answered[seq]
        taking = [index for index, gap in enumerate(gaps) if gap.takes(sent, answered)]
        own = [index for index in taking if gaps[index].hop == hop]
        return next(iter(own or (taking if hop == BROADCAST else ())), None)

    def _keep(self, kind: str, shown: str) -> None:
        ids = self._first.setdefault(kind, [])
        if len(ids) < EXAMPLES:
            ids.append(shown)

    # What a passage asks of its ledger.

    def lanes(self) -> array[int]:
        return self._lane

    def channel_of(self, seq: int) -> int:
        return self._channel[seq]

    def told(self, kind: str, seq: int) -> None:
        self._keep(kind, self.id(seq))


class _Passage:
    """What came by one hop."""

    def __init__(self, ledger: Ledger, hop: str, overtaking: float = 0.0) -> None:
        self._ledger = ledger
        self._hop = hop
        self._overtaking = overtaking
        self._lane = ledger.lanes()
        self._newest: dict[int, int] = {}
        self._since = -_ENDLESS
        self._last: int | None = None
        """The last that came since it listens."""
        self.taken = 0
        self.distinct = 0
        self.arrived = bytearray()
        self.again: Counter[int] = Counter()
        self.late: Counter[int] = Counter()
        self.malformed: Counter[int] = Counter()
        self.gaps: list[Gap] = []
        self.gap: Gap | None = None

    def take(self, seq: int) -> bool:
        self.taken += 1
        if seq >= len(self._ledger):
            self._ledger.foreign("(ids that were never sent)", self._ledger.id(seq))
            return False
        if self.arrived[seq]:
            self.again[self._ledger.channel_of(seq)] += 1
            self._ledger.told(f"duplicated: {self._hop}", seq)
            return False
        self.arrived[seq] = 1
        self.distinct += 1
        self._last = seq
        lane = self._lane[seq]
        if seq < self._newest.get(lane, -1):
            self.late[self._ledger.channel_of(seq)] += 1
            self._ledger.told(f"out of order: {self._hop}", seq)
        else:
            self._newest[lane] = seq
        return True

    def all_gaps(self) -> Iterator[Gap]:
        yield from self.gaps
        if self.gap is not None:
            yield self.gap

    def open(self, at: float) -> None:
        self._since, self._last = at, None
        if self.gap is not None:
            self.gaps.append(replace(self.gap, ended=at))
            self.gap = None

    def close(self, why: str) -> None:
        if self.gap is None:
            since = self._since if self._last is None else self._ledger.sent_at(self._last)
            self.gap = Gap(self._hop, why, since - self._overtaking, worker=self._ledger.worker)


class Marks:
    """Finds the id of a message in its bytes, which is all that can be trusted of a broken one; also where the message
    became the text of another."""

    def __init__(self, run: str) -> None:
        mark = re.escape(f"{run}-w".encode())
        self._id = re.compile(rb'"' + mark + rb'(\d{1,9})-(\d{1,9})\\?"')
        self._worker = re.compile(mark + rb"(\d{1,9})-")

    def of(self, wire: bytes) -> tuple[int, int] | None:
        """Worker and sequence; None where there is no id that can be read."""
        found = self._id.search(wire)
        return None if found is None else (int(found[1]), int(found[2]))

    def worker(self, wire: bytes) -> int | None:
        """Whose it is, even if no sequence can be read; None for what is not of this run."""
        found = self._worker.search(wire)
        return None if found is None else int(found[1])


def _account(value: Mapping[str, Any]) -> Account:
    broadcast = value["broadcast"]
    return Account(
        **{
            **value,
            "delivery": Hop(**value["delivery"]),
            "broadcast": None if broadcast is None else Hop(**broadcast),
        }
    )


def _either(one: Hop | None, other: Hop | None) -> Hop | None:
    return one + other if one is not None and other is not None else one or other


def _distinct(ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))[:EXAMPLES]


def _add(first: dict[str, tuple[str, ...]], kind: str, shown: str) -> None:
    if len(first.get(kind, ())) < EXAMPLES:
        first[kind] = (*first.get(kind, ()), shown)
