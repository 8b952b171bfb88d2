"""Judging a message by its schema: ours, compiled, beside `jsonschema` with a validator that is made once, which leaves
timestamps unlooked at where no package for them is installed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jsonschema
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from benchmarks.measure import Compared, Rounds
from benchmarks.samples import SIZES
from harness import agreement
from harness.schema import Validator, compile_schemas

OURS = "validation"
READ = "`json.loads`, then validation"
REFERENCE = "`jsonschema`"
LOADS = "`json.loads` alone"
SECONDS, ROUNDS = 0.1, 15


def compared() -> list[Compared]:
    rounds = _rounds(0)
    return [rounds.compared(OURS, REFERENCE), rounds.compared(READ, LOADS)]


def by_size() -> Mapping[str, Sequence[Compared]]:
    return {label: [_rounds(size).compared(OURS, REFERENCE)] for label, size in SIZES.items()}


def _rounds(size: int) -> Rounds:
    """Over all samples of messages; the longer ones have a longer text for people."""
    known = agreement.load()
    ours = compile_schemas(known)
    registry: Registry[Any] = Registry().with_resources(
        (f"{name}.json", DRAFT202012.create_resource(schema)) for name, schema in known.schemas.items()
    )
    pairs = []
    for sample in known.samples.values():
        if sample.channel:
            reference = jsonschema.Draft202012Validator(
                known.schemas[sample.schema], registry=registry, format_checker=jsonschema.FormatChecker()
            )
            value = sample.value | ({"message": "검토 " * (size // 7)} if size else {})
            assert reference.is_valid(value) == ours[sample.schema].is_valid(value)
            pairs.append((ours[sample.schema], reference, value, json.dumps(value, ensure_ascii=False).encode()))
    return Rounds(
        ROUNDS,
        {
            OURS: partial(_rate, [partial(mine.is_valid, value) for mine, _, value, _ in pairs]),
            REFERENCE: partial(_rate, [partial(theirs.is_valid, value) for _, theirs, value, _ in pairs]),
            READ: partial(_rate, [partial(_read, mine, wire) for mine, _, _, wire in pairs]),
            LOADS: partial(_rate, [partial(json.loads, wire) for *_, wire in pairs]),
        },
    )


def _read(validator: Validator, wire: bytes) -> bool:
    return validator.is_valid(json.loads(wire))


def _rate(works: Sequence[Callable[[], object]]) -> float:
    began, done = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < SECONDS:
        for _ in range(10):
            for work in works:
                work()
        done += 10 * len(works)
    return done / took
