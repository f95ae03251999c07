"""`nucseg segment`, as its users run it."""

import csv
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from nucseg.cli import cli
from nucseg.images.io import write_image
from nucseg.images.transforms import parse_transforms
from nucseg.inference.options import PredictOptions
from nucseg.inference.semantic.predictor import load_semantic
from nucseg.models.bundle import ModelBundle
from nucseg.models.unet.config import UNetConfig
from nucseg.models.unet.model import UNet


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    network = UNet(UNetConfig(in_channels=1, classes=("background", "mark"), decoder_filters=(8, 8, 8, 8)))
    folder = tmp_path_factory.mktemp("models") / "marks"
    ModelBundle("marks", network, parse_transforms([{"name": "normalize"}])).save(folder)
    return folder


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for name in "ab":
        image = np.kron(rng.integers(0, 250, (4, 30)), np.ones((16, 16), int)) + rng.integers(0, 5, (64, 480))
        write_image(tmp_path / f"in/{name}.tif", image.astype(np.uint8))
    (tmp_path / "in/c.tif").write_bytes(b"no image")
    return tmp_path / "in"


def run(*arguments):
    return CliRunner().invoke(cli, ["segment", *map(str, arguments), "--precision", "float32"])


def test_class_maps_of_a_folder(model, images, tmp_path):
    output = tmp_path / "out"
    answer = run(images, "-o", output, "--model", model, "--format", "classes,probabilities,png,geojson", "--tile", 64)
    assert answer.exit_code == 1  # one of them is no image
    assert "a: background 0." in answer.output
    assert "3 images (1 failed)" in answer.output
    with (output / "classes.csv").open() as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert [rows[name]["status"] for name in "abc"] == ["done", "done", "failed"]
    assert rows["a"]["pixels"] == str(64 * 480)
    expected = load_semantic(model, PredictOptions(precision="float32")).predict(tifffile.imread(images / "a.tif"))
    found = tifffile.imread(output / "classes/a.tif")
    assert (found != expected.classes).mean() < 1e-3
    assert (output / "geojson/a.geojson").is_file()

    again = run(images / "a.tif", "-o", output, "--model", model)
    assert again.exit_code == 1
    assert "exists; choose another folder, --resume or --overwrite" in again.output
    with (output / "classes.csv").open() as file:
        assert rows["a"] in csv.DictReader(file)  # its results are as they were, and so is its row
    resumed = run(images / "a.tif", "-o", output, "--model", model, "--resume", "--tile", 64)
    assert "finished by an earlier run" in resumed.output
    assert resumed.exit_code == 0


def test_tiles_of_a_stopped_run_are_used(model, images, tmp_path, monkeypatch):
    output, ran = tmp_path / "out", []
    original = UNet.probabilities

    def watched(self, tiles, cores=None):
        ran.append(1)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return original(self, tiles, cores)

    monkeypatch.setattr(UNet, "probabilities", watched)
    stopped = run(images / "b.tif", "-o", output, "--model", model, "--tile", 64)
    assert stopped.exit_code == 1
    monkeypatch.setattr(UNet, "probabilities", lambda *given: ran.append(1) or original(*given))
    saved = len(list((output / ".nucseg").rglob("*.npz")))
    assert saved
    del ran[:]
    assert run(images / "b.tif", "-o", output, "--model", model, "--tile", 64, "--resume").exit_code == 0
    assert len(ran) == 3 - saved
    assert not list((output / ".nucseg").rglob("*.npz"))


def test_models_of_other_tasks_are_refused(images, tmp_path):
    answer = run(images, "-o", tmp_path / "out", "--model", "stardist")
    assert answer.exit_code == 1
    assert "does not assign pixels to classes" in answer.output


def test_other_commands_refuse_it(model, images, tmp_path):
    arguments = ["predict", images, "-o", tmp_path / "out", "--model", model]
    answer = CliRunner().invoke(cli, list(map(str, arguments)))
    assert answer.exit_code == 1
    assert "nucseg segment" in answer.output


@pytest.mark.slow
def test_on_a_cluster_the_answer_is_the_same(model, images, tmp_path):
    arguments = [images / "a.tif", "--model", model, "--tile", 64, "--workers"]
    assert run(*arguments, 1, "-o", tmp_path / "1").exit_code == 0
    command = [*map(str, arguments), "2", "-o", str(tmp_path / "2"), "--precision", "float32"]
    subprocess.run([sys.executable, "-m", "nucseg", "segment", *command], check=True, timeout=600, env=os.environ)
    one, two = (tifffile.imread(tmp_path / workers / "classes/a.tif") for workers in ("1", "2"))
    np.testing.assert_array_equal(one, two)
