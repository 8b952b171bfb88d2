"""What the project promises about itself: versions agree, everything ships, nothing committed names a host."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).parent.parent


def test_the_changelog_speaks_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == harness.__version__
    assert f"\n## {harness.__version__} - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_dependency_is_pinned_without_a_url() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
        *project["optional-dependencies"]["load"],
    ]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {_plain(line) for line in pins.splitlines() if "==" in line}
    assert {_plain(name) for name in asked} <= pinned
    assert "://" not in pins


def _plain(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_an_installed_harness_works_outside_a_checkout(tmp_path: Path) -> None:
    """The wheel is unpacked instead of installed: its files are what is in question, not pip."""
    pytest.importorskip("hatchling", reason="the wheel is built by hatchling, which is not installed here")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
    assert (tmp_path / "site" / "harness" / "report" / "html.css").is_file()
    answer = subprocess.run(
        [sys.executable, "-c", "import sys; from harness.cli import main; sys.exit(main(['lint']))"],
        cwd=tmp_path / "site",
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout.startswith("agreement 1.0.0 is consistent"), answer.stderr
