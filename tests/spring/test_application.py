"""Where the real application cannot be built or asked, one line says what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spring import application
from spring.__main__ import main
from spring.answers import MAPPED, Answer, Message
from spring.application import Application


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any program, until one is put into this folder."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def _program(folder: Path, name: str, script: str = "exit 0") -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


def test_a_missing_jdk_is_named(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("spring: there is no javac: a JDK 17 and Maven are needed")


def test_a_wrong_java_home_is_named(
    bare: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert main(["build"]) == 4
    assert "there is no javac in JAVA_HOME=/nowhere: " in capsys.readouterr().err


def test_a_missing_maven_is_named(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _program(bare, "javac")
    assert main(["build"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("spring: there is no mvn: a JDK 17 and Maven are needed")


def test_a_build_that_fails_is_a_failure(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _program(bare, "javac")
    _program(bare, "mvn", "echo 'a compiler warning'; exit 1")
    assert main(["build"]) == 4
    assert capsys.readouterr().err == "spring: the application could not be built:\na compiler warning\n\n"


@pytest.mark.parametrize("command", [["compare"], ["recorded"], ["record"], ["one", "-", "-"], ["nth", "1", "0"]])
def test_nothing_is_compared_with_an_application_that_is_not_built(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(application, "JAR", tmp_path / "synapse.jar")
    assert main(command) == 4
    assert capsys.readouterr().err == "spring: the application is not built: make spring builds it\n"


def _answering(bare: Path, monkeypatch: pytest.MonkeyPatch, answers: str) -> None:
    """An application that writes this, as `printf` of a shell does, and ends."""
    monkeypatch.setattr(application, "JAR", bare / "synapse.jar")
    application.JAR.touch()
    _program(bare, "java", f"printf '{answers}'")


def test_another_java_than_the_deployed_one_is_refused(
    bare: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(bare, monkeypatch, r"V\000\000\000\026java 21.0.2, jackson 2")
    assert main(["recorded"]) == 4
    assert "Java 21.0.2 was found, 17 is deployed: set JAVA_HOME to a JDK 17" in capsys.readouterr().err


def test_an_application_that_ends_is_a_failure(
    bare: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(bare, monkeypatch, r"V\000\000\000\014java 17.0.15")
    assert main(["recorded"]) == 4
    assert "the application ended by itself (exit code 0)" in capsys.readouterr().err


def test_an_answer_that_differs_from_the_recorded_one_is_a_failure(
    bare: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(bare, monkeypatch, r"V\000\000\000\014java 17.0.15" + r"R\000\000\000\001X" * 1000)
    assert main(["recorded"]) == 1
    assert "of them wrong; java 17.0.15" in capsys.readouterr().out


ECHO = """
import sys
take, give = sys.stdin.buffer, sys.stdout.buffer
give.write(b"V" + (14).to_bytes(4, "big") + b"java 17.0.15-x")
give.flush()
while head := take.read(4):
    take.read(int.from_bytes(head, "big"))
    size = take.read(4)
    give.write(b"M" + size + take.read(int.from_bytes(size, "big")))
    give.flush()
"""
"""An application that answers each body with itself before it reads another message."""


def test_answers_are_in_the_order_of_the_messages_however_large_they_are(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "echo.py").write_text(ECHO, encoding="utf-8")
    monkeypatch.setattr(application, "JAR", bare / "echo.py")
    _program(bare, "java", f"exec '{sys.executable}' '{application.JAR}'")
    messages = [Message(b"c" * index, bytes([index]) * 20_000) for index in range(100)]
    with Application() as asked:
        assert asked.answers(messages) == [Answer(MAPPED, message.body) for message in messages]
