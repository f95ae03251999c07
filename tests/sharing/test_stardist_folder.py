"""Models to the `stardist` package and back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from csbdeep.utils import normalize
from stardist.models import Config2D, StarDist2D

from nucseg.cli import cli
from nucseg.core.errors import ModelError
from nucseg.models.bundle import ModelBundle
from nucseg.models.facts import model_facts
from nucseg.models.stardist.model import suppress


@pytest.fixture
def stock(export: Any, tmp_path: Path) -> Path:
    """Return a folder of the `stardist` package, which was a model of nucseg."""
    ended = export("unet", "--to", "stardist", "--out", "stock")
    assert ended.exit_code == 0, ended.output
    return tmp_path / "stock"


def test_the_package_finds_the_same_polygons(stock: Path, models: Path, draw_nuclei: Any) -> None:
    model = ModelBundle.load(models / "unet").model
    image = normalize(draw_nuclei((96, 96), 8, seed=3)[0], 1, 99.8)[..., None].astype(np.float32)
    read = StarDist2D(None, name=stock.name, basedir=stock.parent)
    assert dict(read.thresholds._asdict()) == {"prob": model.thresholds["score"], "nms": model.thresholds["nms"]}
    polygons = read.predict_instances(image)[1]
    own = suppress(model.propose([image], model.thresholds)[0], model.thresholds["nms"])
    assert len(own.scores) >= 6
    order = np.lexsort(own.points.T)
    theirs = np.lexsort(polygons["points"].T)
    np.testing.assert_array_equal(polygons["points"][theirs], own.points[order])
    np.testing.assert_allclose(polygons["prob"][theirs], own.scores[order], atol=1e-5)


def test_a_stock_folder_is_a_model(stock: Path, models: Path, tmp_path: Path, draw_nuclei: Any) -> None:
    for name in ("README.md", "description.json"):  # what only nucseg writes
        (stock / name).unlink()
    image = draw_nuclei((96, 96), 8, seed=3)[0]
    tifffile.imwrite(tmp_path / "a.tif", image)
    ended = CliRunner().invoke(
        cli, ["predict", "a.tif", "--model", "stock", "--format", "labels", "-o", "out", "--scale", "1"]
    )
    assert ended.exit_code == 0, ended.output
    labels = tifffile.imread(tmp_path / "out/labels/a.tif")
    read = StarDist2D(None, name=stock.name, basedir=stock.parent)
    expected = read.predict_instances(normalize(image, 1, 99.8))[0]
    assert labels.max() == expected.max() >= 6
    assert ((labels > 0) != (expected > 0)).mean() < 0.01
    facts = model_facts(stock)
    assert (facts.kind, facts.created, facts.data, facts.scores) == ("stardist", None, {}, {})


def test_other_weights_are_those_that_the_package_would_take(stock: Path, caplog: pytest.LogCaptureFixture) -> None:
    wanted = ModelBundle.load(stock).model.network.get_weights()
    assert "does not record how images are normalised" in caplog.text
    (stock / "weights_best.h5").rename(stock / "weights_last.h5")
    (stock / "thresholds.json").unlink()
    read = ModelBundle.load(stock)
    assert read.name == "stock"
    assert read.model.thresholds == {"score": 0.5, "nms": 0.4, "area": 0}
    for got, right in zip(read.model.network.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(got, right)


def test_a_stock_folder_that_nucseg_cannot_run_is_one_error(stock: Path) -> None:
    config = json.loads((stock / "config.json").read_text())
    for change, said in (
        ({"n_dim": 3}, "finds nuclei in volumes"),
        ({"n_classes": 2}, r"has \{'n_classes': 2\}, which nucseg does not support"),
        ({"grid": [2, 4]}, "which nucseg does not support"),
        ({"n_rays": 4}, "not a complete model of the stardist package"),
        ({"unet_n_depth": 1}, "not a complete model of the stardist package"),
    ):
        (stock / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ModelError, match=said) as error:
            ModelBundle.load(stock)
        assert str(error.value).startswith(str(stock))
    (stock / "config.json").write_text(json.dumps(config))
    (stock / "weights_best.h5").unlink()
    with pytest.raises(ModelError, match=r"there is no weights_best\.h5"):
        ModelBundle.load(stock)


def test_what_the_package_writes_itself_is_read(tmp_path: Path) -> None:
    config = Config2D(
        n_rays=8, grid=(4, 4), n_channel_in=3, unet_n_depth=1, unet_n_filter_base=4, net_conv_after_unet=0
    )
    written = StarDist2D(config, name="theirs", basedir=tmp_path)
    written.keras_model.save_weights(tmp_path / "theirs/weights_best.h5")
    model = ModelBundle.load(tmp_path / "theirs").model
    image = np.random.default_rng(0).random((1, 32, 64, 3), np.float32)
    for got, wanted in zip(model.network([image]), written.keras_model([image]), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)
