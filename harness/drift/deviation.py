"""One way in which a side drifts apart: what its developer did, and which clauses must break for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from harness.aura.settings import Settings as AuraSettings
from harness.seats import Parts, Settings

AS_AGREED = Settings(AuraSettings(hitl_compares_request=True))
"""What a deviation deviates from. The deployed Aura, which takes the answer to any request, is a deviation itself."""


def _unchanged(settings: Settings) -> Settings:
    return settings


@dataclass(frozen=True, slots=True)
class Deviation:
    seat: str
    id: str
    confession: str
    """What was done, as the developer who did it would say it."""
    breaks: frozenset[str]
    """The clauses that must break."""
    parts: Parts = field(default_factory=Parts)
    change: Callable[[Settings], Settings] = _unchanged
    also: frozenset[str] = frozenset()
    """The clauses of the same seat that may break besides, as a consequence. No other may, of no seat."""

    @classmethod
    def of(
        cls,
        seat: str,
        name: str,
        confession: str,
        breaks: str,
        parts: Parts | None = None,
        change: Callable[[Settings], Settings] = _unchanged,
        also: str = "",
    ) -> Self:
        """Its id is `seat.name`; `breaks` and `also` are the ids of clauses, apart from each other by blanks."""
        clauses, more = frozenset(breaks.split()), frozenset(also.split())
        return cls(seat, f"{seat}.{name}", confession, clauses, parts or Parts(), change, more)

    @property
    def seats(self) -> tuple[str, ...]:
        """The seats that have to be simulated for it."""
        as_deployed = Parts()
        touched = {
            "aura": self.parts.aura != as_deployed.aura,
            "synapse": self.parts.synapse != as_deployed.synapse,
            "workbench": self.parts.viewer is not as_deployed.viewer,
        }
        return tuple(seat for seat, one in touched.items() if one or seat == self.seat)

    def of_settings(self, settings: Settings = AS_AGREED) -> Settings:
        """The settings of a pair that deviates in this."""
        return replace(self.change(settings), parts=self.parts)
