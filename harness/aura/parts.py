"""What the simulated Aura is made of, so that a part can be one that somebody else might have written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp

from harness.aura.actions import Actions, Feedback
from harness.aura.app import create_app
from harness.aura.hitl import Approvals, Redis
from harness.aura.publishers import Publish, Publishers
from harness.aura.settings import Settings
from harness.clock import Clock


@dataclass(frozen=True, slots=True)
class Parts:
    publishers: Callable[[Settings, Publish, Clock], Publishers] = Publishers
    actions: Callable[[Publishers, Feedback, Clock], Actions] = Actions
    approvals: Callable[[Settings, Redis, Actions, Clock], Approvals] = Approvals
    app: Callable[[Settings, Actions, Clock], ASGIApp] = create_app


AS_DEPLOYED = Parts()
