import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from kaggle_masks import kaggle_decode
from nucseg.cli import cli
from nucseg.images.io import read_labels, write_image
from nucseg.images.transforms import parse_transforms
from nucseg.inference.predictor import Predictor


@pytest.fixture(scope="module")
def model(small_stardist: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nucseg.models.bundle import ModelBundle

    folder = tmp_path_factory.mktemp("models") / "small"
    ModelBundle("small", small_stardist, parse_transforms([{"name": "normalize", "pmin": 0, "pmax": 100}])).save(folder)
    return folder


def test_predict_writes_every_format(model: Path, tmp_path: Path, draw_nuclei: Any) -> None:
    image = draw_nuclei((80, 100), n=8, seed=1)[0]
    write_image(tmp_path / "a.tif", image)
    arguments = ["predict", str(tmp_path / "a.tif"), "-o", str(tmp_path / "out"), "--model", str(model)]
    ended = CliRunner().invoke(cli, [*arguments, "--format", "labels, geojson ,rle"])
    assert ended.exit_code == 0, ended.output
    # Kedro, which the tests import, sends log lines to the standard output, too.
    assert any(line.startswith("a: ") for line in ended.stdout.splitlines())
    found = Predictor.load(model).predict(image)
    assert f"{len(found)} nuclei" in ended.output
    assert np.array_equal(read_labels(tmp_path / "out/labels/a.tif"), found.labels)
    features = json.loads((tmp_path / "out/geojson/a.geojson").read_text())["features"]
    assert len(features) == len(found) > 4
    lines = (tmp_path / "out/rle/a.csv").read_text().splitlines()
    masks = [line.split(",")[1] for line in lines[1:]]
    assert np.array_equal(kaggle_decode(masks, image.shape) > 0, found.labels > 0)


def test_predict_goes_on_after_a_bad_image(model: Path, tmp_path: Path, draw_nuclei: Any) -> None:
    (tmp_path / "bad.tif").write_bytes(b"no image")
    turned = [(274, 3, 1, 6, True)]
    tifffile.imwrite(tmp_path / "good.tif", draw_nuclei((64, 64), n=4, seed=1)[0], extratags=turned, metadata=None)
    images = [str(tmp_path / "bad.tif"), str(tmp_path / "good.tif")]
    ended = CliRunner().invoke(cli, ["predict", *images, "-o", str(tmp_path / "out"), "--model", str(model)])
    assert ended.exit_code == 1
    assert ended.output.count("bad.tif") == 1  # a failure is told once
    (done,) = (line for line in ended.stdout.splitlines() if "->" in line)
    assert done.startswith("2 images (1 failed), ")
    assert done.endswith(f"s -> {tmp_path / 'out/summary.csv'}, {tmp_path / 'out/labels'}")
    assert "Note: its orientation tag (6) is not applied" in ended.output
    assert [path.name for path in (tmp_path / "out/labels").iterdir()] == ["good.tif"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--model", "nosuchmodel"], "Known models are marks, mask_rcnn, mitosis, stardist, unet"),
        (["--format", "labels,jpeg"], "jpeg: allowed are labels, rle, coco"),
        (["--scale", "0"], "'--scale': '0': must be 'auto' or must be greater than or equal to 0.05"),
        (["--scale", "big"], "'--scale': 'big': must be 'auto' or must be a number"),
        (["--tile", "10"], "'--tile': '10': must be greater than or equal to 64"),
        (["--score-threshold", "0.01"], "'--score-threshold': '0.01': must be greater than or equal to 0.05"),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "has its own workers"),
    ],
)
def test_predict_says_what_is_wrong(tmp_path: Path, arguments: list[str], said: str) -> None:
    write_image(tmp_path / "a.tif", np.zeros((8, 8), np.uint8))
    ended = CliRunner().invoke(cli, ["predict", str(tmp_path / "a.tif"), "-o", str(tmp_path / "out"), *arguments])
    assert ended.exit_code != 0
    assert said in ended.output
    assert not (tmp_path / "out").exists()


def test_help_is_short_and_long() -> None:
    short, long = (CliRunner().invoke(cli, ["predict", option]).output for option in ("-h", "--help"))
    assert short == long
    assert "--format" in short


def test_a_folder_without_images_is_one_line(tmp_path: Path) -> None:
    write_image(tmp_path / "in/deeper/a.tif", np.zeros((8, 8), np.uint8))
    ended = CliRunner().invoke(cli, ["predict", str(tmp_path / "in"), "-o", str(tmp_path / "out")])
    assert ended.exit_code == 1
    assert len(ended.output.splitlines()) == 1
    assert "in/**/*.tif'" in ended.output
    assert not (tmp_path / "out").exists()


def test_doctor_prints_versions_precision_and_models(
    monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path
) -> None:
    shutil.copytree(model, tmp_path / "stardist")
    monkeypatch.setenv("NUCSEG_MODELS", str(tmp_path))
    ended = CliRunner().invoke(cli, ["doctor"])
    assert ended.exit_code == 0, ended.output
    for word in ("tensorflow 2.", "precision: ", "device: CPU", "model stardist: ", "GiB free", "self-test of "):
        assert word in ended.output
