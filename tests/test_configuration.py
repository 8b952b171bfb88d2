"""Settings of live seats come from a file, the environment and the command line, the last of which wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.configuration import Asked, Configuration, read
from harness.errors import UsageError

SECRET = "a-secret-of-more-than-32-bytes-in-all"
FILE = """
redis = "redis://file:6379"
[aura]
url = "http://file:9000/aura"
tenant = "9"
headers = {X-From = "file"}
hitl_timeout = 3
[synapse]
url = "http://file:8080"
stomp = "/elsewhere"
tenants = [0, 9]
[triggers.detect]
url = "http://file:9000/debug/detect"
body = {case = "{case}", severity = "{severity}"}
[triggers.hitl]
command = ["ask", "--session", "{session}", "--timeout", "{timeout}"]
"""


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands in, with a harness.toml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text(FILE, encoding="utf-8")
    return tmp_path


def refused(text: str, asked: Asked | None = None, environment: dict[str, str] | None = None) -> str:
    Path("harness.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read(asked or Asked(), {"HARNESS_AURA_SECRET": SECRET} if environment is None else environment)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_anything_everything_is_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(Asked(), {}) == Configuration()


def test_the_file_of_the_folder_is_read(configured: Path) -> None:
    found = read(Asked(), {"HARNESS_AURA_SECRET": SECRET})
    assert found.redis_url == "redis://file:6379"
    assert found.aura is not None
    assert found.synapse is not None
    assert (found.aura.url, found.aura.tenant, found.aura.secret) == ("http://file:9000/aura", "9", SECRET)
    assert (found.aura.hitl_timeout, dict(found.aura.headers)) == (3.0, {"X-From": "file"})
    assert (found.synapse.stomp_path, found.synapse.tenants) == ("/elsewhere", (0, 9))
    assert found.triggers["detect"].body == {"case": "{case}", "severity": "{severity}"}
    assert found.triggers["hitl"].command == ("ask", "--session", "{session}", "--timeout", "{timeout}")


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(configured: Path) -> None:
    environment = {
        "HARNESS_AURA_SECRET": SECRET,
        "HARNESS_AURA_URL": "http://environment:9000/api/aura",
        "HARNESS_REDIS_URL": "redis://environment:6379",
        "HARNESS_TENANT": "8",
    }
    found = read(Asked(redis="redis://line:6379", headers=["X-From: line", "X-More: 값"], timeout=1.5), environment)
    assert found.redis_url == "redis://line:6379"
    assert found.aura is not None
    assert (found.aura.url, found.aura.tenant) == ("http://environment:9000/api/aura", "8")
    assert (dict(found.aura.headers), found.aura.patience) == ({"X-From": "line", "X-More": "값"}, 1.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("redis = ", "harness.toml: no TOML: Invalid value (at end of document)"),
        ("[aura]\nurll = 'x'", "[aura]: the unknown setting 'urll', expected one of url,"),
        ("[aura]\nurll = 'x'", "did you mean url?"),
        ("[aura]\nurl = 7", "[aura]: url is 7, text was expected"),
        ("[aura]\nurl = 'http://a/aura'\ntimeout = true", "[aura]: timeout is True, a number was expected"),
        ("redis = 'redis://r'\n[aura]\nurl = 'a/aura'", "--aura a/aura: no http:// or https:// URL"),
        ("redis = 'redis://r'\n[aura]\nurl = 'http://a'", "its path has to end with /api/aura"),
        ("[synapse]\nurl = 'http://s'", "--synapse: a live seat needs the Redis that it uses; give --redis"),
        ("redis = 'redis://r'\n[synapse]\nurl = 's'", "--synapse s: no http:// or https:// URL"),
        ("[triggers.detct]\nurl = 'x'", "[triggers.detct]: expected a table for one of detect, rag, hitl, case"),
        ("[triggers.rag]\nmethod = 'GET'", "[triggers.rag]: expected a url to call or a command to run"),
        (
            "[triggers.rag]\nurl = 'x'\nbody = {a = '{case}'}",
            "[triggers.rag]: {case} stands for nothing here; there are",
        ),
        ("[triggers.rag]\nurl = 'x'\nheaders = {a = 1}", "[triggers.rag] headers: a is 1, text was expected"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, said: str, configured: Path) -> None:
    assert said in refused(text)


def test_a_live_aura_needs_a_secret_or_a_token(configured: Path) -> None:
    assert "--aura needs a secret to sign tokens with (--secret, HARNESS_AURA_SECRET)" in refused(FILE, environment={})
    wrong = refused(FILE, Asked(token="no token"), {})
    assert wrong == "--token: no JSON Web Token with a tenant_id was found; give one (also HARNESS_AURA_TOKEN)"
    assert refused(FILE, Asked(headers=["none"])) == "--header 'none': expected NAME: VALUE"


def test_a_file_that_is_not_there_is_named(configured: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: No such file or directory"):
        read(Asked(file=Path("nowhere.toml")), {})
