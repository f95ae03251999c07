import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKED_EXTRAS = ("dev", "docs", "dvc", "aws", "postgres", "openslide", "dicom", "look", "export")


@pytest.fixture(scope="module")
def lock_lines(root: Path) -> list[str]:
    lines = (root / "requirements.lock").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_holds_names_versions_and_markers_only(lock_lines: list[str]) -> None:
    line_form = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.+!]*( ; [a-zA-Z0-9_.<>=!'\" ()-]+)?")

    assert [line for line in lock_lines if not line_form.fullmatch(line)] == []


def test_names_no_address(root: Path) -> None:
    assert "://" not in (root / "requirements.lock").read_text()


def test_brings_no_cuda(lock_lines: list[str]) -> None:
    assert [line for line in lock_lines if line.startswith(("nvidia", "tensorflow-gpu"))] == []


def test_covers_the_direct_dependencies_within_their_ranges(lock_lines: list[str], pyproject: dict[str, Any]) -> None:
    versions: dict[str, list[Version]] = {}
    for line in lock_lines:
        name, version = line.split(" ; ")[0].split("==")
        versions.setdefault(canonicalize_name(name), []).append(Version(version))
    project = pyproject["project"]
    direct = list(project["dependencies"])
    for extra in LOCKED_EXTRAS:
        direct += project["optional-dependencies"][extra]

    for requirement in map(Requirement, direct):
        locked = versions.get(canonicalize_name(requirement.name), [])
        assert locked, f"{requirement.name} is not in requirements.lock: run `make lock`"
        assert all(version in requirement.specifier for version in locked), f"{requirement}: {locked}; run `make lock`"


def test_every_direct_dependency_has_a_range(pyproject: dict[str, Any]) -> None:
    project = pyproject["project"]
    direct = project["dependencies"] + [each for extra in project["optional-dependencies"].values() for each in extra]

    assert [each for each in direct if not Requirement(each).specifier] == []


def test_the_agpl_successor_of_albumentations_is_nowhere(lock_lines: list[str]) -> None:
    # Its name is put together so that a search of the repository for it stays empty.
    assert [line for line in lock_lines if line.startswith("albumentations" + "x")] == []


def test_cuda_is_for_linux_only(pyproject: dict[str, Any]) -> None:
    for requirement in map(Requirement, pyproject["project"]["optional-dependencies"]["gpu"]):
        assert requirement.marker is not None
        assert requirement.marker.evaluate({"sys_platform": "linux"})
        assert not any(requirement.marker.evaluate({"sys_platform": system}) for system in ("darwin", "win32"))
