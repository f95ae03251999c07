"""The search for the decoding thresholds: the grid, the score that is optimised, and the choice."""

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.metrics.instances.overlap import overlaps

SCORES = tuple(percent / 100 for percent in range(10, 95, 5))
"""The score thresholds that are tried."""

SAME = 0.0025
"""Thresholds whose values differ by no more are as good as each other: another seed changes more."""

_AREAS = (0, 5, 10, 15, 20, 25, 30)  # the last is a circle of 6 pixels: larger ones are nuclei
_IOUS = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
_log = logging.getLogger(__name__)


def ap_mean(truths: Sequence[NDArray[np.integer]], found: Sequence[Instances]) -> float:
    """Compute `ap_mean_50_90`, the mean of what `average_precisions` returns; 0 if there is no nucleus at all."""
    return float(average_precisions(truths, found).mean())


def average_precisions(truths: Sequence[NDArray[np.integer]], found: Sequence[Instances]) -> NDArray[np.float64]:
    """Compute TP / (TP + FP + FN), pooled over the images, at IoU 0.5, 0.6, ..., 0.9.

    Pairs with IoU above 0.5 are unique, so that no matching is needed.

    Args:
        truths: The true label image of each image, `(H, W)`.
        found: The nuclei found in each.

    Returns:
        `(5,)` in [0, 1]; 0 if there is no nucleus at all.
    """
    pairs = [overlaps(truth, instances.labels) for truth, instances in zip(truths, found, strict=True)]
    ious = np.concatenate([np.zeros(0), *(each.iou[each.iou > 0.5] for each in pairs)])
    nuclei = sum(len(each.true_labels) for each in pairs) + sum(map(len, found))
    true_positives = (ious[:, None] >= _IOUS).sum(0)
    return true_positives / np.maximum(nuclei - true_positives, 1)


def search_thresholds(
    find: Callable[[Mapping[str, float]], Sequence[Instances]],
    truths: Sequence[NDArray[np.integer]],
    grid: Mapping[str, Sequence[float]],
    before: Mapping[str, float],
) -> dict[str, float]:
    """Evaluate combinations of thresholds on validation images and choose one, see `choose_thresholds`.

    At first all those of the grid, whatever the size of the nuclei; then, of a model that leaves small ones out, every
    score with every smallest area, since the best score is another without the specks that are no nuclei.

    Args:
        find: Returns what is found in each image with the given thresholds. The values of the first name in `grid`
            change least often, those of the last one at each call, so it may keep what it can reuse.
        truths: The true label image of each image, `(H, W)`.
        grid: The values to try for each threshold, by its name; `score` is one of them, and `area` is not.
        before: The thresholds to keep if no nucleus is found; `area` is one of them if the model leaves nuclei of fewer
            pixels out.

    Returns:
        The thresholds chosen, in the order of `before`.
    """
    tried = []
    for combined in product(*grid.values()):
        combination = {"area": 0.0, **dict(zip(grid, combined, strict=True))}
        thresholds = {name: combination[name] for name in before}
        tried.append((thresholds, *_values(truths, find(thresholds))))
    chosen = choose_thresholds(tried, before)
    if "area" not in before or not any(mean for _, mean, _ in tried):
        return chosen
    tried = []
    for score in grid["score"]:
        found = find({**chosen, "score": score})
        for area in _AREAS:
            kept = [each.from_area(area) for each in found]
            tried.append(({**chosen, "score": score, "area": float(area)}, *_values(truths, kept)))
    return choose_thresholds(tried, chosen)


def _values(truths: Sequence[NDArray[np.integer]], found: Sequence[Instances]) -> tuple[float, float]:
    """Return `ap_mean_50_90` and `ap_50`."""
    values = average_precisions(truths, found)
    return float(values.mean()), float(values[0])


def choose_thresholds(
    tried: Sequence[tuple[dict[str, float], float, float]], before: Mapping[str, float]
) -> dict[str, float]:
    """Choose among thresholds by what they give.

    Args:
        tried: Thresholds, including `score`, and the `ap_mean_50_90` and `ap_50` of each.
        before: The thresholds to keep if all values are 0.

    Returns:
        Among those whose `ap_mean_50_90` is within `SAME` of the best, the ones that find the nuclei best (`ap_50`); of
        equal ones those whose score is nearest to 0.5, since few validation images say little about extreme ones.
    """
    best = max((mean for _, mean, _ in tried), default=0.0)
    if best <= 0:
        _log.warning("No nucleus was found in the validation images; the thresholds stay %s.", dict(before))
        return dict(before)
    chosen, mean, at_half = min(
        (each for each in tried if each[1] >= best - SAME),
        key=lambda each: (-round(each[2], 6), round(abs(each[0]["score"] - 0.5), 6), -each[1]),
    )
    _log.info(
        "Thresholds %s give ap_mean_50_90 = %.4f (the best: %.4f) and ap_50 = %.4f on the validation images.",
        chosen,
        mean,
        best,
        at_half,
    )
    return chosen
