import numpy as np
import pytest

from nucseg.metrics.instances.counts import count, pool
from nucseg.metrics.instances.overlap import overlaps
from nucseg.metrics.instances.scores import headline_scores, image_scores, mean, pooled_scores, ratio

# Two true nuclei of 10 and 4 pixels; the first is found with IoU 8 / 10, the second missed, 2 pixels are extra.
TRUTH = np.array([[1] * 10 + [2] * 4 + [0] * 6])
PRED = np.array([[1] * 8 + [0] * 10 + [2] * 2])


def test_golden_numbers():
    scores = pooled_scores(count(overlaps(TRUTH, PRED)))
    assert scores == {
        "f1_50": 1 / 2,
        "precision_50": 1 / 2,
        "recall_50": 1 / 2,
        **{f"ap_{t}": 1 / 3 for t in range(50, 85, 5)},
        **{f"ap_{t}": 0 for t in range(85, 100, 5)},
        "ap_mean_50_90": pytest.approx(4 / 15),
        "ap_mean_50_95": pytest.approx(7 / 30),
        "iou": 0.8,
        "jaccard_50": 1 / 3,
        "aji": 8 / (10 + 4 + 2),
        "pq": 0.8 / 2,
        "dice": 2 * 8 / (14 + 10),
    }


def test_headline_scores_are_the_pooled_ones():
    counts = count(overlaps(TRUTH, PRED))
    row = [counts.n_true, counts.n_pred, *counts.tp, 0.25 + 0.5, 2]
    found = headline_scores(np.array([row, np.zeros(14)]))
    pooled = pooled_scores(counts)
    assert found.keys() == {"f1_50", "ap_50", "ap_mean_50_90", "dsb2018_score"}
    for key in found.keys() - {"dsb2018_score"}:
        assert found[key][0] == pytest.approx(pooled[key])
    assert found["dsb2018_score"][0] == 0.375
    assert all(np.isnan(values[1]) for values in found.values())


def test_pooling_adds_counts_and_does_not_average_scores():
    single = count(overlaps(np.array([[1, 0]]), np.array([[1, 0]])))
    both = pool([count(overlaps(TRUTH, PRED)), single])
    scores = pooled_scores(both)
    assert scores["f1_50"] == 2 * 2 / (3 + 3)
    assert scores["ap_50"] == 2 / 4
    assert scores["iou"] == pytest.approx(1.8 / 2)
    assert scores["aji"] == 9 / 17
    assert scores["dice"] == 2 * 9 / (24 + 2)


def test_one_prediction_may_serve_two_true_nuclei_in_aji():
    # Kumar's algorithm: unions 8 (4 + 4 more of the prediction) and 8; the prediction is used and not added again.
    counts = count(overlaps(np.array([[1] * 4 + [2] * 4]), np.array([[1] * 8])))
    assert (counts.aji_intersection, counts.aji_union) == (8, 16)


def test_undefined_is_none():
    assert set(pooled_scores(pool([])).values()) == {None}
    nothing_found = pooled_scores(count(overlaps(TRUTH, np.zeros_like(TRUTH))))
    assert nothing_found["precision_50"] is None
    assert nothing_found["iou"] is None
    assert nothing_found["recall_50"] == nothing_found["f1_50"] == nothing_found["ap_50"] == nothing_found["aji"] == 0
    assert pooled_scores(count(overlaps(np.zeros_like(TRUTH), PRED)))["recall_50"] is None


def test_an_image_rightly_left_empty_scores_1():
    scores = image_scores(count(overlaps(np.zeros_like(TRUTH), np.zeros_like(TRUTH))))
    assert scores.pop("iou") is None
    assert set(scores.values()) == {1}
    assert image_scores(count(overlaps(TRUTH, PRED))) == pooled_scores(count(overlaps(TRUTH, PRED)))


def test_ratio_and_mean_leave_out_what_is_undefined():
    assert (ratio(1, 0), ratio(0, 2), ratio(1, 2)) == (None, 0, 0.5)
    assert (mean([]), mean([None]), mean([None, 1.0, 0.0])) == (None, None, 0.5)
