"""Models measured side by side on one's own images."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from click.testing import CliRunner

from nucseg.cli import cli
from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle
from nucseg.models.patch_classifier.config import PatchClassifierConfig
from nucseg.models.patch_classifier.model import PatchNetwork


@pytest.fixture
def folder(tmp_path: Path, draw_nuclei: Callable, small_stardist: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the images a, b and odd, their nuclei, and two models, of which one finds nothing."""
    for name in ("images", "labels", "models"):
        (tmp_path / name).mkdir()
    for number, name in enumerate(("a", "b", "odd")):
        image, labels = draw_nuclei((96, 96), 8, seed=number, gap=1)
        tifffile.imwrite(tmp_path / f"images/{name}.tif", image)
        tifffile.imwrite(tmp_path / f"labels/{name}.tif", labels if name != "odd" else labels[:50])
    transforms = (Normalize(),)
    ModelBundle("good", small_stardist, transforms).save(tmp_path / "models/good")
    ModelBundle("blind", small_stardist, transforms).save(tmp_path / "models/blind")
    thresholds = tmp_path / "models/blind/thresholds.json"
    thresholds.write_text(json.dumps(json.loads(thresholds.read_text()) | {"score": 0.999999}))
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["evaluate", *arguments])


def test_two_models_side_by_side(folder: Path, recording_mlflow: Any) -> None:
    ended = run("good", "blind", "images", "labels", "-o", "out")

    assert "Left out: odd: the image has (96, 96) (rows, columns) and its label image (50, 96)" in ended.output
    assert ended.exit_code == 1
    assert "Scores on 2 images:" in ended.output
    scores = {name: json.loads((folder / f"out/{name}/metrics.json").read_text()) for name in ("good", "blind")}
    assert scores["good"]["overall"]["n_true"] == 16
    assert scores["good"]["overall"]["f1_50"] > 0.8
    assert scores["blind"]["overall"]["n_pred"] < 2
    assert pd.read_csv(folder / "out/good/per_image.csv")["image_id"].tolist() == ["a", "b"]
    page = (folder / "out/report.html").read_text()
    assert "good" in page
    assert "blind" in page
    assert [each.kwargs["run_name"] for each in recording_mlflow.start_run.call_args_list] == ["good", "blind"]
    logged = [each.args[0] for each in recording_mlflow.log_metrics.call_args_list if each.args[0]]
    assert [each["test.f1_50"] for each in logged] == [scores[name]["overall"]["f1_50"] for name in ("good", "blind")]

    again = run("good", "images", "labels", "-o", "out")
    assert again.exit_code == 1
    assert "report.html: exists; choose another folder" in again.output


def test_an_image_without_nuclei_counts(folder: Path) -> None:
    for name in ("images", "labels"):
        (folder / name / "odd.tif").unlink()
    tifffile.imwrite(folder / "labels/b.tif", np.zeros((96, 96), np.uint16))
    ended = run("good", "images", "labels")
    assert ended.exit_code == 0, ended.output
    overall = json.loads((folder / "evaluation/good/metrics.json").read_text())["overall"]
    assert (overall["n_images"], overall["n_true"]) == (2, 8)
    assert overall["n_pred"] >= 12


def test_what_cannot_be_evaluated_is_one_line(folder: Path) -> None:
    classifier = PatchNetwork(PatchClassifierConfig(network="small", patch_size=32))
    classifier.thresholds = {"probability": 0.5, "temperature": 1.0}
    ModelBundle("patches", classifier, ()).save(folder / "models/patches")
    (folder / "empty").mkdir()
    for arguments, said in (
        (("patches", "images", "labels"), "model patches: does not find nuclei"),
        (("good", "models/good", "images", "labels"), "two models are called good"),
        (("good", "images", "empty"), "empty: has no file ending in"),
        (("none", "images", "labels"), "model 'none'"),
    ):
        ended = run(*arguments)
        assert ended.exit_code == 1
        assert said in ended.output
        assert len(ended.output.splitlines()) == 1
    for file in (folder / "labels").iterdir():
        tifffile.imwrite(file, np.ones((5, 5), np.uint16))
    ended = run("good", "images", "labels")
    assert "none of its images can be used, such as a: " in ended.output.splitlines()[-1]
    assert not (folder / "evaluation").exists()


def test_models_are_compared_with_intervals(folder: Path) -> None:
    for name in ("images", "labels"):
        (folder / name / "odd.tif").unlink()
    record = folder / "models/good/run.json"
    record.write_text(json.dumps({"seed": 7, "validation": {"n_images": 3, "scores": {"overall": {"f1_50": 0.5}}}}))
    ended = CliRunner().invoke(cli, ["compare", "good", "blind", "--images", "images", "--labels", "labels"])
    assert ended.exit_code == 0, ended.output
    assert "worse on 2 of 2 images" in ended.output
    assert "Parameters that differ:" in ended.output
    page = (folder / "comparison/report.html").read_text()
    assert '<h2 id="compared">' in page
    assert "<code>seed</code>" in page

    recorded = CliRunner().invoke(cli, ["compare", "good", "blind"])
    assert recorded.exit_code == 0, recorded.output
    assert "good: f1_50 0.500 (3 images)" in recorded.output
    assert "blind: not recorded (0 images)" in recorded.output

    for arguments, said in (
        (("good",), "compare needs two models or more"),
        (("good", "blind", "--images", "images"), "--images and --labels belong together"),
        (("good", "models/good"), "two models are called good"),
    ):
        ended = CliRunner().invoke(cli, ["compare", *arguments])
        assert ended.exit_code == 1
        assert said in ended.output
        assert len(ended.output.splitlines()) == 1
