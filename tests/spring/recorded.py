"""Messages with what the real application answered to them, so that `make test` knows it without Java.

`recorded.json` is read and written here. Whoever adds a case writes name, channel and body; the answer is recorded
from the application, which is asked again by each `make spring`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from spring.answers import MAPPED, Answer, Message

FILE: Final = Path(__file__).parent / "recorded.json"
LONG: Final = 2000
"""Bytes, beyond which an answer is recorded by its digest."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    channel: str
    body: Any
    """A text, or a list of texts, of `{"hex": …}` and of `{"times": …, "of": …}`, which are put together."""
    answer: dict[str, Any] | None = None

    @property
    def message(self) -> Message:
        return Message(self.channel.encode(), _bytes(self.body))

    def answered(self, answer: Answer) -> Case:
        return replace(self, answer=form(answer))


@dataclass(frozen=True, slots=True)
class Recorded:
    versions: dict[str, str]
    cases: Sequence[Case]


def load(file: Path = FILE) -> Recorded:
    loaded = json.loads(file.read_text(encoding="utf-8"))
    return Recorded(loaded["versions"], [Case(**case) for case in loaded["cases"]])


def save(recorded: Recorded, file: Path = FILE) -> None:
    cases = [
        {"name": case.name, "channel": case.channel, "body": case.body, "answer": case.answer}
        for case in recorded.cases
    ]
    text = json.dumps({"versions": recorded.versions, "cases": cases}, ensure_ascii=False, indent=1)
    file.write_text(text + "\n", encoding="utf-8")


def form(answer: Answer) -> dict[str, Any]:
    """As it stands in the file."""
    if answer.outcome != MAPPED:
        return {answer.outcome: answer.data.decode()}
    if len(answer.data) > LONG:
        return {"length": len(answer.data), "sha256": hashlib.sha256(answer.data).hexdigest()}
    return {MAPPED: answer.data.decode()}


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, list):
        return b"".join(map(_bytes, body))
    if "hex" in body:
        return bytes.fromhex(body["hex"])
    return _bytes(body["of"]) * int(body["times"])
