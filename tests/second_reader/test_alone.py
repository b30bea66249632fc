"""The second reader shares no code with the service."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import second_reader

FOLDER = Path(second_reader.__file__).parent
ALLOWED = {"second_reader", "cryptography"} | set(sys.stdlib_module_names)
RUNS_CODE = {"importlib", "__import__", "exec", "eval", "runpy"}


def imports(path: Path) -> set[str]:
    """The first names of all that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports by its place"
            found.add((node.module or "").partition(".")[0])
    return found


def readers() -> list[Path]:
    return [path for path in FOLDER.rglob("*.py") if not path.name.startswith("test_")]


def test_it_imports_the_standard_library_and_cryptography_alone() -> None:
    paths = readers()
    assert len(paths) > 3
    for path in paths:
        assert imports(path) <= ALLOWED, path.name
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
        }
        assert not RUNS_CODE & (names | imports(path)), f"{path.name} runs code by its name"


def test_an_import_of_the_service_would_be_seen(tmp_path: Path) -> None:
    for text in ("import postroad.base", "def f():\n    from postroad import base\n"):
        (tmp_path / "one.py").write_text(text)
        assert imports(tmp_path / "one.py") == {"postroad"}
