import logging

import pytest
import tifffile

from nucseg.core.errors import InputError
from nucseg.images.transforms import Normalize
from nucseg.inference.predictor import Predictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.params import InferenceConfig
from nucseg.pipelines.inference.nodes import predict


@pytest.fixture
def config(tmp_path, bright, monkeypatch):
    """Name a model that finds what is bright."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    bundle = ModelBundle("fake", bright(), (Normalize(pmin=0, pmax=100, min_range=1),))
    monkeypatch.setattr(Predictor, "load", lambda model, options: Predictor(bundle, options))
    yield InferenceConfig(model=str(tmp_path / "model"), formats=("labels", "table"), scale=1.0, precision="float32")
    use_precision("float32")


def test_the_summary_has_every_image_and_failures_are_reported(config, tmp_path, draw_nuclei, caplog):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in/good.tif", draw_nuclei((80, 90), 7, seed=1, noise=0, gap=5)[0])
    (tmp_path / "in/._good.tif").write_bytes(b"\0\5\x16\7")
    (tmp_path / "in/bad.tif").write_bytes(b"no image")
    with caplog.at_level(logging.INFO):
        summary = predict(tmp_path / "in", tmp_path / "out", config)
    assert summary["image"].tolist() == ["bad", "good"]
    assert summary["status"].tolist() == ["failed", "done"]
    assert summary["nuclei"].tolist() == ["", "7"]
    assert "bad.tif" in caplog.text
    assert "1 hidden file" in caplog.text
    before = (tmp_path / "out/summary.csv").read_bytes()
    predict(tmp_path / "in", tmp_path / "out", config)
    assert (tmp_path / "out/summary.csv").read_bytes() == before


def test_a_folder_without_a_good_image_fails(config, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="contains no image"):
        predict(tmp_path / "in", tmp_path / "out", config)
    (tmp_path / "in/bad.tif").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"no image could be predicted.*bad\.tif"):
        predict(tmp_path / "in", tmp_path / "out", config)
