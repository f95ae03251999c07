import ast
import importlib
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest


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


def test_a_published_model_is_taken_from_its_zip(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(root / "benchmarks")
    stock_folder = importlib.import_module("stock").stock_folder
    (tmp_path / "zipped/2D_mine").mkdir(parents=True)
    (tmp_path / "zipped/2D_mine/config.json").write_text("{}")
    archive = shutil.make_archive(str(tmp_path / "published"), "zip", tmp_path / "zipped")
    folder = stock_folder(archive, tmp_path / "work")
    assert (folder.name, (folder / "config.json").read_text()) == ("2D_mine", "{}")
    assert stock_folder(str(folder), tmp_path) == folder
