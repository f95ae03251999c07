import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="module")
def make_targets(root: Path) -> dict[str, list[str]]:
    """Return each target that `make help` shows and what it needs first."""
    rule = re.compile(r"^([a-z-]+):(.*)  ## ", re.MULTILINE)
    return {name: needed.split() for name, needed in rule.findall((root / "Makefile").read_text())}


def workflow_files(root: Path) -> list[Path]:
    return sorted((root / ".github" / "workflows").glob("*.yml"))


def test_there_are_workflows(root: Path) -> None:
    assert workflow_files(root)


def test_workflows_run_nothing_but_make_targets_that_exist(root: Path, make_targets: dict[str, list[str]]) -> None:
    called = []
    for file in workflow_files(root):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            called += [step["run"] for step in job["steps"] if "run" in step]

    assert {"make test", "make run", "make docs"} <= set(called)
    for command in called:
        assert re.fullmatch(r"make [a-z-]+", command), command
        assert command.split()[1] in make_targets


def test_workflows_cover_the_pythons_of_pyproject(root: Path, pyproject: dict[str, Any]) -> None:
    checks = yaml.safe_load((root / ".github" / "workflows" / "checks.yml").read_text())
    tested = checks["jobs"]["test"]["strategy"]["matrix"]["python"]
    declared = [
        each.rsplit(" ", 1)[1]
        for each in pyproject["project"]["classifiers"]
        if each.startswith("Programming Language :: Python :: 3.")
    ]

    assert tested == declared


def test_ci_runs_make_test(root: Path) -> None:
    script = root / ".ci" / "run"

    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert script.stat().st_mode & 0o111
    assert script.read_text().rstrip().endswith("exec make test")
    subprocess.run(["bash", "-n", script], check=True)


def test_hooks_are_local_and_the_gates_of_make_test(root: Path, make_targets: dict[str, list[str]]) -> None:
    config = yaml.safe_load((root / ".pre-commit-config.yaml").read_text())
    gates = [hook["entry"].split()[-1] for repo in config["repos"] for hook in repo["hooks"]]

    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    assert gates == make_targets["test"]


def test_help_lists_the_targets(root: Path, make_targets: dict[str, list[str]]) -> None:
    shown = subprocess.run(["make", "help"], cwd=root, check=True, capture_output=True, text=True).stdout

    assert re.findall(r"^make ([a-z-]+) ", shown, re.MULTILINE) == list(make_targets)
    assert {"run", "test", "lint", "docs", "viz", "lock", "clean", "setup", "help"} <= set(make_targets)


def test_make_without_a_fitting_python_says_what_to_do(root: Path, tmp_path: Path) -> None:
    command = ["make", "setup", f"VENV={tmp_path / 'none'}", "PYTHON="]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    assert answer.returncode != 0
    assert "make PYTHON=" in answer.stderr
    assert not (tmp_path / "none").exists()
