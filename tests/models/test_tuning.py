import numpy as np
import pytest
from stardist.matching import matching_dataset

from nucseg.core.types import Instances
from nucseg.models.tuning import SAME, ap_mean, choose_thresholds, search_thresholds


def reference(truths, found):
    results = matching_dataset(truths, found, thresh=(0.5, 0.6, 0.7, 0.8, 0.9), show_progress=False, parallel=False)
    return np.mean([result.accuracy for result in results])


@pytest.fixture(scope="module")
def images(draw_nuclei):
    """Three true label images and candidates: each nucleus eroded by its own amount, and false ones of low scores."""
    pairs = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        _, truth = draw_nuclei((96, 96), 12, seed=seed)
        _, false = draw_nuclei((96, 96), 4, seed=100 + seed)
        labels = np.where((truth == 0) & (false > 0), false + 12, np.roll(truth, int(rng.integers(3)), 0))
        scores = np.concatenate([rng.uniform(0.3, 1, 12), rng.uniform(0.05, 0.6, 4)]).astype(np.float32)
        present = np.unique(labels)[1:]
        numbers = np.zeros(labels.max() + 1, np.int32)
        numbers[present] = np.arange(1, len(present) + 1)
        pairs.append((truth, Instances(numbers[labels], scores[present - 1])))
    return pairs


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.9])
def test_it_is_the_mean_that_the_package_finds(images, threshold):
    truths, found = [truth for truth, _ in images], [candidates.above(threshold) for _, candidates in images]
    value = ap_mean(truths, found)
    assert value == pytest.approx(reference(truths, [instances.labels for instances in found]))
    assert 0 < value < 1


def test_nothing_to_find_or_nothing_found_is_worth_0(images):
    nothing = np.zeros((96, 96), np.int32)
    assert ap_mean([], []) == 0
    assert ap_mean([nothing], [Instances.none((96, 96))]) == 0
    assert ap_mean([nothing, images[0][0]], [images[0][1], Instances.none((96, 96))]) == 0


def test_a_perfect_answer_is_worth_1(images):
    truth = images[0][0]
    assert ap_mean([truth], [Instances(truth, np.full(truth.max(), 0.9, np.float32))]) == 1


def test_of_good_thresholds_those_that_find_most_are_chosen(caplog):
    best = 0.6012 + 0.9 * SAME
    tried = [
        ({"score": 0.3, "nms": 0.3}, best - 1.1 * SAME, 0.9),
        ({"score": 0.4, "nms": 0.3}, best - 0.9 * SAME, 0.8),
        ({"score": 0.7, "nms": 0.3}, best - 0.9 * SAME, 0.8),
        ({"score": 0.6, "nms": 0.3}, best - 0.5 * SAME, 0.8),
        ({"score": 0.6, "nms": 0.5}, best - 0.3 * SAME, 0.8),
        ({"score": 0.5, "nms": 0.5}, best - 0.9 * SAME, 0.79),
        ({"score": 0.9, "nms": 0.3}, best, 0.7),
    ]
    with caplog.at_level("INFO"):
        assert choose_thresholds(tried, {"score": 0.2, "nms": 0.2}) == {"score": 0.6, "nms": 0.5}
    assert "ap_mean_50_90 = 0.6027 (the best: 0.6034) and ap_50 = 0.8000" in caplog.text


def test_thresholds_stay_where_none_is_worth_anything(caplog):
    before = {"score": 0.2}
    assert choose_thresholds([({"score": 0.5}, 0.0, 0.0)], before) == before
    assert choose_thresholds([], before) == before
    assert "No nucleus" in caplog.text


def test_every_combination_is_tried_the_last_name_changing_fastest(images):
    """Anything is found with one combination alone."""
    tried = []

    def find(thresholds):
        tried.append((thresholds["nms"], thresholds["score"]))
        lowest = 0.5 if tried[-1] == (0.4, 0.5) else 2.0
        return [candidates.above(lowest) for _, candidates in images]

    truths = [truth for truth, _ in images]
    grid = {"nms": (0.2, 0.4), "score": (0.05, 0.5, 1.0)}
    chosen = search_thresholds(find, truths, grid, {"score": 0.3, "nms": 0.3})
    assert tried == [(nms, score) for nms in (0.2, 0.4) for score in (0.05, 0.5, 1.0)]
    assert (chosen, list(chosen)) == ({"score": 0.5, "nms": 0.4}, ["score", "nms"])


def test_specks_are_left_out_and_the_best_score_is_another_without_them():
    """Four nuclei of 36 pixels, two of which score less than four specks of 9 pixels do, which are no nuclei."""
    truth, labels = np.zeros((2, 40, 40), np.int32)
    for number in range(4):
        truth[10 * number : 10 * number + 6, :6] = labels[10 * number : 10 * number + 6, :6] = number + 1
        labels[10 * number : 10 * number + 3, 20:23] = number + 5
    found = Instances(labels, np.array([0.9, 0.9, 0.45, 0.45, 0.8, 0.8, 0.8, 0.8], np.float32))
    grid, before = {"nms": (0.3, 0.4), "score": (0.4, 0.7, 0.85)}, {"score": 0.3, "nms": 0.3, "area": 5.0}

    def find(thresholds):
        return [found.above(thresholds["score"])]

    chosen = search_thresholds(find, [truth], grid, before)
    assert (chosen, list(chosen)) == ({"score": 0.4, "nms": 0.3, "area": 10.0}, list(before))
    without = {"score": 0.3, "nms": 0.3}
    # 4 of 8 found, none missed; or 2 of 2 found, 2 missed: as good, and 0.4 is nearer to 0.5.
    assert search_thresholds(find, [truth], grid, without) == {"score": 0.4, "nms": 0.3}
    # Specks that are nuclei stay.
    assert search_thresholds(find, [labels], grid, before) == {"score": 0.4, "nms": 0.3, "area": 0.0}
