"""Scores from confusion matrices and hits."""

import numpy as np
from numpy.typing import NDArray

from nucseg.metrics.semantic.counts import Hits

Score = float | None
"""None where it is not defined."""


def ratio(part: float, whole: float) -> Score:
    """Return `part / whole`, or None where `whole` is 0."""
    return float(part / whole) if whole > 0 else None


def class_iou(confusion: NDArray) -> NDArray[np.float64]:
    """Compute TP / (TP + FP + FN) of each class; NaN where a class is neither true nor predicted.

    Args:
        confusion: `(..., C, C)`: rows are the truth, columns the prediction.

    Returns:
        `(..., C)`.
    """
    hits, total = _hits_and_total(confusion)
    return _divide(hits, total - hits)


def class_dice(confusion: NDArray) -> NDArray[np.float64]:
    """Compute 2 TP / (2 TP + FP + FN) of each class; as `class_iou`."""
    hits, total = _hits_and_total(confusion)
    return _divide(2 * hits, total)


def mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the mean over the last axis of what is not NaN; NaN where all is."""
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0).sum(-1), known.sum(-1))


def boundary_f1(hits: Hits) -> Score:
    """Compute the harmonic mean of the shares of true and predicted boundary pixels that are hits."""
    recall, precision = ratio(hits.found, hits.true), ratio(hits.right, hits.predicted)
    if recall is None and precision is None:
        return None
    if not recall or not precision:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def score(value: float | NDArray) -> Score:
    """Return a number for JSON: None for NaN."""
    return None if np.isnan(value) else float(value)


def _hits_and_total(confusion: NDArray) -> tuple[NDArray, NDArray]:
    return np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1) + confusion.sum(-2)


def _divide(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
