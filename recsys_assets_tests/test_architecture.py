"""Rules of the layout that a reviewer would otherwise have to check by eye."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "recsys_assets"
DAGSTER_FOLDERS = {"assets", "checks", "automation", "resources"}
SERVED_FOLDERS = {"models", "serving"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Return the top-level packages that a module imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module(path: Path) -> None:
    """Prevents Dagster outside its folders, undocumented modules and files of two concepts."""
    relative = path.relative_to(PACKAGE)
    allowed = relative.parts[0] in DAGSTER_FOLDERS or relative.name == "definitions.py"
    assert allowed or not imports(path) & {"dagster", "dagster_duckdb"}
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert len(path.read_text().splitlines()) <= 400
    if relative.parts[0] in SERVED_FOLDERS and path.name != "word2vec_gensim.py":
        assert not imports(path) & {"duckdb", "gensim"}


def test_only_settings_reads_the_environment() -> None:
    """Prevents a second place that decides where things are."""
    readers = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    ]
    assert readers == ["settings.py"]


def test_tests_mirror_the_tree() -> None:
    """Prevents tests that nobody finds."""
    tests = Path(__file__).parent
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    mirrored = {path.name for path in tests.iterdir() if (path / "__init__.py").exists()}
    assert mirrored == folders | {"benchmarks"}  # the folder beside the package
