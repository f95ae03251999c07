"""What the tests of the project's own files share."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def project_files(root: Path) -> list[Path]:
    """Return every file that git tracks or would track."""
    # The tests may run as another user than the one who cloned.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return [root / name for name in listed.split("\0") if name and (root / name).is_file()]


@pytest.fixture
def project_copy(root: Path, project_files: list[Path], tmp_path: Path) -> Path:
    """Copy the project as a fresh clone would have it, with this Python in the place of `.venv`."""
    copy = tmp_path / "nucseg"
    for file in project_files:
        target = copy / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    (copy / ".venv").mkdir()
    (copy / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    # Newer than pyproject.toml, so `make` installs nothing.
    for stamp in (".nucseg-installed", ".nucseg-dev-installed"):
        (copy / ".venv" / stamp).touch()
    return copy
