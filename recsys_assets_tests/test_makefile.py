"""Tests of the Makefile: what a user says on its command line, and what the commands get."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = """#!/bin/sh
echo "$RECSYS_HOME|$DAGSTER_HOME|$RECSYS_RAW|$NUMBA_CACHE_DIR|$*" >> told
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a folder with a space in its name, and in it the Makefile and a Python that tells."""
    folder = tmp_path / "a project"
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml", "dagster.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv" / ".installed").touch()
    (programs / "python").write_text(PYTHON)
    (programs / "python").chmod(0o755)
    return folder


def make(project: Path, *arguments: str) -> list[list[str]]:
    """Run make and return what each command got: the homes, the raw path, the cache, arguments."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    subprocess.run(["make", *arguments], cwd=project, env=kept, capture_output=True, check=True)
    told = project / "told"
    lines = told.read_text().splitlines()
    told.unlink()
    return [line.split("|") for line in lines]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("my home", "{project}/my home"),
        ("/abs olute", "/abs olute"),
        ("~/my home", "{HOME}/my home"),
    ],
)
def test_homes_with_spaces_are_absolute_and_whole(project: Path, said: str, meant: str):
    """Prevents Dagster from refusing a home that is not absolute, and a shell from cutting it."""
    home = meant.format(project=project, HOME=os.environ.get("HOME", ""))
    got = make(project, "run", f"RECSYS_HOME={said}", "RAW=raw files/my lists.csv")
    raw = f"{project}/raw files/my lists.csv"
    same = [home, f"{home}/dagster", raw, f"{home}/numba"]
    assert got == [[*same, "-m recsys_assets setup"], [*same, "-m recsys_assets run"]]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_a_home_with_spaces_is_set_up_once(project: Path):
    """Prevents a set-up before every run: make has to find the file that says it is done."""
    instance = project / "var" / "dagster" / "dagster.yaml"
    instance.parent.mkdir(parents=True)
    instance.touch()
    assert [one[-1] for one in make(project, "run")] == ["-m recsys_assets run"]
