"""The number that the decoding thresholds are tuned for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.metrics.overlap import overlaps

_IOUS = np.array([0.5, 0.6, 0.7, 0.8, 0.9])


def ap_mean(truths: Sequence[NDArray[np.integer]], found: Sequence[Instances]) -> float:
    """Compute `ap_mean_50_90`: the mean over IoU 0.5, 0.6, ..., 0.9 of TP / (TP + FP + FN), pooled over the images.

    Pairs with IoU above 0.5 are unique, so that no matching is needed.

    Args:
        truths: The true label image of each image, `(H, W)`.
        found: What was found in each.

    Returns:
        A value in [0, 1]; 0 where there is no nucleus at all.
    """
    pairs = [overlaps(truth, instances.labels) for truth, instances in zip(truths, found, strict=True)]
    ious = np.concatenate([np.zeros(0), *(each.iou[each.iou > 0.5] for each in pairs)])
    nuclei = sum(len(each.true_labels) for each in pairs) + sum(map(len, found))
    true_positives = (ious[:, None] >= _IOUS).sum(0)
    return float((true_positives / np.maximum(nuclei - true_positives, 1)).mean())
