"""Cases, documents and decisions over REST.

The list of recent actions has no address in the documents; this one is ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.clock import Clock
from harness.synapse.answers import fields_of, success, tenant_of, text_of
from harness.synapse.cases import Action, Case, Cases, Decision, Document
from harness.synapse.decisions import Answer, Decisions
from harness.synapse.instant import Instant
from harness.synapse.node import Tree

CASES: Final = "/api/synapse/cases"
DOCUMENTS: Final = "/api/synapse/documents"
ACTIONS: Final = "/api/synapse/actions"
HITL: Final = "/api/aura/hitl"

Endpoint = Callable[[Request], Awaitable[Response]]


def case_routes(cases: Cases, clock: Clock) -> list[Route]:
    async def case(request: Request) -> Response:
        return success(clock, _case(cases.case(tenant_of(request), request.path_params["id"])))

    async def document(request: Request) -> Response:
        return success(clock, _document(cases.document(tenant_of(request), request.path_params["doc_key"])))

    async def recent(request: Request) -> Response:
        tenant, since = tenant_of(request), _since(request.query_params.get("since", ""))
        return success(clock, [_action(action) for action in cases.recent(tenant, since)])

    return [
        Route(f"{CASES}/{{id}}", case, methods=["GET"]),
        Route(f"{DOCUMENTS}/{{doc_key}}", document, methods=["GET"]),
        Route(f"{ACTIONS}/recent", recent, methods=["GET"]),
    ]


def decision_routes(decisions: Decisions, clock: Clock) -> list[Route]:
    def decide(approved: bool) -> Endpoint:
        """An action is known by the case that it is about."""

        async def endpoint(request: Request) -> Response:
            tenant, id_ = tenant_of(request), request.path_params["id"]
            fields = await fields_of(request)
            decision = Decision(
                tenant,
                case_id=id_,
                request_id=text_of(fields, "request_id", "requestId") or f"action-{id_}",
                executor_id=_executor(fields),
                approved=approved,
                comment=text_of(fields, "comment"),
                doc_key=text_of(fields, "doc_key", "docKey") or None,
            )
            return success(clock, _action(await decisions.decide(decision)))

        return endpoint

    def answer(approved: bool) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            tenant, request_id = tenant_of(request), request.path_params["request_id"]
            fields = await fields_of(request)
            executor, reason = _executor(fields), text_of(fields, "reason")
            return success(clock, _answer(await decisions.answer(tenant, request_id, executor, approved, reason)))

        return endpoint

    return [
        Route(f"{path}/{verb}{rest}", make(verb == "approve"), methods=["POST"])
        for verb in ("approve", "reject")
        for path, rest, make in ((f"{ACTIONS}/{{id}}", "", decide), (HITL, "/{request_id}", answer))
    ]


def _executor(fields: dict[str, Tree]) -> str:
    executor = text_of(fields, "executor_id", "executorId", "userId")
    if not executor:
        raise HTTPException(400, "executor_id or userId: a text that is not empty is expected")
    return executor


def _since(text: str) -> Instant | None:
    if not text:
        return None
    instant = Instant.parse(text)
    if instant is None:
        raise HTTPException(400, f"since: {text!r} was found, an instant as 2026-02-11T14:30:00Z is expected")
    return instant


def _case(case: Case) -> dict[str, Tree]:
    return {
        "caseId": case.case_id,
        "tenantId": case.tenant_id,
        "status": case.status,
        "documents": [_document(document) for document in case.documents],
        "history": [_action(action) for action in case.history],
    }


def _document(document: Document) -> dict[str, Tree]:
    return {
        "docKey": document.doc_key,
        "caseId": document.case_id,
        "tenantId": document.tenant_id,
        "status": document.status,
    }


def _action(action: Action) -> dict[str, Tree]:
    decision = action.decision
    fields: dict[str, Tree] = {
        "historyId": action.history_id,
        "caseId": decision.case_id,
        "requestId": decision.request_id,
        "executorId": decision.executor_id,
        "actionType": decision.action_type,
        "approved": decision.approved,
        "statusCode": decision.status_code,
        "comment": decision.comment,
        "docKey": decision.doc_key,
        "createdAt": str(action.created_at),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _answer(answer: Answer) -> dict[str, Tree]:
    """With the action, where the backend knows the case."""
    fields: dict[str, Tree] = {"requestId": answer.request.request_id, "sessionId": answer.request.session_id}
    return fields if answer.action is None else {**fields, **_action(answer.action)}
