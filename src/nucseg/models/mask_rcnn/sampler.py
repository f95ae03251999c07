"""Which proposals the second stage learns from."""

from typing import Any

from keras import ops

from nucseg.models.mask_rcnn.matcher import NEGATIVE, POSITIVE


def sample(labels: Any, keys: Any, n_positive: int, n_negative: int) -> tuple[Any, Any, Any]:
    """Draw positives and negatives at random (Girshick 2015, Fast R-CNN, section 2.3).

    The places are fixed, the positive ones first, so that shapes are static and the mask head takes the first
    `n_positive`. A place for which there is no proposal has weight 0.

    Args:
        labels: `(B, P)` int: `POSITIVE`, `NEGATIVE` or another value for what is never drawn.
        keys: `(B, P)` float in [0, 1), random: the largest ones are drawn.
        n_positive: Places for positives, at most P.
        n_negative: Places for negatives, at most P.

    Returns:
        Of `(B, n_positive + n_negative)` each: index of the proposal int32, whether the place is for a positive, and
        the weight float32, 1 or 0.
    """
    chosen, weights, positive = [], [], []
    for label, count in ((POSITIVE, n_positive), (NEGATIVE, n_negative)):
        drawn, index = ops.top_k(ops.where(labels == label, keys, -1.0), count)
        chosen.append(ops.cast(index, "int32"))
        weights.append(ops.cast(drawn >= 0, "float32"))
        positive.append(ops.full_like(drawn, float(label == POSITIVE)))
    return ops.concatenate(chosen, -1), ops.concatenate(positive, -1) > 0, ops.concatenate(weights, -1)
