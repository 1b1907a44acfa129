"""Tests of the decorator that compiles kernels; what each kernel computes is tested by its family."""

import os
import subprocess
import sys
from pathlib import Path

_HELPER = """from recsys_assets.models.kernels import kernel

@kernel
def number():
    return {number}
"""
_CALLER = """from functools import partial
import helper
from helper import number
from recsys_assets.models.kernels import kernel

@partial(kernel, helpers=[helper])
def twice():
    return 2 * number()

print(twice())
"""


def test_a_changed_helper_compiles_its_callers_anew(tmp_path: Path) -> None:
    """Prevents code of an earlier version from running after an update of one file."""
    (tmp_path / "caller.py").write_text(_CALLER)
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
        "PYTHONDONTWRITEBYTECODE": "1",  # sources of one second and one size look alike to Python
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
    }
    answers = []
    for answer in (1, 12):
        (tmp_path / "helper.py").write_text(_HELPER.format(number=answer))
        done = subprocess.run(
            [sys.executable, "caller.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        answers.append(done.stdout.strip())
    assert answers == ["2", "24"]
