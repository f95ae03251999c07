"""The first page's commands, run as a new user would: in a fresh copy, in the page's order, without network."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

# A title above a block says why it is not run here.
BLOCK = re.compile(r"^```bash(?: title=\"(?P<title>[^\"]+)\")?\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)
NOT_RUN = {
    "runs until it is stopped",
    "needs the internet and hours",
    "needs an archive and hours",
    "takes minutes; it runs this page, too",
}


def shell_blocks(page: Path) -> list[tuple[str | None, str]]:
    return [(block["title"], block["commands"]) for block in BLOCK.finditer(page.read_text())]


def files_outside_the_demo(project: Path) -> set[Path]:
    """List the files but those of the demo, of git and DVC, and the shipped models, which `make run` pulls."""
    demo = project / "data" / "demo"
    pulled = [project / ".git", project / ".dvc", project / "data" / "06_models"]
    return {
        file.relative_to(project)
        for file in project.rglob("*")
        if file.is_file()
        and not {demo, *pulled} & set(file.parents)
        and "__pycache__" not in file.parts
        and ".venv" not in file.parts
    }


def test_each_block_that_is_not_run_says_why(root: Path) -> None:
    blocks = shell_blocks(root / "docs" / "index.md")

    assert {title for title, _ in blocks if title} <= NOT_RUN
    assert any(title is None for title, _ in blocks)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_commands_work(project_copy: Path) -> None:
    commands = [text for title, text in shell_blocks(project_copy / "docs" / "index.md") if title is None]
    before = files_outside_the_demo(project_copy)
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    home = project_copy.parent / "home"
    home.mkdir()
    environment = os.environ | nowhere | {"HOME": str(home), "no_proxy": "", "NO_PROXY": ""}
    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "".join(commands)],
        cwd=project_copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-4000:]

    reporting = project_copy / "data" / "demo" / "08_reporting"
    metrics = json.loads((reporting / "stardist" / "metrics.json").read_text())
    assert metrics["overall"]["f1_50"] > 0.8
    assert (reporting / "report.html").stat().st_size > 10_000
    # The demonstration writes below data/demo and nowhere else.
    assert files_outside_the_demo(project_copy) == before
