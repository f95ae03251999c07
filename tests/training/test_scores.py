from dataclasses import replace

import numpy as np
import pytest

from fake_segmenter import FakeSegmenter
from nucseg.core.types import Instances
from nucseg.images.io import read_labels, write_image, write_labels
from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle
from nucseg.models.run import RunRecord
from nucseg.training.scores import seen_images


@pytest.fixture
def wide(samples, draw_nuclei, tmp_path):
    """A sample of 100 x 240 pixels with nuclei of 15 to 17."""
    image, labels = draw_nuclei((100, 240), 20, seed=1, radius=(7.5, 8.5), gap=1)
    write_image(tmp_path / "image.tif", image)
    write_labels(tmp_path / "labels.tif", labels)
    return replace(samples[0], image_path=tmp_path / "image.tif", label_path=tmp_path / "labels.tif")


@pytest.mark.parametrize(
    "enlarge, max_side, shapes",
    [
        (None, 2048, [(100, 240)]),
        ([20.0, 24.0], 2048, [(150, 360)]),
        ([20.0, 24.0], 200, [(150, 180), (150, 180)]),  # 133 pixels of the image at most
    ],
)
def test_small_nuclei_are_seen_as_in_prediction_and_measured_in_the_image(wide, enlarge, max_side, shapes):
    model = FakeSegmenter(lambda image: Instances.none(image.shape[:2]))
    model.max_side = max_side
    run = RunRecord(parameters={"sampling": {"enlarge": enlarge}})
    images, truths = seen_images(ModelBundle("fake", model, (Normalize(pmin=0, pmax=100),), run), [wide])
    assert [image.shape[:2] for image in images] == shapes
    np.testing.assert_array_equal(np.hstack(truths), read_labels(wide.label_path))
