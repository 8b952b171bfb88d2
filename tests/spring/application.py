"""The real application as a process that maps messages: how it is built, found and asked."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from spring.answers import MAPPED, NOW, UNREAD, UNWRITTEN, Answer, Message

HERE: Final = Path(__file__).parent
JAR: Final = HERE / "target" / "synapse.jar"
JAVA_VERSION: Final = "17"
"""The deployed one; from 19 on a double is printed with other digits."""

_OUTCOMES: Final = {b"M": MAPPED, b"R": UNREAD, b"W": UNWRITTEN}
_NEEDED: Final = "a JDK 17 and Maven are needed (Debian: apt-get install openjdk-17-jdk-headless maven)"


class NotAvailable(Exception):
    """The real application cannot be built or asked; the text says what to do."""


def build(environment: Mapping[str, str] = os.environ) -> None:
    """Raises NotAvailable, with what Maven says where it fails."""
    compiler = java(environment, "javac")
    maven = shutil.which("mvn", path=environment.get("PATH", ""))
    if maven is None:
        raise NotAvailable(f"there is no mvn: {_NEEDED}")
    command = [maven, "--batch-mode", "--quiet", "-Dstyle.color=never", "-f", str(HERE / "pom.xml"), "package"]
    home = {} if "JAVA_HOME" in environment else {"JAVA_HOME": str(compiler.resolve().parent.parent)}
    done = subprocess.run(command, env={**environment, **home}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotAvailable(f"the application could not be built:\n{done.stdout}{done.stderr}")


def java(environment: Mapping[str, str], name: str = "java") -> Path:
    """A program of the JDK: of JAVA_HOME where that is set, else from PATH."""
    home = environment.get("JAVA_HOME")
    found = shutil.which(name, path=str(Path(home) / "bin") if home else environment.get("PATH", ""))
    if found is None:
        raise NotAvailable(f"there is no {name}{f' in JAVA_HOME={home}' if home else ''}: {_NEEDED}")
    return Path(found)


class Application:
    """The second entry point of the application, which answers what Spring would broadcast."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Raises NotAvailable."""
        if not JAR.is_file():
            raise NotAvailable("the application is not built: make spring builds it")
        self._process = subprocess.Popen(
            [java(environment), "-Dloader.main=synapse.MappingCommand", "-jar", str(JAR), NOW],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in: IO[bytes] = self._process.stdin
        self._out: IO[bytes] = self._process.stdout
        try:
            self.versions = self._versions()
        except BaseException:
            self.close()
            raise

    def _versions(self) -> dict[str, str]:
        """By name: java, jackson and spring-boot."""
        self._exactly(1)
        text = self._block().decode()
        versions = dict(each.split(" ", 1) for each in text.split(", "))
        if versions["java"].split(".")[0] != JAVA_VERSION:
            raise NotAvailable(
                f"Java {versions['java']} was found, {JAVA_VERSION} is deployed: set JAVA_HOME to a JDK 17"
            )
        return versions

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        # Closing writes what is left to be written, to nobody.
        with suppress(BrokenPipeError):
            self._in.close()
        self._out.close()

    def answer(self, message: Message) -> Answer:
        return self.answers([message])[0]

    def answers(self, messages: Sequence[Message]) -> list[Answer]:
        """In their order. Raises NotAvailable where the process has ended."""
        # Written beside the reading: neither side can wait for the other to empty its pipe.
        writer = threading.Thread(target=self._write, args=(b"".join(map(_framed, messages)),))
        writer.start()
        try:
            return [self._answer() for _ in messages]
        finally:
            writer.join()

    def _write(self, frames: bytes) -> None:
        try:
            self._in.write(frames)
            self._in.flush()
        except BrokenPipeError:
            # Whoever reads the answers finds the end, and says it.
            return

    def _answer(self) -> Answer:
        kind = self._exactly(1)
        return Answer(_OUTCOMES[kind], self._block())

    def _block(self) -> bytes:
        return self._exactly(struct.unpack(">I", self._exactly(4))[0])

    def _exactly(self, count: int) -> bytes:
        data = self._out.read(count)
        if len(data) < count:
            raise NotAvailable(f"the application ended by itself (exit code {self._process.wait()})")
        return data


def _framed(message: Message) -> bytes:
    return b"".join(struct.pack(">I", len(block)) + block for block in (message.channel, message.body))
