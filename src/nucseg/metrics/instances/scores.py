"""Scores from counts. The same formulas serve one image and the sum over many; an undefined score is None."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nucseg.metrics.instances.counts import Counts
from nucseg.metrics.instances.matching import THRESHOLDS

Score = float | None
"""In [0, 1], or None if there is nothing to divide by."""


def ratio(part: float, whole: float) -> Score:
    """Return the quotient, or None if `whole` is 0."""
    return float(part / whole) if whole else None


def mean(values: Iterable[Score]) -> Score:
    """Average the values that are defined; None if none is."""
    defined = [value for value in values if value is not None]
    return ratio(sum(defined), len(defined))


def pooled_scores(counts: Counts) -> dict[str, Score]:
    """Compute the scores that follow from counts alone.

    TP, FP and FN are the matched pairs, the predictions without a match and the true nuclei without a match.

    Args:
        counts: Counts of one image, or pooled over images.

    Returns:
        `f1_50`, `precision_50`, `recall_50`, `ap_50` ... `ap_95`, `ap_mean_50_90`, `ap_mean_50_95`, `iou`,
        `jaccard_50`, `aji`, `pq` and `dice`; `nucseg.metrics.instances.definitions` defines each.
    """
    either = counts.n_true + counts.n_pred  # = 2 TP + FP + FN at every threshold
    tp_50 = int(counts.tp[0])
    ap = {ap_key(t): ratio(int(tp), either - int(tp)) for t, tp in zip(THRESHOLDS, counts.tp, strict=True)}
    return {
        "f1_50": ratio(2 * tp_50, either),
        "precision_50": ratio(tp_50, counts.n_pred),
        "recall_50": ratio(tp_50, counts.n_true),
        **ap,
        "ap_mean_50_90": mean(ap[ap_key(t)] for t in THRESHOLDS[::2]),
        "ap_mean_50_95": mean(ap.values()),
        "iou": ratio(counts.iou_sum, tp_50),
        "jaccard_50": ap["ap_50"],
        "aji": ratio(counts.aji_intersection, counts.aji_union),
        "pq": ratio(2 * counts.iou_sum, either),
        "dice": ratio(2 * counts.common_area, counts.true_area + counts.pred_area),
    }


def image_scores(counts: Counts) -> dict[str, Score]:
    """Compute the scores of one image; finding nothing in an image without nuclei is right.

    Args:
        counts: Counts of one image.

    Returns:
        As `pooled_scores`; but if the image has neither true nor predicted nuclei, everything is 1 except `iou`, which
        is None as a mean over no pairs.
    """
    scores = pooled_scores(counts)
    if counts.n_true + counts.n_pred == 0:
        return {key: None if key == "iou" else 1.0 for key in scores}
    return scores


def headline_scores(sums: NDArray) -> dict[str, NDArray[np.float64]]:
    """Compute the scores that come with an interval, of many sums at once.

    Args:
        sums: `(R, 14)`: in each row, summed over images, true nuclei, predicted ones, matched pairs at each of
            `matching.THRESHOLDS`, the images' DSB2018 scores, and images.

    Returns:
        Key -> `(R,)`, NaN where there is nothing to divide by; as `pooled_scores` and `dsb2018_score`.
    """
    either, tp = sums[:, :1] + sums[:, 1:2], sums[:, 2:-2]
    with np.errstate(invalid="ignore", divide="ignore"):
        ap = tp / (either - tp)
        return {
            "f1_50": 2 * tp[:, 0] / either[:, 0],
            "ap_50": ap[:, 0],
            "ap_mean_50_90": ap[:, ::2].mean(1),
            "dsb2018_score": sums[:, -2] / sums[:, -1],
        }


def ap_key(threshold: float) -> str:
    """Return the key of AP at a threshold: `ap_50` for 0.5."""
    return f"ap_{round(100 * threshold)}"
