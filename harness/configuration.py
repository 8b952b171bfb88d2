"""Which seats of a run are live and how to reach them: from `harness.toml`, the environment and the command line.

The command line wins over the environment, and that over the file. Secrets are best kept in the environment.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.live.address import must_be_headers, must_be_url, trusted
from harness.live.aura import AuraTarget, tenant_of
from harness.live.synapse import SynapseTarget
from harness.live.triggers import EVENTS, PLACEHOLDERS, Trigger, filled, unknown_placeholders

FILE = "harness.toml"
_TOP = {"redis": str, "aura": dict, "synapse": dict, "triggers": dict}
_AURA = {
    "url": str,
    "secret": str,
    "token": str,
    "tenant": str,
    "headers": dict,
    "timeout": float,
    "verify": (bool, str),
    "feedback": str,
    "hitl_timeout": float,
}
_SYNAPSE = {
    "url": str,
    "stomp": str,
    "notifications": str,
    "headers": dict,
    "tenants": list,
    "timeout": float,
    "verify": (bool, str),
}
_SECRETS = ("secret", "token")
_EXPECTED: Mapping[Any, str] = {
    str: "text",
    float: "a number of seconds above 0",
    dict: "a table",
    list: "a list",
    (bool, str): "true, false or a file of certificates",
}
_TRIGGER = {"method": str, "url": str, "headers": dict, "body": object, "command": list, "timeout": float}


@dataclass(frozen=True, slots=True)
class Configuration:
    redis_url: str | None = None
    aura: AuraTarget | None = None
    synapse: SynapseTarget | None = None
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    hitl_timeout: float | None = None
    """Of whatever Aura it is, also of one that is reached through Redis only."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says; None and empty where it says nothing."""

    file: Path | None = None
    redis: str | None = None
    aura: str | None = None
    synapse: str | None = None
    secret: str | None = None
    token: str | None = None
    tenant: str | None = None
    headers: Sequence[str] = ()
    timeout: float | None = None
    insecure: bool = False
    feedback: str | None = None
    hitl_timeout: float | None = None


def read(asked: Asked, environment: Mapping[str, str]) -> Configuration:
    """Raises UsageError that names what to correct."""
    path = asked.file or (Path(FILE) if Path(FILE).is_file() else None)
    told = {} if path is None else _file(path)
    where = str(path or FILE)
    for option, limit in (("--patience", asked.timeout), ("--hitl-timeout", asked.hitl_timeout)):
        if limit is not None:
            _must_have({option: limit}, {option: float}, "command line")
    headers = dict(map(_header, asked.headers))
    verify = {"verify": False} if asked.insecure else {}

    def of(option: str | None, name: str) -> dict[str, str]:
        """What the command line or the environment says of one setting; an empty variable says nothing."""
        value = environment.get(f"HARNESS_{name.upper()}") or None if option is None else option
        return {} if value is None else {name.removeprefix("aura_").removeprefix("synapse_"): value}

    aura = dict(told.get("aura", {}))
    aura |= of(asked.aura, "aura_url") | of(asked.feedback, "aura_feedback") | of(asked.tenant, "tenant")
    aura |= {"hitl_timeout": asked.hitl_timeout} if asked.hitl_timeout is not None else {}
    of_environment = of(None, "aura_secret") | of(None, "aura_token")
    of_line = {name: said for name, said in (("secret", asked.secret), ("token", asked.token)) if said is not None}
    for credentials in filter(None, (of_environment, of_line)):  # either takes the place of both
        aura = {name: said for name, said in aura.items() if name not in ("secret", "token")} | credentials
    synapse = {**told.get("synapse", {}), **of(asked.synapse, "synapse_url")}
    for seat in (aura, synapse):
        seat["headers"] = {**seat.get("headers", {}), **headers}
        seat |= verify | ({"timeout": asked.timeout} if asked.timeout is not None else {})
    redis_url = asked.redis or environment.get("HARNESS_REDIS_URL") or told.get("redis")
    live = [name for name, seat in (("--aura", aura), ("--synapse", synapse)) if "url" in seat]
    if live and not redis_url:
        raise UsageError(f"{live[0]}: a live seat needs the Redis that it uses; give --redis (HARNESS_REDIS_URL)")
    return Configuration(
        redis_url=redis_url,
        aura=_aura(aura, where) if "url" in aura else None,
        synapse=_synapse(synapse, where) if "url" in synapse else None,
        triggers=_triggers(told.get("triggers", {}), where),
        hitl_timeout=_seconds(aura.get("hitl_timeout")),
    )


def _seconds(value: float | None) -> float | None:
    return None if value is None else float(value)


def _file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as text:
            told = tomllib.load(text)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; give a file that can be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no TOML: {error}") from error
    _must_have(told, _TOP, str(path))
    for part, known in (("aura", _AURA), ("synapse", _SYNAPSE)):
        _must_have(told.get(part, {}), known, f"{path}: [{part}]")
    return told


def _must_have(found: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    """Names that are known, with values of their types."""
    import difflib

    for name, value in found.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UsageError(f"{where}: the unknown setting {name!r}, expected one of {', '.join(known)}{hint}")
        kind = known[name]
        if not isinstance(value, (int, float) if kind is float else kind) or (
            kind is float and (isinstance(value, bool) or not 0 < value < float("inf"))
        ):
            seen = "what is not shown here" if name in _SECRETS else repr(value)
            raise UsageError(f"{where}: {name} is {seen}, {_EXPECTED[kind]} was expected")


def _aura(told: Mapping[str, Any], where: str) -> AuraTarget:
    _must_be_trusted(told, f"{where}: [aura] verify")
    token = told.get("token")
    tenant = (tenant_of(token) if token else None) or "7"
    return AuraTarget(
        url=told["url"].rstrip("/"),
        secret=told.get("secret") if token is None else None,
        token=token,
        tenant=told.get("tenant") or tenant,
        headers=_texts(told["headers"], f"{where}: [aura] headers"),
        patience=float(told.get("timeout", 5.0)),
        verify=told.get("verify", True),
        feedback=Path(told["feedback"]) if "feedback" in told else None,
        hitl_timeout=_seconds(told.get("hitl_timeout")),
    )


def _synapse(told: Mapping[str, Any], where: str) -> SynapseTarget:
    more: dict[str, Any] = {}
    for name, argument in (("stomp", "stomp_path"), ("notifications", "notifications_path")):
        if name in told:
            more[argument] = told[name]
    if "tenants" in told:
        more["tenants"] = tuple(_tenant(tenant, f"{where}: [synapse] tenants") for tenant in told["tenants"])
    _must_be_trusted(told, f"{where}: [synapse] verify")
    return SynapseTarget(
        url=told["url"].rstrip("/"),
        headers=_texts(told["headers"], f"{where}: [synapse] headers"),
        patience=float(told.get("timeout", 5.0)),
        verify=told.get("verify", True),
        **more,
    )


def _triggers(told: Mapping[str, Any], where: str) -> dict[str, Trigger]:
    found = {}
    for event, trigger in told.items():
        at = f"{where}: [triggers.{event}]"
        if event not in EVENTS or not isinstance(trigger, dict):
            raise UsageError(f"{at}: expected a table for one of {', '.join(EVENTS)}")
        _must_have(trigger, _TRIGGER, at)
        if ("url" in trigger) == ("command" in trigger):
            raise UsageError(f"{at}: expected a url to call or a command to run")
        command = trigger.get("command", ("there is a URL",))
        if not command or not all(isinstance(part, str) and part for part in command[:1]):
            raise UsageError(f"{at}: command is {command!r}, a program and its arguments were expected")
        strange = unknown_placeholders(event, *trigger.values())
        if strange:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS[event])
            raise UsageError(f"{at}: {{{sorted(strange)[0]}}} stands for nothing here; there are {known}")
        headers = _texts(trigger.get("headers", {}), f"{at} headers")
        if "url" in trigger:
            sample = filled(trigger["url"], dict.fromkeys(PLACEHOLDERS[event], "1"))
            must_be_url(sample, f"{at}: url", "http://host:9000/path")
            method = trigger.get("method", "POST")
            if not (method.isascii() and method.isalpha()):
                raise UsageError(f"{at}: method is {method!r}, one of HTTP was expected, as POST")
        found[event] = Trigger(
            event=event,
            where=at,
            method=trigger.get("method", "POST"),
            url=trigger.get("url", ""),
            headers=headers,
            body=trigger.get("body"),
            command=tuple(map(str, trigger.get("command", ()))),
            patience=float(trigger.get("timeout", 10.0)),
        )
    return found


def _texts(found: Mapping[str, Any], where: str) -> dict[str, str]:
    wrong = [name for name, value in found.items() if not isinstance(value, str)]
    if wrong:
        raise UsageError(f"{where}: {wrong[0]} is {found[wrong[0]]!r}, text was expected")
    must_be_headers(found, where)
    return dict(found)


def _tenant(found: Any, where: str) -> int:
    number = str(found)
    if isinstance(found, bool) or not (number.isascii() and number.isdigit()):
        raise UsageError(f"{where}: {found!r} was found, whole numbers were expected")
    return int(number)


def _must_be_trusted(told: Mapping[str, Any], where: str) -> None:
    """Before anything is sent."""
    if isinstance(told.get("verify"), str):
        trusted(told["verify"], where)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"--header {text!r}: expected NAME: VALUE")
    must_be_headers({name.strip(): value.strip()}, "--header")
    return name.strip(), value.strip()
