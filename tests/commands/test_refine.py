import numpy as np
import pandas as pd
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
def results(tmp_path, bright, draw_nuclei):
    """Predict an image as `nucseg predict` does."""
    (tmp_path / "model").mkdir()
    tifffile.imwrite(tmp_path / "a.tif", draw_nuclei((90, 120), 12, seed=2, noise=0, gap=5)[0])
    options = BatchOptions(scale=1.0, precision="float32", formats=("table", "labels"))
    predictor = Predictor(ModelBundle("fake", bright(), (Normalize(pmin=0, pmax=100, min_range=1),)), options)
    found = find_images([str(tmp_path / "a.tif")]).images
    predict_images(found, tmp_path / "out", predictor, LocalEngine(), options, model=tmp_path / "model")
    yield tmp_path / "out"
    use_precision("float32")


def test_results_are_written_again(results):
    areas = pd.read_csv(results / "table.csv")["area"]
    ended = CliRunner().invoke(cli, ["refine", str(results), "--min-area", f"{areas.median()}px", "--format", "rle"])
    assert ended.exit_code == 0, ended.output
    assert "a: 6 nuclei" in ended.output
    assert "1 image, 6 nuclei in" in ended.output
    assert pd.read_csv(results / "table.csv")["area"].tolist() == areas[areas >= areas.median()].tolist()
    assert tifffile.imread(results / "labels/a.tif").max() == len(pd.read_csv(results / "rle/a.csv")) == 6


def test_a_lower_threshold_is_refused_in_one_line(results):
    before = tifffile.imread(results / "labels/a.tif")
    ended = CliRunner().invoke(cli, ["refine", str(results), "--score-threshold", "0.4"])
    assert ended.exit_code == 1
    assert "Failed: " in ended.output
    assert "scores below 0.5 are not stored; for --score-threshold 0.4 predict it again." in ended.output
    np.testing.assert_array_equal(tifffile.imread(results / "labels/a.tif"), before)


def test_a_folder_without_results(tmp_path):
    ended = CliRunner().invoke(cli, ["refine", str(tmp_path)])
    assert ended.exit_code == 1
    assert "holds no results of `nucseg predict`" in ended.output


def test_the_help_tells_what_is_different():
    text = " ".join(CliRunner().invoke(cli, ["refine", "--help"]).output.split())
    assert "to keep, at least that of the prediction." in text
    assert "Formats to write besides those that are there. --pixel-size" in text
