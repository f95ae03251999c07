import numpy as np
import pytest

from nucseg.metrics.instances.coco_ap import coco_average_precision, matched_ious
from nucseg.metrics.instances.overlap import overlaps


def test_golden_numbers():
    # At t <= 0.80: ranks 1 and 3 of 3 are right, so precision is 1 up to recall 1/2 (51 of 101 recalls) and 2/3 after.
    ious, scores = np.array([0.8, 0.0, 1.0]), np.array([0.9, 0.8, 0.7])
    low = (51 * 1 + 50 * 2 / 3) / 101
    high = 51 * (1 / 3) / 101  # above 0.80 only rank 3 is right
    assert coco_average_precision(scores, ious, 2) == pytest.approx((7 * low + 3 * high) / 10)


def test_nothing_to_find_is_undefined_and_nothing_found_is_0():
    none = np.zeros(0)
    assert coco_average_precision(none, none, 0) is None
    assert coco_average_precision(np.ones(1), np.zeros(1), 0) is None
    assert coco_average_precision(none, none, 3) == 0


def test_one_true_nucleus_serves_one_candidate():
    found = overlaps(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]]))
    assert matched_ious(found, np.array([0.2, 0.4])).tolist() == [0, 0.5]
