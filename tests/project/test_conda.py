from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement


@pytest.fixture(scope="module")
def environment(root: Path) -> dict[str, Any]:
    return yaml.safe_load((root / "conda.yml").read_text())


def test_python_is_the_one_of_pyproject(environment: dict[str, Any], pyproject: dict[str, Any]) -> None:
    python = next(entry for entry in environment["dependencies"] if str(entry).startswith("python"))

    assert Requirement(python).specifier == Requirement(f"python{pyproject['project']['requires-python']}").specifier


def test_pip_installs_the_project_at_the_locked_versions(environment: dict[str, Any], root: Path) -> None:
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))

    assert "pip" in environment["dependencies"]
    assert pip == ["--constraint requirements.lock", "--editable .[dvc]"]
    assert (root / "requirements.lock").is_file()


def test_name_and_channels(environment: dict[str, Any], pyproject: dict[str, Any]) -> None:
    assert environment["name"] == pyproject["project"]["name"]
    assert environment["channels"][0] == "conda-forge"
