"""Every deviation, by seat."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from harness.drift import aura_approvals, aura_http, aura_messages, aura_rows, synapse, workbench
from harness.drift.deviation import Deviation
from harness.errors import UsageError

CATALOGUE: Mapping[str, Deviation] = {
    each.id: each
    for each in (
        *aura_http.DEVIATIONS,
        *aura_messages.DEVIATIONS,
        *aura_approvals.DEVIATIONS,
        *aura_rows.DEVIATIONS,
        *synapse.DEVIATIONS,
        *workbench.DEVIATIONS,
    )
}


def chosen(ids: Sequence[str], seats: Sequence[str]) -> tuple[Deviation, ...]:
    """In the order of the catalogue; all, where nothing is named. Raises UsageError for an id that it has not."""
    for id_ in ids:
        named(id_)
    return tuple(
        each for each in CATALOGUE.values() if (not ids or each.id in ids) and (not seats or each.seat in seats)
    )


def named(id_: str) -> Deviation:
    """Raises UsageError, which names what comes near."""
    if id_ in CATALOGUE:
        return CATALOGUE[id_]
    names = {name: full for full in CATALOGUE for name in (full, full.partition(".")[2])}
    near = dict.fromkeys(names[each] for each in difflib.get_close_matches(id_, names, n=3, cutoff=0.5))
    hint = f"did you mean {' or '.join(near)}?" if near else "`aura-harness drift --list` tells them all"
    raise UsageError(f"there is no deviation {id_!r}; {hint}")
