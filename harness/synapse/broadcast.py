"""One stored notification to all who push it to browsers, so that the listener knows none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.synapse.notification import NotificationDto, to_json

TOPIC: Final = "/topic/notifications"

Hearer = Callable[[NotificationDto, bytes], object]
"""Takes the notification, and as the JSON that is sent; returns without waiting for a client."""


class Broadcast:
    def __init__(self, *hearers: Hearer) -> None:
        self._hearers = hearers

    def __call__(self, dto: NotificationDto) -> None:
        """Raises `Unwritable`, and then nobody hears of it."""
        body = self.written(dto)
        for hearer in self._hearers:
            hearer(dto, body)

    def written(self, dto: NotificationDto) -> bytes:
        return to_json(dto)
