"""The scores of a classifier of two classes, each patch with a weight."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 10
"""Of equal width, for the calibration error."""

Score = float | None
"""None where it is not defined."""


def ratio(part: float, whole: float) -> Score:
    """Return `part / whole`, or None where `whole` is 0."""
    return float(part / whole) if whole > 0 else None


def threshold_scores(
    probabilities: NDArray, classes: NDArray, threshold: float, weights: ArrayLike = 1.0
) -> dict[str, Score]:
    """Compute F1, precision, recall and balanced accuracy at a threshold.

    Args:
        probabilities: `(N,)` of class 1.
        classes: `(N,)`, 0 or 1.
        threshold: Patches from it on count as class 1.
        weights: How often each patch counts, `(N,)` or one number.
    """
    weights = np.broadcast_to(np.asarray(weights, float), classes.shape)
    found, true = probabilities >= np.float32(threshold), classes == 1
    tp, fp = weights[found & true].sum(), weights[found & ~true].sum()
    fn, tn = weights[~found & true].sum(), weights[~found & ~true].sum()
    recall, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    return {
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "precision": ratio(tp, tp + fp),
        "recall": recall,
        "balanced_accuracy": None if recall is None or specificity is None else (recall + specificity) / 2,
    }


def average_precision(probabilities: NDArray, classes: NDArray, weights: ArrayLike = 1.0) -> Score:
    """Compute the area under the precision-recall curve as a sum of steps, as scikit-learn does; ties are one step."""
    curve = precision_recall(probabilities, classes, weights)
    if curve is None:
        return None
    precision, recall = curve
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def precision_recall(
    probabilities: NDArray, classes: NDArray, weights: ArrayLike = 1.0
) -> tuple[NDArray, NDArray] | None:
    """Compute precision and recall at each distinct probability, from the highest down; None without a true patch."""
    weights = np.broadcast_to(np.asarray(weights, float), classes.shape)
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    hits = np.cumsum(np.where(classes[order] == 1, weights[order], 0.0))
    taken = np.cumsum(weights[order])
    last = np.append(ranked[1:] != ranked[:-1], True) if len(ranked) else np.zeros(0, bool)
    last &= taken > 0
    if not len(ranked) or hits[-1] == 0:
        return None
    return hits[last] / taken[last], hits[last] / hits[-1]


def roc_auc(probabilities: NDArray, classes: NDArray, weights: ArrayLike = 1.0) -> Score:
    """Compute the probability that a patch of class 1 ranks above one of class 0; ties count half."""
    weights = np.broadcast_to(np.asarray(weights, float), classes.shape)
    _, place = np.unique(probabilities, return_inverse=True)
    n = int(place.max()) + 1 if len(place) else 0
    true = np.bincount(place, np.where(classes == 1, weights, 0.0), n)
    other = np.bincount(place, np.where(classes == 1, 0.0, weights), n)
    below = np.cumsum(other) - other
    return ratio(float(np.sum(true * (below + other / 2))), float(true.sum() * other.sum()))


def reliability(probabilities: NDArray, classes: NDArray) -> list[tuple[float, float, int]]:
    """Compute mean probability, share of class 1 and number of patches of each bin that has any."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    inside = [bins == number for number in range(BINS)]
    return [
        (float(probabilities[which].mean()), float((classes[which] == 1).mean()), int(which.sum()))
        for which in inside
        if which.any()
    ]


def calibration_error(probabilities: NDArray, classes: NDArray, weights: ArrayLike = 1.0) -> Score:
    """Compute the expected calibration error: the mean distance of probability and frequency over bins."""
    weights = np.broadcast_to(np.asarray(weights, float), classes.shape)
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    said = np.bincount(bins, weights * probabilities, BINS)
    true = np.bincount(bins, weights * (classes == 1), BINS)
    return ratio(float(np.abs(said - true).sum()), float(weights.sum()))
