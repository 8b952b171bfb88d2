"""What the simulated Synapse is made of, so that a part can be one that somebody else might have written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.clock import Clock
from harness.synapse.broadcast import Broadcast
from harness.synapse.cases import Cases
from harness.synapse.container import Connect, Dispatcher, Listener, ListenerContainer, OnFailure
from harness.synapse.decisions import Decisions
from harness.synapse.listener import Broadcasts, GiveWay, NotificationListener
from harness.synapse.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    container: Callable[[Connect, Listener, Dispatcher, OnFailure], ListenerContainer] = ListenerContainer
    listener: Callable[[Store, Broadcasts, Clock, GiveWay], Listener] = NotificationListener
    broadcast: Callable[..., Broadcast] = Broadcast
    cases: type[Cases] = Cases
    decisions: Callable[..., Decisions] = Decisions


AS_DEPLOYED = Parts()
