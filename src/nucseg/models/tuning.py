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

_IOUS = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
_log = logging.getLogger(__name__)


def ap_mean(truths: Sequence[NDArray[np.integer]], found: Sequence[Instances]) -> float:
    """Compute `ap_mean_50_90`: the mean over IoU 0.5, 0.6, ..., 0.9 of TP / (TP + FP + FN), pooled over the images.

    Pairs with IoU above 0.5 are unique, so that no matching is needed.

    Args:
        truths: The true label image of each image, `(H, W)`.
        found: The nuclei found in each.

    Returns:
        A value in [0, 1]; 0 if there is no nucleus at all.
    """
    pairs = [overlaps(truth, instances.labels) for truth, instances in zip(truths, found, strict=True)]
    ious = np.concatenate([np.zeros(0), *(each.iou[each.iou > 0.5] for each in pairs)])
    nuclei = sum(len(each.true_labels) for each in pairs) + sum(map(len, found))
    true_positives = (ious[:, None] >= _IOUS).sum(0)
    return float((true_positives / np.maximum(nuclei - true_positives, 1)).mean())


def search_thresholds(
    find: Callable[[Mapping[str, float]], Sequence[Instances]],
    truths: Sequence[NDArray[np.integer]],
    grid: Mapping[str, Sequence[float]],
    before: Mapping[str, float],
) -> dict[str, float]:
    """Evaluate every combination of thresholds on validation images and choose one, see `choose_thresholds`.

    Args:
        find: Returns what is found in each image with the given thresholds. The values of the first name in `grid`
            change least often, those of the last one at each call, so it may keep what it can reuse.
        truths: The true label image of each image, `(H, W)`.
        grid: The values to try for each threshold, by its name; `score` is one of them.
        before: The thresholds to keep if no nucleus is found.

    Returns:
        The thresholds chosen, in the order of `before`.
    """
    tried = []
    for values in product(*grid.values()):
        combination = dict(zip(grid, values, strict=True))
        thresholds = {name: combination[name] for name in before}
        tried.append((thresholds, ap_mean(truths, find(thresholds))))
    return choose_thresholds(tried, before)


def choose_thresholds(tried: Sequence[tuple[dict[str, float], float]], before: Mapping[str, float]) -> dict[str, float]:
    """Choose among thresholds by their value.

    Args:
        tried: Thresholds, including `score`, and the value of each.
        before: The thresholds to keep if all values are 0.

    Returns:
        Among those within `SAME` of the best, the ones whose score is nearest to 0.5, since few validation images say
        little about extreme ones; among these, the best.
    """
    best = max((value for _, value in tried), default=0.0)
    if best <= 0:
        _log.warning("No nucleus was found in the validation images; the thresholds stay %s.", dict(before))
        return dict(before)
    good = [
        (round(abs(thresholds["score"] - 0.5), 6), -value, thresholds)
        for thresholds, value in tried
        if value >= best - SAME
    ]
    _, negative, chosen = min(good, key=lambda each: each[:2])
    _log.info(
        "Thresholds %s give ap_mean_50_90 = %.4f on the validation images (the best: %.4f).", chosen, -negative, best
    )
    return chosen
