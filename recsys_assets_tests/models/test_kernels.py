"""Tests of the decorator that compiles kernels; what each kernel computes is tested by its family."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import recsys_assets

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


def test_compiled_code_knows_what_it_was_made_of() -> None:
    """Prevents kernels that go on with a constant or a helper of before its module was changed."""
    models = Path(recsys_assets.__file__).parent / "models"
    found = 0
    for path in sorted(models.glob("*.py")):
        tree = ast.parse(path.read_text())
        assigned = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        source = {
            name.asname or name.name: str(node.module).rsplit(".", 1)[-1]
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            and str(node.module).startswith("recsys_assets.models.")
            for name in node.names
        }
        for function in tree.body:
            if not isinstance(function, ast.FunctionDef):
                continue
            for decorator in function.decorator_list:
                if "kernel" not in ast.unparse(decorator):
                    continue
                call = decorator
                if isinstance(decorator, ast.Name):
                    call = assigned.get(decorator.id, decorator)
                helpers = next(
                    (one.value for one in getattr(call, "keywords", []) if one.arg == "helpers"),
                    ast.Tuple([]),
                )
                if isinstance(helpers, ast.Name):
                    helpers = assigned[helpers.id]
                known = {ast.unparse(one) for one in helpers.elts}
                used = {
                    source[node.id]
                    for body in function.body
                    for node in ast.walk(body)
                    if isinstance(node, ast.Name) and node.id in source
                }
                found += len(used)
                assert used <= known, f"{path.name}, {function.name}: helpers lack {used - known}"
    assert found
