"""From a message that shows a difference to the smallest one that still shows one (delta debugging, over bytes)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spring.answers import Message

CHANNELS = (b"workbench:", b"workbench:alert", b"workbench:case:action", b"workbench:rag:status")
"""What a channel is replaced by, the simplest first."""
PLAIN = b'a0 "{}[]:,'
"""What a byte is replaced by, the simplest first."""

SMALL = 100
PIECE = 20
"""Bytes, both."""


def shrunk(message: Message, differs: Callable[[Message], bool], attempts: int) -> Message:
    """`differs` holds for the message that is given and for the one that is returned, and is asked so often at most."""
    search = _Search(message, differs, attempts)
    before = None
    while search.best != before:
        before = search.best
        search.change_channel()
        search.leave_chunks_out()
        search.leave_pairs_out()
        search.leave_pieces_out()
        search.simplify()
    return search.best


@dataclass(slots=True)
class _Search:
    best: Message
    differs: Callable[[Message], bool]
    left: int

    def change_channel(self) -> None:
        channel = self.best.channel
        for plainer in CHANNELS[: CHANNELS.index(channel) if channel in CHANNELS else len(CHANNELS)]:
            if self._take(Message(plainer, self.best.body)):
                return

    def leave_chunks_out(self) -> None:
        for size in _sizes(len(self.best.body)):
            start = 0
            while start < len(self.best.body):
                body = self.best.body
                if not self._take_body(body[:start] + body[start + size :]):
                    start += size

    def leave_pairs_out(self) -> None:
        """A piece and the one as far from the end, as a bracket and the one that closes it."""
        for size in _sizes(len(self.best.body) // 2):
            start = 0
            while start + size <= len(self.best.body) // 2:
                body, end = self.best.body, len(self.best.body) - start
                if not self._take_body(body[:start] + body[start + size : end - size] + body[end:]):
                    start += 1

    def leave_pieces_out(self) -> None:
        """Any piece at any place, as a member with its comma, of what is small already."""
        if len(self.best.body) > SMALL:
            return
        for size in range(PIECE, 0, -1):
            start = 0
            while start + size <= len(self.best.body):
                body = self.best.body
                if not self._take_body(body[:start] + body[start + size :]):
                    start += 1

    def simplify(self) -> None:
        for place in range(len(self.best.body)):
            body = self.best.body
            known = PLAIN.find(body[place])
            for plain in PLAIN[: known if known >= 0 else len(PLAIN)]:
                if self._take_body(body[:place] + bytes([plain]) + body[place + 1 :]):
                    break

    def _take_body(self, body: bytes) -> bool:
        return self._take(Message(self.best.channel, body))

    def _take(self, candidate: Message) -> bool:
        if self.left == 0:
            return False
        self.left -= 1
        if not self.differs(candidate):
            return False
        self.best = candidate
        return True


def _sizes(length: int) -> Iterator[int]:
    """Each half of the one before, down to 1."""
    while length:
        yield length
        length //= 2
