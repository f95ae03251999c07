"""Which true box an anchor or a proposal stands for."""

from typing import Any

from keras import ops

NEGATIVE, POSITIVE, IGNORED = 0, 1, -1


def match(iou: Any, low: float, high: float, *, force: bool) -> tuple[Any, Any]:
    """Assign a true box to each candidate (Ren et al. 2015, section 3.1.2).

    From `high` on a candidate is positive, below `low` negative, ignored in between. With `force`, the candidates that
    overlap a true box most are positive too, so that none is without a candidate. They keep the match of their own
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
