"""The lists of contributing.md: each is followed in a copy of the package, and what it added is used."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from skimage.draw import disk

from nucseg.images.io import write_image, write_labels

ADDED = Path(__file__).with_name("added")
CENTRES = [(12.0, 14.0), (30.0, 40.0), (45.0, 12.0)]


class Edit(NamedTuple):
    """A change of a file: text that is put before the first place of another one, or a file or folder of `added`."""

    file: str
    text: str = ""
    before: str = ""
    new: str = ""


EDITS = {
    "A dataset": [
        Edit("src/nucseg/datasets/dots.py", new="dots.py"),
        Edit("src/nucseg/datasets/__init__.py", "    dots,\n", before="    experiments,\n"),
        Edit("src/nucseg/datasets/__init__.py", "        dots,\n", before="    )\n}"),
    ],
    "A result format": [
        Edit("src/nucseg/reporting/formats/centres.py", new="centres.py"),
        Edit(
            "src/nucseg/reporting/formats/registry.py",
            '    "centres": Format((".csv",), "nucseg.reporting.formats.centres:write"),\n',
            before='    "coco": Format(',
        ),
        Edit("docs/predict.md", "| `centres` | CSV of centres | anything |\n", before="| `coco` |"),
    ],
    "A metric": [
        Edit(
            "src/nucseg/metrics/instances/scores.py",
            '"f2_50": ratio(5 * tp_50, 4 * counts.n_true + counts.n_pred),\n        ',
            before='"precision_50": ratio(',
        ),
        Edit(
            "src/nucseg/metrics/instances/definitions.py",
            'Metric("f2_50", "F2 at IoU 0.50", "F2", "pooled", "5 TP / (5 TP + 4 FN + FP)."),\n    ',
            before='Metric(\n        "precision_50",',
        ),
        Edit(
            "docs/metrics.md", "| `f2_50` | 5 TP / (5 TP + 4 FN + FP) | pooled | 0.333 |\n", before="| `jaccard_50` |"
        ),
    ],
    "A model": [
        Edit("src/nucseg/models/brightness", new="brightness"),
        Edit(
            "src/nucseg/models/registry.py",
            """    "brightness": ModelEntry(
        task="instance_segmentation",
        class_path="nucseg.models.brightness.model:Brightness",
        config_path="nucseg.models.brightness.config:BrightnessConfig",
        create_path="nucseg.models.brightness.model:Brightness",
        name="brightness",
    ),
""",
            before='    "mask_rcnn": ModelEntry(',
        ),
        Edit(
            "conf/base/parameters/model_config.yml",
            "brightness:\n  architecture: {contrast: 30.0}\n  sampling: {}\n  training: {}\n\n",
            before="mask_rcnn:\n",
        ),
    ],
}


def listed_files(page: str, title: str) -> list[str]:
    """The files of a list of the page, in its order."""
    section = page.split(f"\n### {title}\n")[1].partition("\n#")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def apply(edit: Edit, copy: Path) -> None:
    target = copy / edit.file
    if edit.new and (ADDED / edit.new).is_dir():
        shutil.copytree(ADDED / edit.new, target, ignore=shutil.ignore_patterns("__pycache__"))
    elif edit.new:
        assert not target.exists()
        shutil.copyfile(ADDED / edit.new, target)
    else:
        text = target.read_text("utf-8")
        assert edit.before in text, f"{edit.file} has no {edit.before!r}"
        target.write_text(text.replace(edit.before, edit.text + edit.before, 1), "utf-8")


@pytest.fixture(scope="module")
def said(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Follow the page in a copy, use what was added in one process, and return what came of it."""
    copy = tmp_path_factory.mktemp("copy")
    for folder, left_out in (("src", "__pycache__"), ("conf", "local"), ("docs", "images")):
        shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns(left_out))
    shutil.copyfile(root / "pyproject.toml", copy / "pyproject.toml")
    for edits in EDITS.values():
        for edit in edits:
            apply(edit, copy)
    archive = dots(copy)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(copy / "src"), str(root / "tests")]),
        "NUCSEG_MODELS": "",
    }
    command = [sys.executable, ADDED / "use.py", archive]
    run = subprocess.run(command, cwd=copy, env=environment, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return {"copy": copy, **json.loads(run.stdout.splitlines()[-1])}


def dots(folder: Path) -> Path:
    """Draw three images with nuclei of different sizes, and pack them as the dataset of `added/dots.py`."""
    path = folder / "drawn.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            labels = np.zeros((60, 60), np.int32)
            for label, center in enumerate(CENTRES[: 3 - number], start=1):
                labels[disk(center, 6)] = label
            write_image(folder / "image.tif", np.where(labels > 0, 200, 20).astype(np.uint8))
            write_labels(folder / "labels.tif", labels)
            archive.write(folder / "image.tif", f"images/{number}.tif")
            archive.write(folder / "labels.tif", f"labels/{number}.tif")
    return path


@pytest.mark.parametrize("title", EDITS)
def test_the_edits_are_those_that_the_page_lists(root: Path, title: str) -> None:
    listed = listed_files((root / "docs/contributing.md").read_text("utf-8"), title)
    names = {"A dataset": "dots", "A result format": "centres", "A model": "brightness"}
    files = [file.replace("<name>", names.get(title, "")).rstrip("/") for file in listed]
    assert list(dict.fromkeys(edit.file for edit in EDITS[title])) == files


@pytest.mark.slow
def test_the_dataset_is_fetched_converted_and_documented(said: dict[str, Any]) -> None:
    assert said["package"].startswith(str(said["copy"]))
    assert said["rejected"] == []
    assert said["samples"] == {"dots/0": 3, "dots/1": 2, "dots/2": 1}
    assert (said["copy"] / "data/01_raw/dots/dots.zip").is_file()
    assert "`data_download.dots.url`" in said["page"]


@pytest.mark.slow
def test_the_model_is_listed_created_and_predicts_into_the_format(said: dict[str, Any]) -> None:
    assert "brightness" in said["models"]
    assert said["pipelines"] == ["brightness"]
    assert "`brightness.architecture.contrast`" in said["page"]
    assert said["predict"] == ""
    rows = list(csv.DictReader(said["centres"].splitlines()))
    found = sorted((float(row["row"]), float(row["column"])) for row in rows)
    np.testing.assert_allclose(found, sorted(CENTRES), atol=0.01)


@pytest.mark.slow
def test_the_metric_is_in_the_file_and_in_the_report(said: dict[str, Any]) -> None:
    metrics = said["metrics"]
    assert metrics["overall"]["f2_50"] == 1.0
    assert "f2_50" in [row["key"] for row in metrics["metrics"]]
    assert metrics["overall"]["n_true"] == 6
    assert "F2 at IoU 0.50" in said["report"]
    assert "centres" in said["page"]
    assert "f2_50" in said["page"]
