"""The direction of imports is held: who may know whom, function-local imports too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import harness

ROOT = Path(harness.__file__).parent

LEAVES = {"errors"}
JOINING = {"cli", "commands", "pytest_plugin"}
"""What may import all."""
ALLOWED: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "environment": LEAVES,
    "verdict": set(),
    "clock": set(),
    "virtual": set(),
    "history": LEAVES,
    "tokens": set(),
    "located": LEAVES,
    "reproduce": {"history"},
    "agreement": LEAVES | {"located"},
    "schema": LEAVES | {"agreement"},
    "lint": LEAVES | {"agreement", "located"},
    "generate": {"clock"},
    "hostile": set(),
    "messages": {"clock", "generate", "hostile"},
    "redis_server": LEAVES,
    "pipeline": set(),
    "bus": LEAVES | {"history", "pipeline"},
    "watch": {"agreement", "bus", "checks", "clock", "history", "verdict"},
    "republish": LEAVES | {"bus", "history"},
    "http": LEAVES | {"clock", "history"},
    "stomp": LEAVES | {"clock", "history"},
    "asgi_websocket": LEAVES | {"clock", "history", "stomp"},
    "aura": LEAVES | {"clock", "environment"},
    "synapse": LEAVES | {"clock", "environment", "stomp"},
    "workbench": LEAVES | {"clock", "stomp"},
    "checks": {"agreement", "schema", "history", "verdict", "reproduce"},
    "stories": {"aura", "clock"},
    "cases": {"generate", "tokens"},
    "vocabulary": set(),
    "scenario": LEAVES | {"located", "vocabulary"},
    "matching": {"history", "scenario"},
    "hops": {"history", "matching", "scenario"},
    "recorded": LEAVES | {"history", "located", "scenario"},
    "expect": {"history", "hops", "matching", "recorded", "scenario", "verdict"},
    "redaction": {"located"},
    "configuration": LEAVES | {"live"},
    "waivers": LEAVES | {"located", "verdict"},
    "outage": LEAVES | {"bus", "history", "redis_server"},
    "live": LEAVES | {"aura", "bus", "clock", "history", "http", "stomp", "tokens"},
    "fuzz": LEAVES | {"clock", "http"},
    "asgi_stream": {"http"},
    "runner": LEAVES
    | {
        "",
        "agreement",
        "tokens",
        "asgi_websocket",
        "aura",
        "bus",
        "clock",
        "history",
        "http",
        "stomp",
        "synapse",
    },
    "player": {
        "aura",
        "bus",
        "clock",
        "expect",
        "history",
        "http",
        "outage",
        "runner",
        "scenario",
        "seats",
        "workbench",
    },
    "replay": LEAVES
    | {"agreement", "bus", "checks", "clock", "expect", "gate", "history", "player", "runner", "scenario"}
    | {"outage", "redaction", "redis_server", "seats", "verdict", "virtual"},
    "gate": LEAVES
    | {"", "agreement", "bus", "cases", "clock", "fuzz", "generate", "history", "http", "messages"}
    | {"outage", "redaction", "runner", "seats", "stories"},
    "seats": LEAVES
    | {"aura", "backend", "bus", "cases", "clock", "history", "http", "live", "outage", "runner", "synapse", "tokens"}
    | {"workbench"},
    "attach": LEAVES | {"agreement", "aura", "bus", "clock", "history", "http", "live", "redaction", "runner", "seats"},
    "backend": {"asgi_stream", "asgi_websocket", "bus", "http", "live", "runner", "stomp", "workbench"},
    "drift": LEAVES
    | {"agreement", "aura", "checks", "clock", "gate", "http", "messages", "replay", "runner", "scenario", "seats"}
    | {"synapse", "tokens", "verdict", "virtual", "workbench"},
    "ledger": set(),
    "load": LEAVES
    | {"", "agreement", "aura", "bus", "clock", "history", "ledger", "live", "redis_server", "schema", "stomp"}
    | {"synapse", "tokens"},
    "report": {"agreement", "drift", "verdict", "history", "expect", "scenario", "waivers"},
    "serve": LEAVES
    | {"", "agreement", "aura", "backend", "bus", "checks", "clock", "expect", "gate", "history", "outage", "player"}
    | {"redis_server", "replay", "report", "runner", "scenario", "seats", "synapse", "tokens"},
    "fixtures": LEAVES
    | {"", "agreement", "aura", "bus", "checks", "clock", "history", "http", "messages", "report", "synapse"}
    | {"tokens", "verdict"},
}


def module_of(path: Path) -> str:
    """The first name below `harness`; the package itself is the empty name."""
    return path.relative_to(ROOT).with_suffix("").parts[0].replace("__init__", "")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "harness":
            names = [f"harness.{name.name}" for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [node.module or ""]
        for name in names:
            if name.partition(".")[0] == "harness":
                second = name.split(".")[1] if "." in name else ""
                known = (ROOT / second).is_dir() or (ROOT / f"{second}.py").is_file()
                yield second if known else ""


def test_modules_import_only_what_lies_below_them() -> None:
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        module = module_of(path)
        if module in JOINING:
            continue
        extra = set(imported(path)) - ALLOWED[module] - {module}
        wrong += [f"{path.relative_to(ROOT.parent)} imports {name or 'harness'}" for name in sorted(extra)]
    assert wrong == []


def test_every_module_has_its_place() -> None:
    modules = {module_of(path) for path in ROOT.rglob("*.py")}
    assert modules - JOINING == set(ALLOWED)


def test_only_the_locustfile_imports_locust() -> None:
    """It changes the process that imports it."""
    for folder in (ROOT, ROOT.parent / "tests"):
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not any(name.partition(".")[0] == "locust" for name in names), path
