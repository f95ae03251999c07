import numpy as np
import pytest
from scipy.special import expit

from nucseg.models.patch_classifier.calibration import best_threshold, fit_temperature


def test_the_temperature_makes_probabilities_frequencies():
    rng = np.random.default_rng(0)
    true_logits = rng.normal(0, 2, 20_000)
    classes = rng.random(20_000) < expit(true_logits)
    assert fit_temperature((3 * true_logits).astype(np.float32), classes) == pytest.approx(3, rel=0.05)


def test_perfect_logits_have_the_lowest_temperature():
    assert fit_temperature(np.array([-1, 1], np.float32), np.array([0, 1])) == pytest.approx(0.05, rel=0.01)


def test_the_threshold_with_the_best_f1():
    probabilities = np.array([0.9, 0.8, 0.6, 0.4, 0.2], np.float32)
    # F1 down to each: 2/4 = .5, 4/5 = .8, 4/6, 6/7 = .857, 6/8.
    assert best_threshold(probabilities, np.array([1, 1, 0, 1, 0])) == pytest.approx(0.3)
    assert best_threshold(probabilities, np.zeros(5)) == 0.5


def test_no_threshold_lies_between_equal_probabilities():
    probabilities = np.array([0.9, 0.5, 0.5, 0.1], np.float32)
    assert best_threshold(probabilities, np.array([1, 1, 0, 0])) == pytest.approx(0.3)
