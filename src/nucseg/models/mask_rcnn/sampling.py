"""Matching of anchors and proposals with true boxes, and sampling of proposals for the second stage."""

from typing import Any

from keras import ops

NEGATIVE, POSITIVE, IGNORED = 0, 1, -1


def match(iou: Any, low: float, high: float, *, force: bool) -> tuple[Any, Any]:
    """Assign a true box to each candidate (Ren et al. 2015, section 3.1.2).

    A candidate is positive from `high` on, negative below `low`, and ignored in between. With `force`, the candidates
    that overlap a true box most are also positive, so that every true box has one. They keep the match of their own
    largest overlap.

    Args:
        iou: `(..., N, M)` overlap of N true boxes with M candidates; rows of padding are all zeros.
        low: Overlap below which a candidate is negative.
        high: Overlap from which on it is positive.
        force: Whether each true box gets a candidate.

    Returns:
        `(..., M)` int32, the true box with the largest overlap (the first one of several), and `(..., M)` int32,
        `POSITIVE`, `NEGATIVE` or `IGNORED`.
    """
    matches = ops.cast(ops.argmax(iou, axis=-2), "int32")
    best = ops.max(iou, axis=-2)
    labels = ops.where(best >= high, POSITIVE, ops.where(best < low, NEGATIVE, IGNORED))
    if force:
        most = ops.max(iou, axis=-1, keepdims=True)
        forced = ops.any(ops.logical_and(iou >= most, most > 0), axis=-2)
        labels = ops.where(forced, POSITIVE, labels)
    return matches, ops.cast(labels, "int32")


def sample(labels: Any, keys: Any, n_positive: int, n_negative: int) -> tuple[Any, Any, Any]:
    """Draw positives and negatives at random (Girshick 2015, Fast R-CNN, section 2.3).

    The number of places is fixed, those for positives first, so that shapes are static and the mask head takes the
    first `n_positive`. A place without a proposal has weight 0.

    Args:
        labels: `(B, P)` int: `POSITIVE`, `NEGATIVE` or another value for what is never drawn.
        keys: `(B, P)` float in [0, 1), random: the largest ones are drawn.
        n_positive: Places for positives, at most P.
        n_negative: Places for negatives, at most P.

    Returns:
        Three arrays `(B, n_positive + n_negative)`: index of the proposal int32, whether the place is for a positive,
        and the weight float32, 1 or 0.
    """
    chosen, weights, positive = [], [], []
    for label, count in ((POSITIVE, n_positive), (NEGATIVE, n_negative)):
        drawn, index = ops.top_k(ops.where(labels == label, keys, -1.0), count)
        chosen.append(ops.cast(index, "int32"))
        weights.append(ops.cast(drawn >= 0, "float32"))
        positive.append(ops.full_like(drawn, float(label == POSITIVE)))
    return ops.concatenate(chosen, -1), ops.concatenate(positive, -1) > 0, ops.concatenate(weights, -1)
