"""The commands of pages, run as a new user would: in a fresh copy, in the page's order, without network."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# A title above a block says why it is not run here.
BLOCK = re.compile(r"^```bash(?: title=\"(?P<title>[^\"]+)\")?\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)
NOT_RUN = {
    "runs until it is stopped",
    "needs the internet and hours",
    "needs an archive and hours",
    "takes minutes; it runs this page, too",
    "takes hours",
    "examples with files of your own",
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


def run_page(project: Path, page: str) -> None:
    """Run a page's commands in a copy of the project, as one script that stops where something fails."""
    commands = [text for title, text in shell_blocks(project / "docs" / page) if title is None]
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    home = project.parent / "home"
    home.mkdir()
    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "".join(commands)],
        cwd=project,
        env=os.environ | nowhere | {"HOME": str(home), "no_proxy": "", "NO_PROXY": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-4000:]


@pytest.mark.parametrize("page", ["index.md", "own-data.md", "predict.md"])
def test_each_block_that_is_not_run_says_why(root: Path, page: str) -> None:
    blocks = shell_blocks(root / "docs" / page)

    assert {title for title, _ in blocks if title} <= NOT_RUN
    assert any(title is None for title, _ in blocks)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_first_page_works(project_copy: Path) -> None:
    before = files_outside_the_demo(project_copy)
    run_page(project_copy, "index.md")

    reporting = project_copy / "data" / "demo" / "08_reporting"
    metrics = json.loads((reporting / "stardist" / "metrics.json").read_text())
    assert metrics["overall"]["f1_50"] > 0.8
    assert (reporting / "report.html").stat().st_size > 10_000
    # The demonstration writes below data/demo and nowhere else.
    assert files_outside_the_demo(project_copy) == before


@pytest.mark.slow
def test_images_of_ones_own_become_a_manifest(project_copy: Path) -> None:
    run_page(project_copy, "own-data.md")

    primary = project_copy / "data" / "03_primary"
    with (primary / "samples.csv").open() as file:
        rows = {row["image_id"]: row for row in csv.DictReader(file)}
    assert {name: int(row["n_nuclei"]) for name, row in rows.items()} == {"fluorescence": 52, "histology": 76}
    assert {row["modality"] for row in rows.values()} == {"fluorescence", "histology"}
    assert (primary / "labels/own/histology.tif").is_file()


@pytest.mark.slow
def test_images_are_predicted_with_the_shipped_model(project_copy: Path) -> None:
    page = (project_copy / "docs/predict.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    run_page(project_copy, "predict.md")

    geojson = json.loads((project_copy / "results/geojson/fluorescence.geojson").read_text())
    drawn = 52
    assert 0.8 * drawn <= len(geojson["features"]) <= 1.2 * drawn
    for name in (
        "results/labels/fluorescence.tif",
        "results/table/fluorescence.parquet",
        "results/table/fluorescence.csv",
    ):
        assert (project_copy / name).is_file()
    with (project_copy / "data/07_model_output/inference/summary.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    call = f"{program}\nprint(len(found.scores))"
    command = [sys.executable, "-c", call]
    answer = subprocess.run(command, cwd=project_copy, check=True, capture_output=True, text=True)
    assert int(answer.stdout.splitlines()[-1]) == len(geojson["features"])
