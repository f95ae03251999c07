import ast
import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def imported_names(file: Path) -> set[tuple[str, str]]:
    """Return the modules of nucseg that a script imports from, inside functions as well, each with the name."""
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    return {(node.module or "", alias.name) for node in nodes for alias in node.names}


def has(module: ModuleType, name: str) -> bool:
    """Return whether a module has an attribute, or a package such a module."""
    return hasattr(module, name) or (hasattr(module, "__path__") and find_spec(f"{module.__name__}.{name}") is not None)


def test_everything_that_benchmarks_import_from_nucseg_is_there(root: Path) -> None:
    missing = {
        f"{file.name}: {module}.{name}"
        for file in (root / "benchmarks").glob("*.py")
        for module, name in imported_names(file)
        if module.split(".")[0] == "nucseg" and not has(importlib.import_module(module), name)
    }
    assert missing == set()


def test_the_stages_that_are_timed_are_functions(root: Path) -> None:
    """Its table of stages names functions of nucseg and of the package where they are called."""
    stages = [sys.executable, root / "benchmarks/stages.py", "--help"]
    answer = subprocess.run(stages, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "--stock" in answer.stdout
