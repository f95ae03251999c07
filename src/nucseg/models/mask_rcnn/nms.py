"""Greedy non-maximum suppression of boxes, as a few matrix products."""

from typing import Any

from keras import ops

from nucseg.models.mask_rcnn.boxes import pairwise_iou


def suppress(boxes: Any, valid: Any, threshold: Any) -> Any:
    """Drop each box that a better one which stays overlaps by more than `threshold`.

    The greedy rule is iterated for all boxes at once until nothing changes, which gives exactly the greedy result
    (Zheng et al. 2020, "Enhancing geometric factors", Cluster-NMS, proposition 1): box j stays if no earlier box that
    stays overlaps it. After n rounds the first n boxes are right, in practice all are after a few.

    Args:
        boxes: `(B, K, 4)`, the best first.
        valid: `(B, K)` bool; others neither stay nor suppress.
        threshold: Of the IoU.

    Returns:
        `(B, K)` bool: which stay.
    """
    places = ops.arange(ops.shape(boxes)[1])
    earlier = places[:, None] < places[None, :]
    suppresses = ops.cast(ops.logical_and(pairwise_iou(boxes, boxes) > threshold, earlier), "float32")
    valid = ops.cast(valid, "float32")

    def differs(keep: Any, before: Any) -> Any:
        return ops.any(keep != before)

    def step(keep: Any, before: Any) -> tuple[Any, Any]:
        hit = ops.matmul(keep[:, None, :], suppresses)[:, 0]
        return valid * ops.cast(hit == 0, "float32"), keep

    keep, _ = ops.while_loop(differs, step, step(valid, valid))
    return keep > 0


def first_kept(keep: Any, count: int) -> tuple[Any, Any]:
    """Give the places of the first `count` that stay.

    Args:
        keep: `(B, K)` bool.
        count: At most K.

    Returns:
        `(B, count)` int32 places in rising order, and `(B, count)` bool: whether there are that many.
    """
    size = ops.shape(keep)[1]
    rank = ops.cast(size - ops.arange(size), "float32")
    key, places = ops.top_k(ops.where(keep, rank, 0.0), count)
    return ops.cast(places, "int32"), key > 0
