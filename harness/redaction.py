"""People's text taken out of a history: equal texts become equal marks, so that it can be judged all the same.

A mark is made with a salt that is kept nowhere: without it, who is behind a mark could be found by trying names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.located import texts

OURS = ("HITL timeout", "aura-harness")
"""What no person wrote."""
FIELDS = ("comment", "reason", "executor_id", "executorId", "user_id", "userId", "user")
"""What people write, and who they are."""
_FIELD = re.compile(rf'("(?:{"|".join(FIELDS)})"\s*:\s*)"((?:[^"\\]|\\.)+)"')
_UNDECODABLE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Redaction:
    salt: bytes
    """At random, for each run; runs that are compared share it."""

    def of_event(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of what an event holds; its own `reason` is why the workbench did something, and its `text` a scenario."""
        if data.get("do") == "given" and isinstance(data.get("text"), str):
            return {**data, "text": self.of_scenario(data["text"])}
        return {key: value if key == "reason" else self.of(value, key) for key, value in data.items()}

    def of(self, value: Any, name: str = "") -> Any:
        """The same value with a mark for every text of a person, also inside JSON text and bytes."""
        if isinstance(value, Mapping):
            if value.keys() == {"base64"} and isinstance(value["base64"], str):
                return {"base64": self._of_bytes(value["base64"])}
            return {key: self.of(each, str(key)) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(each, name) for each in value]
        if not isinstance(value, str):
            return value
        return self._mark(value) if name in FIELDS and value else _FIELD.sub(self._replaced, value)

    def of_scenario(self, text: str) -> str:
        """The file with marks in it, every other thing on the line that it was on."""
        for found in sorted(texts(text), key=lambda one: one.start, reverse=True):
            of_bytes = found.name == "base64"
            new = self._of_bytes(found.value) if of_bytes else self.of(found.value, found.name)
            if new != found.value:
                lines = text.count("\n", found.start, found.end)
                text = text[: found.start] + _quoted(new) + "\n" * lines + text[found.end :]
        return text

    def _of_bytes(self, encoded: str) -> str:
        """Of bytes that are not UTF-8, and stay so."""
        try:
            wire = base64.b64decode(encoded, validate=True)
        except ValueError:
            return encoded
        encoding, errors = json.detect_encoding(wire), "surrogatepass"
        try:
            text = wire.decode(encoding, errors)
        except UnicodeDecodeError:
            encoding, errors = "utf-8", "surrogateescape"
            text = wire.decode(encoding, errors)
        return base64.b64encode(_FIELD.sub(self._replaced, text).encode(encoding, errors)).decode("ascii")

    def _replaced(self, found: re.Match[str]) -> str:
        """Escaped in whatever way, an equal text gets an equal mark."""
        try:
            text = json.loads(f'"{found[2]}"', strict=False)
        except ValueError:
            text = found[2]
        odd = "\udcff" if _UNDECODABLE.search(found[2]) else ""  # what was no UTF-8 stays none
        return f'{found[1]}"{self._mark(text)}{odd}"'

    def _mark(self, text: str) -> str:
        if text in OURS:
            return text
        made = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self.salt, digest_size=6)
        return f"redacted-{made.hexdigest()}"


def _quoted(text: str) -> str:
    """As YAML takes it: it allows fewer characters to stand for themselves than JSON does."""
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda odd: f"\\u{ord(odd[0]):04x}", quoted)
