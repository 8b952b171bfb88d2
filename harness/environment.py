"""Settings from the environment: each field of a dataclass under its name in upper case."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import UsageError


def given(
    settings: type[Any],
    environment: Mapping[str, str],
    arguments: Mapping[str, object],
    readers: Mapping[str, Callable[[Any], object]],
) -> dict[str, Any]:
    """What is set of a settings class, as keyword arguments for it; an argument that is not None wins.

    `readers` turns text into what the field holds, and raises UsageError for text that it cannot use.
    """
    names = [field.name for field in dataclasses.fields(settings)]
    found: dict[str, Any] = {name: environment[name.upper()] for name in names if environment.get(name.upper())}
    found |= {name: value for name, value in arguments.items() if value is not None}
    return {name: readers[name](value) if name in readers else value for name, value in found.items()}


def switch(name: str, value: object) -> bool:
    """`on` or `off`, as a variable of this name holds it; an argument is there already as what it is."""
    if isinstance(value, bool):
        return value
    if value not in ("on", "off"):
        raise UsageError(f"{name}: {value!r} was found, on or off was expected")
    return value == "on"
