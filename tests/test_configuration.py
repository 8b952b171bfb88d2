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
    found = read(Asked(redis="redis://line:6379", headers=["X-From: line", "X-More: 1"], timeout=1.5), environment)
    assert found.redis_url == "redis://line:6379"
    assert found.aura is not None
    assert (found.aura.url, found.aura.tenant) == ("http://environment:9000/api/aura", "8")
    assert (dict(found.aura.headers), found.aura.patience) == ({"X-From": "line", "X-More": "1"}, 1.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("redis = ", "harness.toml: no TOML: Invalid value (at end of document)"),
        ("[aura]\nurll = 'x'", "[aura]: the unknown setting 'urll', expected one of url,"),
        ("[aura]\nurll = 'x'", "did you mean url?"),
        ("[aura]\nurl = 7", "[aura]: url is 7, text was expected"),
        (
            "[aura]\nurl = 'http://a/aura'\ntimeout = true",
            "[aura]: timeout is True, a number of seconds above 0 was expected",
        ),
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


AURA = "redis = 'redis://r'\n[aura]\nurl = 'http://a/aura'\n"
SYNAPSE = "redis = 'redis://r'\n[synapse]\nurl = 'http://s'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            AURA.replace("//a/", "//a:abc/"),
            "--aura 'http://a:abc/aura': its host or port cannot be read, expected http",
        ),
        (AURA.replace("//a/", "//a:99999/"), "its host or port cannot be read"),
        (AURA.replace("//a/", "//[::1/"), "--aura 'http://[::1/aura': its host or port cannot be read"),
        (SYNAPSE.replace("//s", "//s:abc"), "--synapse 'http://s:abc': its host or port cannot be read"),
        (SYNAPSE + "tenants = ['abc']", "[synapse] tenants: 'abc' was found, whole numbers were expected"),
        (SYNAPSE + "tenants = [true]", "[synapse] tenants: True was found"),
        (SYNAPSE + "stomp = 'ws/x'", "--synapse http://s: 'ws/x' is no path, expected one that begins with /"),
        (
            SYNAPSE + "verify = '/no/such.pem'",
            "[synapse] verify: '/no/such.pem' holds no certificates that can be read",
        ),
        (AURA + "verify = '/no/such.pem'", "(No such file or directory); give a PEM file"),
        (AURA + "verify = 'harness.toml'", "[aura] verify: 'harness.toml' holds no certificates that can be read"),
        (AURA + "verify = 5", "[aura]: verify is 5, true, false or a file of certificates was expected"),
        (AURA + "timeout = nan", "[aura]: timeout is nan, a number of seconds above 0 was expected"),
        (AURA + "timeout = -1", "[aura]: timeout is -1, a number of seconds"),
        (SYNAPSE + "timeout = 0", "[synapse]: timeout is 0, a number of seconds"),
        (AURA + "hitl_timeout = -3", "[aura]: hitl_timeout is -3, a number of seconds"),
        (AURA + "tenant = '한국'", "--tenant 한국: X-Tenant-ID holds what no header can carry, expected ASCII text"),
        (AURA + "headers = {X-Who = '김검토'}", "[aura] headers: X-Who holds what no header can carry"),
        (AURA + "headers = {'X Who' = 'kim'}", "[aura] headers: 'X Who' is no name of a header"),
        (AURA + "secret = 5", "[aura]: secret is what is not shown here, text was expected"),
        ("[triggers.rag]\ncommand = []", "[triggers.rag]: command is [], a program and its arguments were expected"),
        ("[triggers.rag]\nurl = 'http://a'\nmethod = 'P T'", "method is 'P T', one of HTTP was expected"),
        ("[triggers.rag]\nurl = 'rag'", "[triggers.rag]: url rag: no http:// or https:// URL"),
        ("[triggers.rag]\nurl = 'http://a'\ntimeout = inf", "[triggers.rag]: timeout is inf, a number of seconds"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(text: str, said: str, configured: Path) -> None:
    assert said in refused(text)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(headers=["X-Who: 김검토"]), "--header: X-Who holds what no header can carry"),
        (Asked(headers=["X-Who: a\r\nX-More: b"]), "--header: X-Who holds what no header can carry"),
        (Asked(tenant="한국"), "--tenant 한국: X-Tenant-ID holds what no header can carry"),
        (Asked(secret=""), "--secret: it is empty; give one (also HARNESS_AURA_SECRET)"),
        (Asked(hitl_timeout=float("nan")), "--hitl-timeout is nan, a number of seconds above 0 was expected"),
    ],
)
def test_so_is_what_the_command_line_says(asked: Asked, said: str, configured: Path) -> None:
    assert said in refused(AURA, asked)


@pytest.mark.parametrize("url", ["http://kim:pa55@a/aura", "http://kim:pa55@a:x/aura", "http://kim:pa55/x@a/aura"])
def test_a_user_in_the_url_of_aura_is_refused_and_not_shown(url: str, configured: Path) -> None:
    said = refused(AURA.replace("http://a/aura", url))
    assert "http://***@a" in said
    assert "pa55" not in said


def test_the_last_word_on_how_to_sign_is_the_command_lines(configured: Path) -> None:
    from datetime import UTC, datetime

    from harness import tokens

    token = tokens.mint(SECRET, "5", datetime.now(UTC))
    Path("harness.toml").write_text(AURA + f"token = '{token}'", encoding="utf-8")
    by_line = read(Asked(secret=SECRET), {"HARNESS_AURA_TOKEN": token}).aura
    by_environment = read(Asked(), {"HARNESS_AURA_SECRET": SECRET}).aura
    by_file = read(Asked(), {}).aura
    given = [(each.secret, each.token) for each in (by_line, by_environment, by_file) if each is not None]
    assert given == [(SECRET, None), (SECRET, None), (None, token)]


def test_a_live_aura_needs_a_secret_or_a_token(configured: Path) -> None:
    assert "--aura needs a secret to sign tokens with (--secret, HARNESS_AURA_SECRET)" in refused(FILE, environment={})
    wrong = refused(FILE, Asked(token="no token"), {})
    assert wrong == "--token: no JSON Web Token with a tenant_id was found; give one (also HARNESS_AURA_TOKEN)"
    assert refused(FILE, Asked(headers=["none"])) == "--header 'none': expected NAME: VALUE"


def test_a_file_that_is_not_there_is_named(configured: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: No such file or directory"):
        read(Asked(file=Path("nowhere.toml")), {})
