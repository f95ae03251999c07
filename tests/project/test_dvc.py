import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("dvc", reason="needs the extra 'dvc' (`make setup-dev` installs it)")


def run(*command: str, cwd: Path) -> str:
    """Run one command with this Python's programs first and no settings of the user."""
    environment = os.environ | {
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(cwd.parent / "site-cache"),
        "GIT_AUTHOR_NAME": "tests",
        "GIT_AUTHOR_EMAIL": "tests@example.org",
        "GIT_COMMITTER_NAME": "tests",
        "GIT_COMMITTER_EMAIL": "tests@example.org",
        "HOME": str(cwd.parent),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    answer = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.fixture
def repository(project_copy: Path) -> Path:
    run("git", "init", "--quiet", "--initial-branch", "main", cwd=project_copy)
    run("git", "add", ".", cwd=project_copy)
    run("git", "commit", "--quiet", "--message", "Start", cwd=project_copy)
    return project_copy


def test_the_default_remote_lies_in_the_repository(repository: Path) -> None:
    assert run("dvc", "config", "core.remote", cwd=repository).strip() == "bundled"
    assert run("dvc", "config", "core.analytics", cwd=repository).strip() == "false"


def test_a_model_comes_back_on_a_fresh_clone_without_network(repository: Path, tmp_path: Path) -> None:
    model = repository / "data" / "06_models" / "toy"
    model.mkdir(parents=True)
    (model / "weights.bin").write_bytes(bytes(range(256)))

    run("dvc", "add", "--quiet", "data/06_models/toy", cwd=repository)
    run("dvc", "push", "--quiet", cwd=repository)
    run("git", "add", "data/06_models/toy.dvc", "dvc-store", cwd=repository)
    run("git", "commit", "--quiet", "--message", "Add a model", cwd=repository)
    run("git", "clone", "--quiet", str(repository), str(tmp_path / "clone"), cwd=tmp_path)
    shutil.rmtree(repository)
    run("dvc", "pull", "--quiet", cwd=tmp_path / "clone")

    assert (tmp_path / "clone" / "data/06_models/toy/weights.bin").read_bytes() == bytes(range(256))
