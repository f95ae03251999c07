import numpy as np
import pytest

from fake_segmenter import FakeSegmenter
from nucseg.core.errors import InputError
from nucseg.core.types import Instances
from nucseg.images.source import array_source
from nucseg.inference.mitoses.predictor import SlidePredictor
from nucseg.inference.options import PredictOptions
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision


@pytest.fixture
def predictor():
    segmenter = FakeSegmenter(lambda image: Instances.none(image.shape[:2]), in_channels=3)
    yield SlidePredictor(ModelBundle("fake", segmenter, ()), PredictOptions(precision="float32"), 0.25)
    use_precision("float32")


def tissue(pixel_size):
    return array_source(np.random.default_rng(0).integers(90, 250, (64, 96, 3), dtype=np.uint8), "slide", pixel_size)


@pytest.mark.parametrize("pixel_size, scale", [((0.25, 0.25), 2.0), ((0.125, 0.125), 1.0), ((0.4, 0.5), 4.0)])
def test_nuclei_are_looked_for_at_one_pixel_size(predictor, pixel_size, scale) -> None:
    assert predictor.job(tissue(pixel_size)).scale == scale


def test_a_scale_that_is_asked_for_is_kept_and_notes_are_joined(predictor) -> None:
    job = predictor.job(tissue((0.5, 0.5)), PredictOptions(scale=1.5, precision="float32"))
    assert job.scale == 1.5
    assert "0.5 µm per pixel is coarser than" in job.source.notes[0]


def test_what_is_no_slide_is_refused(predictor) -> None:
    with pytest.raises(InputError, match="its pixel size is unknown"):
        predictor.job(tissue(None))
    grey = np.random.default_rng(0).integers(0, 256, (64, 96, 1), dtype=np.uint8).repeat(3, 2)
    with pytest.raises(InputError, match="its colours are those of a grey image"):
        predictor.job(array_source(grey, "slide", (0.25, 0.25)))
