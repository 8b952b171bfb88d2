"""How Aura's record endpoint drifts: what it accepts, how it refuses, and what it answers."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import jwt

from harness import tokens
from harness.aura.body import Unprocessable, read_action
from harness.drift.deviation import Deviation
from harness.drift.seams import (
    Answered,
    Asked,
    Handler,
    Json,
    accepted_as,
    answering,
    asking,
    handled_by,
    refused_as,
)

_of = partial(Deviation.of, "aura")


def _signed_again(asked: Asked, handler: Handler) -> Asked:
    """With a valid token for whatever the given one claims, valid or not."""
    claims = _claims(asked)
    if claims is None:
        return asked
    token = tokens.mint(handler.settings.jwt_secret, str(claims.get("tenant_id")), handler.clock.now())
    return replace(asked, headers={**asked.headers, "authorization": f"Bearer {token}"})


def _claims(asked: Asked) -> Json | None:
    """What the token says, whoever wrote it, with its `alg`; None where it is no token."""
    token = asked.headers.get("authorization", "").removeprefix("Bearer ")
    try:
        alg = jwt.get_unverified_header(token).get("alg")
        return {"alg": alg, **jwt.decode(token, options={"verify_signature": False})}
    except jwt.InvalidTokenError:
        return None


def _expired_is_valid(asked: Asked, handler: Handler) -> Asked:
    claims = _claims(asked)
    late = claims is not None and claims.get("exp", 0) <= handler.clock.now().timestamp()
    return _signed_again(asked, handler) if late else asked


def _unsigned_is_valid(asked: Asked, handler: Handler) -> Asked:
    claims = _claims(asked)
    return _signed_again(asked, handler) if claims is not None and claims["alg"] == "none" else asked


def _nobody_is_somebody(asked: Asked, handler: Handler) -> Asked:
    if asked.headers.get("authorization"):
        return asked
    token = tokens.mint(handler.settings.jwt_secret, asked.headers.get("x-tenant-id", "7"), handler.clock.now())
    return replace(asked, headers={**asked.headers, "authorization": f"Bearer {token}"})


def _own_tenant(asked: Asked, handler: Handler) -> Asked:
    claims = _claims(asked)
    if claims is None or "x-tenant-id" not in asked.headers:
        return asked
    return replace(asked, headers={**asked.headers, "x-tenant-id": str(claims.get("tenant_id"))})


def _some_tenant(asked: Asked, handler: Handler) -> Asked:
    claims = _claims(asked) or {}
    return replace(asked, headers={"x-tenant-id": str(claims.get("tenant_id", 7)), **asked.headers})


def _body_first(asked: Asked, handler: Handler) -> Asked | Answered:
    """Validated before anybody asks who calls."""
    if asked.method != "POST":
        return asked
    try:
        read_action(asked.headers.get("content-type"), asked.body)
    except Unprocessable as error:
        return Answered.of(422, {"detail": list(error.detail)})
    return asked


def _corrected(correct: Any) -> Any:
    """A body that is made valid before it is validated."""

    def change(asked: Asked, handler: Handler) -> Asked:
        body = asked.json
        if not body:
            return asked
        return replace(asked, body=json.dumps(correct(body), ensure_ascii=False).encode())

    return asking(change)


_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "t", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "f", "n", "0"), False),
}


def _lax(value: Any) -> Any:
    """What pydantic takes for a boolean, unless it is told to be strict; everything else as it stands."""
    if isinstance(value, str):
        return _WORDS.get(value.lower(), value)
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else value


def _true_in_words(body: Json) -> Json:
    return body | {"approved": _lax(body["approved"])} if "approved" in body else body


def _ids_as_text(body: Json) -> Json:
    ids = ("case_id", "request_id", "executor_id")
    return body | {name: str(body[name]) for name in ids if type(body.get(name)) in (int, float)}


def _required(name: str) -> Any:
    def change(asked: Asked, handler: Handler) -> Asked | Answered:
        body = asked.json
        if body and body.get(name) is None:
            return Answered.of(422, {"detail": [{"type": "missing", "loc": ["body", name], "msg": "Field required"}]})
        return asked

    return asking(change)


def _post_whatever_it_was(asked: Asked, handler: Handler) -> Asked:
    return replace(asked, method="POST") if asked.method in ("PUT", "PATCH") else asked


class LogsRefused(Handler):
    async def answer(self, asked: Asked, answered: Answered) -> Answered:
        body = asked.json
        if answered.status >= 400 and body:
            line = {"event": "hitl_feedback", "comment": "", "doc_key": None, **body}
            self.actions.feedback(json.dumps(line, ensure_ascii=False))
        return answered


class TellsRefused(Handler):
    async def answer(self, asked: Asked, answered: Answered) -> Answered:
        body = asked.json
        if answered.status >= 400 and isinstance(body.get("request_id"), str):
            named = {name: str(body.get(name)) for name in ("case_id", "executor_id")}
            await self.actions.publishers.publish(
                self.settings.case_action_redis_channel,
                self.actions.publishers.encode(
                    {
                        "type": "NOTIFICATION",
                        "category": "CASE_ACTION",
                        "message": "조치 거절됨",
                        "timestamp": self.clock.now().isoformat(),
                        **named,
                        "request_id": body["request_id"],
                        "action_type": "REJECT",
                        "approved": False,
                        "status_code": "REJECTED",
                    }
                ),
            )
        return answered


def _in_data(**fields: object) -> Any:
    return accepted_as(lambda envelope: envelope | {"data": envelope["data"] | fields})


def _status(refused: int, status: int) -> Any:
    return refused_as(refused, lambda answered: replace(answered, status=status))


def _as_html(answered: Answered) -> Answered:
    if answered.status < 400:
        return answered
    return replace(answered, headers={**answered.headers, "content-type": "text/html"}, body=b"<h1>Error</h1>")


def _without_header(name: str) -> Any:
    return lambda answered: replace(answered, headers={k: v for k, v in answered.headers.items() if k != name})


DEVIATIONS = (
    # What is answered
    _of(
        "history-id-is-back",
        "The old client still reads history_id, so I put it back into the answer.",
        "http.data http.no-database-fields",
        _in_data(history_id=4711),
    ),
    _of(
        "database-fields-in-errors",
        "Errors tell whether the document was updated.",
        "http.no-database-fields",
        answering(
            lambda answered: (
                answered.saying({**answered.json, "context": [{"fi_doc_updated": False}]})
                if answered.status == 422
                else answered
            )
        ),
    ),
    _of(
        "success-is-false",
        "success was meant for the job behind it, which has not run yet.",
        "http.accepted",
        accepted_as(lambda envelope: envelope | {"success": False}),
    ),
    _of(
        "answers-without-envelope",
        "I return the model itself; the envelope was boilerplate.",
        "http.accepted",
        accepted_as(lambda envelope: envelope["data"]),
        also="http.data",
    ),
    _of("ok-is-text", "All values of data are strings now.", "http.data", _in_data(ok="true", logged="true")),
    _of(
        "500-after-publishing",
        "The metrics call after the publish fails.",
        "http.accepted http.optional-fields",
        answering(lambda answered: Answered.of(500, {"detail": "metrics"}) if answered.status == 200 else answered),
        also="http.gateway-tenant",
    ),
    # Who may call
    _of(
        "expired-tokens-accepted",
        "Tokens ran out in the middle of long reviews, so I switched verify_exp off.",
        "http.token-refused",
        asking(_expired_is_valid),
    ),
    _of(
        "alg-none-accepted",
        "We allow every algorithm of the library.",
        "http.token-refused",
        asking(_unsigned_is_valid),
    ),
    _of(
        "signatures-not-checked",
        "The gateway checks signatures, so we only decode.",
        "http.token-refused",
        asking(_signed_again),
    ),
    _of(
        "no-token-needed",
        "Without a token it is the service account.",
        "http.token-refused http.precedence",
        asking(_nobody_is_somebody),
    ),
    _of(
        "tenant-ignored",
        "The header is for routing; we take the token's tenant.",
        "http.tenant-refused",
        asking(_own_tenant),
        also="http.precedence",
    ),
    _of(
        "gateway-fills-in-the-tenant",
        "The gateway takes the tenant from the token where the header is missing.",
        "http.gateway-tenant",
        asking(_some_tenant),
    ),
    # How it refuses
    _of(
        "401-is-403",
        "Whoever has no valid token is forbidden.",
        "http.status-401",
        _status(401, 403),
        also="http.precedence",
    ),
    _of(
        "401-without-challenge",
        "Browsers showed a login box because of WWW-Authenticate.",
        "http.status-401",
        refused_as(401, _without_header("www-authenticate")),
    ),
    _of(
        "403-is-404",
        "Another tenant must not learn that there is anything.",
        "http.status-403",
        _status(403, 404),
        also="http.precedence",
    ),
    _of(
        "405-without-allow",
        "The new router forgets Allow.",
        "http.status-405",
        refused_as(405, _without_header("allow")),
    ),
    _of("put-is-post", "PUT and PATCH do the same, for idempotence.", "http.status-405", asking(_post_whatever_it_was)),
    _of("400-for-validation", "Validation errors are 400 everywhere else.", "http.status-422", _status(422, 400)),
    _of("errors-as-html", "The error page of the proxy is nicer.", "http.error-detail", answering(_as_html)),
    _of(
        "always-200",
        "Clients retry upon an error, so it is 200 and the detail says what is wrong.",
        "http.missing-field-refused http.token-refused http.tenant-refused",
        answering(lambda answered: replace(answered, status=200)),
        also="http.logged http.json-types http.status-405 http.gateway-tenant publish.once",
    ),
    _of(
        "body-before-token", "The model is parsed before the dependencies run.", "http.precedence", asking(_body_first)
    ),
    # What it accepts
    _of("approved-in-words", 'pydantic turns "yes" and 1 into true.', "http.json-types", _corrected(_true_in_words)),
    _of("ids-as-numbers", "A numeric id is turned into text.", "http.json-types", _corrected(_ids_as_text)),
    _of(
        "approved-by-default",
        "approved has a default, as most are approved.",
        "http.missing-field-refused",
        _corrected(lambda body: {"approved": True, **body}),
    ),
    _of(
        "comment-required",
        "A decision without a reason is none.",
        "http.optional-fields",
        _required("comment"),
        also="http.accepted http.gateway-tenant",
    ),
    # What a refused call leaves behind
    _of(
        "refused-is-logged",
        "What was refused is logged as well, once it is answered.",
        "http.refused-not-logged",
        handled_by(LogsRefused),
    ),
    _of(
        "refused-is-told",
        "The workbench wants to know of failed tries as well.",
        "publish.none-when-refused",
        handled_by(TellsRefused),
        also="publish.agree publish.event-fields",
    ),
)
