"""Ant patterns of subscriptions as Spring's AntPathMatcher reads them, turned into one regular expression
each.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WILDCARD = re.compile(r"\*|\?|\{\w+(?::((?:[^/{}]|\{[^/{}]*\})+))?\}")


def is_pattern(destination: str) -> bool:
    return re.search(r"[*?]|\{.*\}", destination, re.DOTALL) is not None


def matches(pattern: str, destination: str) -> bool:
    """`?` is one character, `*` any within a segment, `**` any number of segments, `{name}` and
    `{name:regex}` a segment.

    Doubled slashes count as one. A slash at the end has to be at the end of both, unless `**` is there or an
    empty segment for a last `*`. A regex that does not compile matches nothing.
    """
    if pattern.startswith("/") != destination.startswith("/"):
        return False
    wanted, found = _segments(pattern), _segments(destination)
    empty_last = destination.endswith("/") and wanted[-1:] == ["*"] and "**" not in wanted
    if empty_last and _fits(wanted[:-1], found):
        return True
    if pattern.endswith("/") != destination.endswith("/") and wanted[-1:] != ["**"]:
        return False
    return _fits(wanted, found)


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _fits(wanted: list[str], found: list[str]) -> bool:
    expression = _expression(tuple(wanted))
    path = "".join(f"{segment}/" for segment in found)
    return expression is not None and expression.fullmatch(path) is not None


@lru_cache(maxsize=1024)
def _expression(segments: tuple[str, ...]) -> re.Pattern[str] | None:
    parts = ["(?:[^/]+/)*" if part == "**" else _segment_expression(part) + "/" for part in segments]
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        return None


def _segment_expression(segment: str) -> str:
    parts, end = [], 0
    for wildcard in _WILDCARD.finditer(segment):
        parts.append(re.escape(segment[end : wildcard.start()]))
        if wildcard[0] == "?":
            parts.append("[^/]")
        else:
            parts.append(f"(?:{wildcard[1]})" if wildcard[1] else "[^/]*")
        end = wildcard.end()
    return "".join([*parts, re.escape(segment[end:])])
