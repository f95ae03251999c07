"""Class maps of images of any size: in tiles as at once."""

import keras
import numpy as np
import pytest

from nucseg.core.types import ClassPrediction
from nucseg.core.window import Window
from nucseg.images.transforms import parse_transforms
from nucseg.inference.options import PredictOptions
from nucseg.inference.semantic.parts import ClassMosaic, ClassPart
from nucseg.inference.semantic.predictor import SemanticPredictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.unet.config import UNetConfig
from nucseg.models.unet.model import UNet

OPTIONS = PredictOptions(precision="float32")


@pytest.fixture(scope="module")
def predictor():
    keras.utils.set_random_seed(0)
    model = UNet(UNetConfig(in_channels=1, classes=("background", "a", "b"), decoder_filters=(8, 8, 8, 8)))
    return SemanticPredictor(ModelBundle("unet", model, parse_transforms([{"name": "normalize"}])), OPTIONS)


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.integers(0, 200, (3, 28)), np.ones((20, 20)))
    return (coarse + rng.integers(0, 50, coarse.shape)).astype(np.uint8)


def test_tiles_show_no_seams(predictor, image):
    whole = predictor.predict_source(source_of(image))
    tiled = predictor.predict_source(source_of(image), OPTIONS.changed(tile=64))
    assert (len(whole.parts), len(tiled.parts)) == (1, 3)
    everything = Window.whole(image.shape)
    expected, found = (each.steps(everything).astype(int) for each in (whole, tiled))
    assert expected.std() > 1
    assert np.abs(expected - found).max() <= 1  # steps of 1/255, rounded
    assert (whole.classes(everything) != tiled.classes(everything)).mean() < 1e-3
    inner = Window(10, 190, 40, 420)
    np.testing.assert_array_equal(tiled.classes(inner), tiled.classes(everything)[inner.slices])
    np.testing.assert_array_equal(tiled.steps(inner), tiled.steps(everything)[(slice(None), *inner.slices)])


def source_of(image):
    from nucseg.images.source import array_source

    return array_source(image, "image")


def test_the_confidence_is_that_of_the_class(predictor, image):
    found = predictor.predict(image)
    assert isinstance(found, ClassPrediction)
    (probabilities,) = predictor.bundle.model.probabilities([predictor.bundle.preprocessor().fit(image).image(image)])
    np.testing.assert_array_equal(found.classes, probabilities.argmax(-1))
    np.testing.assert_allclose(found.confidence / 255, probabilities.max(-1), atol=2 / 255)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 2)])
def test_small_images(predictor, shape):
    found = predictor.predict(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape))
    assert found.classes.shape == found.confidence.shape == shape


def test_at_another_scale_the_answer_is_in_the_frame_of_the_image(predictor, image):
    found = predictor.predict(image, OPTIONS.changed(scale=0.5, tile=64))
    assert found.classes.shape == image.shape


def test_a_part_is_kept_in_a_file(tmp_path):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), (5, 6)).astype(np.float32)
    part = ClassPart.of(Window(2, 3, 7, 9), probabilities)
    part.save(tmp_path / "part.npz")
    assert ClassPart.load(tmp_path / "part.npz") == part
    np.testing.assert_allclose(part.steps().transpose(1, 2, 0) / 255, probabilities[..., 1:], atol=0.5 / 255 + 1e-6)
    (tmp_path / "part.npz").write_bytes(b"PK")
    with pytest.raises(OSError, match="damaged"):
        ClassPart.load(tmp_path / "part.npz")


def test_what_no_tile_owns_is_of_class_0():
    part = ClassPart.of(Window(0, 2, 2, 4), np.tile(np.float32([0.25, 0.75]), (2, 2, 1)))
    mosaic = ClassMosaic((3, 4), ("background", "mark"), [ClassPart.nothing(), part])
    np.testing.assert_array_equal(mosaic.classes(Window(0, 0, 3, 4)), [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]])
    found = mosaic.prediction()
    assert found.confidence[[0, 0], [0, 2]].tolist() == [255, 191]
