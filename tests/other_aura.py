"""An Aura as another team could have written it from the two documents: FastAPI and pydantic, and nothing of ours.

`mistakes` puts some of those into it that a live gate is there to find.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import jwt
import redis.asyncio
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

SECRET = "a-secret-that-only-this-aura-knows-0001"
CASE_ACTION, ALERT, RAG = "workbench:case:action", "workbench:alert", "workbench:rag:status"
UNESCAPED, EXPIRED, MEDIUM = MISTAKES = ("escapes what is not ASCII", "takes expired tokens", "alerts for MEDIUM")


class Record(BaseModel):
    case_id: str = Field(min_length=1)
    request_id: str = Field(min_length=1)
    executor_id: str = Field(min_length=1)
    approved: bool
    comment: str | None = None
    doc_key: str | None = None


class Question(BaseModel):
    case: str
    document: str
    session: str
    request: str
    user: str
    tenant: str
    timeout: float


def other_aura(redis_url: str, feedback: Path | None = None, mistakes: Collection[str] = ()) -> FastAPI:
    client = redis.asyncio.Redis.from_url(redis_url)
    asking: set[asyncio.Task[None]] = set()
    stored_keys: set[str] = set()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        if stored_keys:
            await client.delete(*stored_keys)
        await client.aclose()

    app = FastAPI(lifespan=lifespan)

    async def tell(channel: str, category: str, message: str, **fields: Any) -> None:
        now = datetime.now(UTC).isoformat()
        told = {"type": "NOTIFICATION", "category": category, "message": message, "timestamp": now, **fields}
        await client.publish(channel, json.dumps(told, ensure_ascii=UNESCAPED in mistakes).encode())

    async def record(action: Record) -> None:
        kind = "APPROVE" if action.approved else "REJECT"
        if feedback is not None:
            line = {"event": "hitl_feedback", **action.model_dump(), "action_type": kind}
            line |= {"comment": action.comment or "", "at": datetime.now(UTC).isoformat()}
            with feedback.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        await tell(
            CASE_ACTION,
            "CASE_ACTION",
            "조치 승인됨" if action.approved else "조치 거절됨",
            case_id=action.case_id,
            request_id=action.request_id,
            executor_id=action.executor_id,
            action_type=kind,
            approved=action.approved,
            status_code=f"{kind}D" if action.approved else "REJECTED",
        )

    def caller(
        authorization: Annotated[str, Header()] = "", x_tenant_id: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        scheme, _, token = authorization.partition(" ")
        refused = HTTPException(401, "no valid token", {"WWW-Authenticate": "Bearer"})
        if scheme != "Bearer":
            raise refused
        options: Any = {"require": ["sub", "tenant_id", "exp"], "verify_exp": EXPIRED not in mistakes}
        try:
            claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], options=options)
        except jwt.InvalidTokenError:
            raise refused from None
        if x_tenant_id is not None and x_tenant_id != str(claims["tenant_id"]):
            raise HTTPException(403, "another tenant")
        return claims

    @app.post("/aura/action/record")
    async def recorded(claims: Annotated[dict[str, Any], Depends(caller)], action: Record) -> dict[str, Any]:
        await record(action)
        return {
            "status": "SUCCESS",
            "message": "Action recorded",
            "data": {"ok": True, "logged": True},
            "success": True,
            "timestamp": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        }

    @app.post("/debug/detect")
    async def detect(case: dict[str, Any]) -> None:
        if case["severity"] == "HIGH" or (MEDIUM in mistakes and case["severity"] == "MEDIUM"):
            await tell(ALERT, "AI_DETECT", "신규 이상 징후 탐지", case_id=case["case"], **_without(case, "case"))

    @app.post("/debug/rag")
    async def rag(run: dict[str, Any]) -> None:
        if run["succeeded"]:
            await tell(RAG, "RAG_STATUS", "학습 완료", rag_document_id=run["document"], chunks_added=run["chunks"])

    @app.post("/debug/ask")
    async def ask(question: Question) -> None:
        key = f"hitl:request:{question.request}"
        context = {"caseId": question.case, **({"docKey": question.document} if question.document else {})}
        stored = {
            "requestId": question.request,
            "sessionId": question.session,
            "actionType": "CASE_ACTION",
            "context": context if question.case else {},
            "status": "pending",
            "userId": question.user,
            "tenantId": question.tenant,
            "createdAt": datetime.now(UTC).isoformat(),
        }
        stored_keys.add(key)
        await client.set(key, json.dumps(stored), ex=1800)
        task = asyncio.create_task(answered(key, question))
        asking.add(task)
        task.add_done_callback(asking.discard)

    async def answered(key: str, question: Question) -> None:
        signal = None
        async with client.pubsub(ignore_subscribe_messages=True) as listening:
            await listening.subscribe(f"hitl:channel:{question.session}")
            deadline = asyncio.get_running_loop().time() + question.timeout
            while signal is None:
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                message = await listening.get_message(timeout=left)
                said = json.loads(message["data"]) if message else None
                signal = said if said and said["requestId"] == question.request else None
        stored = await client.get(key)
        request = json.loads(stored) if stored else {"context": {}}
        if case := request["context"].get("caseId"):
            reason = "HITL timeout" if signal is None else signal.get("reason")
            approved = signal is not None and signal["type"] == "approval"
            action = Record(
                case_id=case,
                request_id=question.request,
                executor_id=request["userId"],
                approved=approved,
                comment=reason,
                doc_key=request["context"].get("docKey"),
            )
            await record(action)

    return app


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}
