import json
import re

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from nucseg.batch.predict import predict_images
from nucseg.cli import cli
from nucseg.images.find import find_images
from nucseg.images.transforms import Normalize
from nucseg.inference.engine import LocalEngine
from nucseg.inference.predictor import Predictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.reporting.options import BatchOptions


@pytest.fixture
def predict(tmp_path, bright, draw_nuclei):
    """Predict two images as `nucseg predict` does."""
    (tmp_path / "model").mkdir()

    def predict(**more):
        for seed, name in enumerate(("a", "b")):
            tifffile.imwrite(tmp_path / f"{name}.tif", draw_nuclei((90, 120), 12 - seed, seed=2, noise=0, gap=5)[0])
        options = BatchOptions(**{"scale": 1.0, "precision": "float32", "formats": ("labels",), **more})
        predictor = Predictor(ModelBundle("fake", bright(), (Normalize(pmin=0, pmax=100, min_range=1),)), options)
        found = find_images([str(tmp_path / "a.tif"), str(tmp_path / "b.tif")]).images
        predict_images(found, tmp_path / "out", predictor, LocalEngine(), options, model=tmp_path / "model")
        return tmp_path / "out"

    yield predict
    use_precision("float32")


def look(*arguments):
    return CliRunner().invoke(cli, ["look", *map(str, arguments)])


def images_of(page):
    text = re.search(r'id="images-json">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(text[1])


def test_all_images_of_a_folder(predict):
    results = predict()
    ended = look(results)
    assert ended.exit_code == 0, ended.output
    assert ended.output == f"Open it in a browser: {results / 'look.html'}\n"
    images = images_of(results / "look.html")
    assert [(each["name"], len(each["nuclei"]["scores"])) for each in images] == [("a", 12), ("b", 11)]
    areas = np.bincount(tifffile.imread(results / "labels/a.tif").ravel())[1:]
    assert images[0]["nuclei"]["columns"]["area"] == areas.tolist()


def test_filters_of_the_results_hold(predict, tmp_path):
    results = predict(exclude_border=False, min_area="150px")
    assert look(results, "--image", "a", "-o", tmp_path / "a.html").exit_code == 0
    (image,) = images_of(tmp_path / "a.html")
    assert len(image["nuclei"]["scores"]) == tifffile.imread(results / "labels/a.tif").max() < 12


def test_nothing_is_replaced_unasked(predict):
    results = predict()
    (results / "look.html").write_text("mine")
    ended = look(results)
    assert ended.exit_code == 1
    assert "exists; choose another file (-o) or --overwrite." in ended.output
    assert (results / "look.html").read_text() == "mine"
    assert look(results, "--overwrite").exit_code == 0


def test_an_image_that_is_not_there(predict):
    results = predict()
    ended = look(results, "--image", "c")
    assert ended.exit_code == 1
    assert "has no image named 'c'; there are a, b." in ended.output
    assert not (results / "look.html").exists()


def test_an_image_that_has_changed(predict, tmp_path):
    results = predict()
    (tmp_path / "b.tif").unlink()
    ended = look(results)
    assert ended.exit_code == 1
    assert "is missing or has changed since its nuclei were found" in ended.output
    assert not (results / "look.html").exists()


def test_a_folder_without_results(tmp_path):
    ended = look(tmp_path)
    assert ended.exit_code == 1
    assert "holds no results of `nucseg predict`" in ended.output
