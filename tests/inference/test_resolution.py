"""The level of a slide that is read, and results in the pixels of level 0."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from fake_segmenter import FakeSegmenter
from nucseg.core.types import Instances
from nucseg.images.open import open_image
from nucseg.images.transforms import Normalize
from nucseg.inference.engine import LocalEngine
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.tiled import predict_tiled
from nucseg.models.bundle import ModelBundle
from slides import write_slide

pytestmark = pytest.mark.usefixtures("every_pyramid_is_a_slide")


def dark_parts(image):
    labels = ndimage.label(image[..., 0] < 0.5)[0].astype(np.int32)
    return Instances(labels, np.full(labels.max(), 0.9, np.float32))


@pytest.fixture
def predicted(tmp_path, draw_nuclei):
    """Predict a drawn slide; return the job, what was found and the truth."""
    image, truth = draw_nuclei((400, 520), 40, seed=4, noise=0, gap=8, radius=(9.0, 14.0), modality="histology")

    def predict(size, *, times=2, known=True, **options):
        path = write_slide(tmp_path, image, size, times=times)
        segmenter = FakeSegmenter(dark_parts, stride=8, halo=24, max_side=1536)
        predictor = Predictor(ModelBundle("fake", segmenter, (Normalize(pmin=0, pmax=100),)))
        source = open_image(path) if known else replace(open_image(path), pixel_size=None)
        job = predictor.job(source, PredictOptions(precision="float32", **options))
        return job, predict_tiled(job, LocalEngine()), truth, segmenter

    return predict


@pytest.mark.parametrize(
    "size, options, level, seen",
    [
        (0.25, {}, 1, (200, 260)),
        (0.25, {"scale": 1.0}, 0, (400, 520)),
        (0.25, {"scale": 0.25}, 2, (100, 130)),
        (0.25, {"scale": 0.3}, 1, (120, 156)),
        (0.23, {}, 1, (200, 260)),
        (0.125, {}, 2, (100, 130)),
        (0.45, {}, 0, (400, 520)),
        (0.17, {}, 1, (136, 177)),  # no level fits: the next finer one is resized
        (1.0, {}, 0, (800, 1040)),
    ],
)
def test_the_level_that_fits_is_read_and_nuclei_are_in_pixels_of_level_0(predicted, size, options, level, seen):
    job, found, truth, segmenter = predicted(size, **options)
    assert job.level == level
    assert segmenter.seen[-1].shape[:2] == seen
    labels = found.instances().labels
    assert labels.shape == truth.shape
    assert len(found) == truth.max()
    both = np.count_nonzero((labels > 0) & (truth > 0))
    assert both / np.count_nonzero((labels > 0) | (truth > 0)) > (0.7 if level == 2 else 0.85)
    assert any(f"(level {level} of 0 to 2)" in note for note in job.source.notes)


def test_a_level_that_is_much_too_coarse_is_not_read(predicted, monkeypatch):
    monkeypatch.setattr("nucseg.images.tiff.reduced_copies", lambda levels, source: (list(levels)[1],))
    job, *_, segmenter = predicted(0.25)
    assert job.level == 0
    assert segmenter.seen[-1].shape[:2] == (200, 260)


def test_without_a_pixel_size_the_slide_itself_is_read_and_said_so(predicted):
    job, found, truth, _ = predicted(0.25, known=False)
    assert job.level == 0
    assert len(found) == truth.max()
    assert any("its pixel size is unknown" in note for note in job.source.notes)


def test_the_same_nuclei_in_tiles_of_a_level(predicted):
    _, whole, *_ = predicted(0.25)
    job, tiled, *_ = predicted(0.25, tile=64)
    assert len(job.grid) > 4
    np.testing.assert_array_equal(tiled.instances().labels > 0, whole.instances().labels > 0)
