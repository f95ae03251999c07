"""Against counting by hand and by brute force."""

from itertools import product

import numpy as np
import pytest

from nucseg.metrics.patches import scores

P = np.array([0.9, 0.8, 0.7, 0.4, 0.2], np.float32)
C = np.array([1, 0, 1, 1, 0])


def test_at_a_threshold() -> None:
    found = scores.threshold_scores(P, C, 0.5)  # TP 2, FP 1, FN 1, TN 1
    assert found == {
        "f1": pytest.approx(2 / 3),
        "precision": 2 / 3,
        "recall": 2 / 3,
        "balanced_accuracy": pytest.approx(7 / 12),
    }
    assert scores.threshold_scores(P, C, float(np.float32(0.8)))["precision"] == 0.5  # from it on
    nothing = scores.threshold_scores(P[:0], C[:0], 0.5)
    assert set(nothing.values()) == {None}
    assert scores.threshold_scores(P, np.zeros(5, int), 0.95) == dict.fromkeys(nothing, None)


def test_average_precision() -> None:
    # Recall 1/3, 2/3, 3/3 at precision 1, 2/3, 3/4.
    assert scores.average_precision(P, C) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert scores.average_precision(P, np.zeros(5, int)) is None
    assert scores.average_precision(P[:0], C[:0]) is None
    # Ties are one step: with all alike it is the prevalence.
    assert scores.average_precision(np.full(5, 0.5, np.float32), C) == pytest.approx(3 / 5)


def test_roc_auc_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    p, c = rng.integers(0, 8, 40) / 8, rng.integers(0, 2, 40)
    pairs = [(a > b) + (a == b) / 2 for a, b in product(p[c == 1], p[c == 0])]
    assert scores.roc_auc(p, c) == pytest.approx(np.mean(pairs))
    assert scores.roc_auc(p, np.ones(40, int)) is None


def test_calibration() -> None:
    p = np.array([0.05, 0.05, 0.95, 0.95, 1.0], np.float32)
    c = np.array([0, 1, 1, 1, 0])
    # The bin of 0.05 says 0.1 and holds 1 of 2; the last one says 2.9 and holds 2 of 3.
    assert scores.calibration_error(p, c) == pytest.approx((0.9 + 0.9) / 5, rel=1e-5)
    assert scores.reliability(p, c) == [
        (pytest.approx(0.05), 0.5, 2),
        (pytest.approx(2.9 / 3), pytest.approx(2 / 3), 3),
    ]


@pytest.mark.parametrize("name", ["average_precision", "roc_auc", "calibration_error"])
def test_a_weight_is_how_often_a_patch_counts(name: str) -> None:
    weights = np.array([2, 0, 1, 3, 2])
    score = getattr(scores, name)
    assert score(P, C, weights) == pytest.approx(score(np.repeat(P, weights), np.repeat(C, weights)))


def test_weights_at_a_threshold() -> None:
    weights = np.array([2, 0, 1, 3, 2])
    expected = scores.threshold_scores(np.repeat(P, weights), np.repeat(C, weights), 0.5)
    assert scores.threshold_scores(P, C, 0.5, weights) == pytest.approx(expected)
