import numpy as np
import pytest

from nucseg.core.types import Instances
from nucseg.models.resized import at_scale, resize_instances


@pytest.mark.parametrize("scale, area", [(0.25, 20), (1, 20), (1.5, 45), (2, 80), (3, 80)])
def test_the_smallest_area_is_one_of_the_image(scale, area):
    assert at_scale({"score": 0.5, "area": 20}, scale) == {"score": 0.5, "area": area}


def test_other_thresholds_know_no_scale():
    assert at_scale({"score": 0.5, "nms": 0.3}, 2) == {"score": 0.5, "nms": 0.3}


def test_nuclei_come_back_in_the_frame_of_the_image():
    labels = np.zeros((20, 30), np.int32)
    labels[2:4, 2:4], labels[10, 10], labels[12:18, 20:28] = 1, 2, 3
    found = resize_instances(Instances(labels, np.array([0.9, 0.8, 0.7], np.float32)), (10, 15))
    expected = np.zeros((10, 15), np.int32)
    expected[1, 1], expected[6:9, 10:14] = 1, 2  # a quarter of a pixel is none
    np.testing.assert_array_equal(found.labels, expected)
    np.testing.assert_array_equal(found.scores, np.array([0.9, 0.7], np.float32))


def test_of_the_same_shape_nothing_changes():
    found = Instances(np.eye(4, dtype=np.int32), np.ones(1, np.float32))
    assert resize_instances(found, (4, 4)) is found
