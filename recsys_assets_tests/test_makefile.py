"""Tests of the Makefile: what a user says on its command line, and what the commands get."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_a_relative_home_with_spaces(tmp_path: Path):
    """Prevents Dagster from refusing a home that is not absolute, and a shell from cutting it."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml", "dagster.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    told = subprocess.run(
        ["make", "--dry-run", "ui", "RECSYS_HOME=my home"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f'cd "{tmp_path}/my home/dagster" && "{tmp_path}/.venv/bin/dagster" dev' in told
