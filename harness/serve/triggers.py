"""What the real systems do of their own accord, on demand: a case appears, a voucher is suspicious, Aura asks a person.

A gate that takes the served Aura for a live one triggers it here, and who builds the workbench gets something to show.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import jsonschema_rs
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from harness.aura.hitl import ApprovalRequest, Approvals
from harness.aura.settings import Settings
from harness.clock import Clock
from harness.history import Recorder
from harness.runner import AuraSeat, SynapseSeat, tapped_approvals

Fields = Mapping[str, Any]
Shape = Mapping[str, Any]
"""A JSON Schema."""


TEXT: Shape = {"type": "string", "minLength": 1}
PERHAPS: Shape = {"type": "string"}
"""Empty where there is none."""
NUMBER: Shape = {"type": "number"}
SECONDS: Shape = {"type": "number", "exclusiveMinimum": 0}


def aura_triggers(
    aura: AuraSeat, settings: Settings, recorder: Recorder, clock: Clock, held: AsyncExitStack
) -> list[Route]:
    """The waits for answers end with `held`."""
    waiting: dict[float, Approvals] = {settings.hitl_timeout_seconds: aura.approvals}

    async def detect(fields: Fields) -> None:
        recorder.record("step", {"do": "detect", **fields}, about={"case": fields["case_id"]})
        await aura.publishers.case_created(fields["case_id"], fields["severity"], fields["score"])

    async def rag(fields: Fields) -> None:
        recorder.record("step", {"do": "rag", **fields})
        await aura.publishers.rag_finished(fields["rag_document_id"], fields["chunks_added"], fields["succeeded"])

    async def ask(fields: Fields) -> None:
        timeout = fields.get("timeout", settings.hitl_timeout_seconds)
        if timeout not in waiting:
            own = dataclasses.replace(settings, hitl_timeout_seconds=timeout)
            approvals = tapped_approvals(own, aura.link, aura.actions, recorder, clock)
            waiting[timeout] = await held.enter_async_context(approvals)
        named = {"caseId": fields["case_id"], "docKey": fields.get("doc_key")}
        await waiting[timeout].ask(
            ApprovalRequest(
                request_id=fields["request_id"],
                session_id=fields.get("session_id") or f"{fields['request_id']}-session",
                user_id=fields["user_id"],
                tenant_id=fields["tenant_id"],
                context={name: value for name, value in named.items() if value},
            )
        )

    optional = {"session_id": TEXT, "doc_key": PERHAPS, "tenant_id": TEXT, "timeout": SECONDS}
    run: dict[str, Shape] = {"rag_document_id": TEXT, "chunks_added": {"type": "integer"}}
    return [
        _route("/detect", detect, {"case_id": TEXT, "severity": PERHAPS, "score": NUMBER}),
        _route("/rag", rag, run, {"succeeded": {"type": "boolean"}}, succeeded=True),
        _route("/ask", ask, {"case_id": PERHAPS, "request_id": TEXT, "user_id": TEXT}, optional, tenant_id="7"),
    ]


def synapse_triggers(synapse: SynapseSeat) -> list[Route]:
    async def create(fields: Fields) -> None:
        try:
            synapse.system.cases.create(fields["tenant_id"], fields["case_id"], fields["documents"])
        except ValueError as error:
            raise HTTPException(409, str(error)) from error

    optional: dict[str, Shape] = {"tenant_id": {"type": "integer"}, "documents": {"type": "array", "items": TEXT}}
    return [_route("/cases", create, {"case_id": TEXT}, optional, tenant_id=7, documents=())]


def _route(
    path: str,
    do: Callable[[Fields], Awaitable[None]],
    required: Mapping[str, Shape],
    optional: Mapping[str, Shape] | None = None,
    **defaults: Any,
) -> Route:
    shape = {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }
    validator = jsonschema_rs.validator_for(shape)

    async def endpoint(request: Request) -> Response:
        found = _read(await request.body())
        for error in validator.iter_errors(found):
            raise HTTPException(400, f"/{'/'.join(map(str, error.instance_path))}: {error.message}")
        fields = {**defaults, **found}
        try:
            await do(fields)
        except (OSError, RedisError) as error:
            raise HTTPException(503, f"Redis: {error}") from error
        return JSONResponse(fields, 202)

    return Route(path, endpoint, methods=["POST"])


def _read(body: bytes) -> Any:
    """As Python reads it, but with text that can be sent on: no half surrogate pair, and no NaN."""
    try:
        found = json.loads(body, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body: {error}; a JSON object was expected") from error
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")
