import numpy as np
import pytest

from nucseg.core.errors import ConfigError
from nucseg.metrics.instances.matching import THRESHOLDS, match
from nucseg.metrics.instances.overlap import overlaps


def test_thresholds_are_the_decimal_numbers():
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_iou_equal_to_the_threshold_matches():
    truth, pred = np.array([[1, 1, 1, 1, 0]]), np.array([[0, 1, 1, 1, 1]])  # 3 of 5 pixels
    assert match(overlaps(truth, pred), 0.6).iou.tolist() == [0.6]
    assert len(match(overlaps(truth, pred), 0.65).iou) == 0


def test_of_two_halves_the_higher_score_is_matched():
    found = overlaps(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]]))
    assert match(found).pred_index.tolist() == [0]
    assert match(found, scores=np.array([0.1, 0.9])).pred_index.tolist() == [1]
    assert match(found, scores=np.array([0.9, 0.9])).pred_index.tolist() == [0]


def test_of_two_true_halves_one_is_matched():
    assert len(match(overlaps(np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 1]]))).iou) == 1


@pytest.mark.parametrize("threshold", [0.49, 0, 1.01, float("nan")])
def test_a_threshold_without_unique_matches_is_refused(threshold):
    found = overlaps(np.ones((2, 2), int), np.ones((2, 2), int))
    with pytest.raises(ConfigError, match=r"allowed is 0\.5 to 1"):
        match(found, threshold)
