"""Proposals from the outputs of the region proposal network, by greedy non-maximum suppression.

`propose` is for training: every shape is fixed, and the graph contains it. `select` is for prediction, where the number
of proposals follows from the image.
"""

from typing import Any

import cv2
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy.special import expit

from nucseg.models.mask_rcnn.boxes import areas, clip, decode, pairwise_iou

RPN_BOX_STD = (1.0, 1.0)
"""What the proposal network's codes of (position, size) are divided by."""


def best_of_cells(logits: Any, per_cell: int) -> Any:
    """Lower the logits `(B, A)` of all anchors but the best of each cell, for prediction, so that none is selected.

    Anchors of the other sizes mostly find the same nucleus less well; without them fewer proposals remain.
    """
    cells = ops.reshape(logits, (ops.shape(logits)[0], -1, per_cell))
    return ops.reshape(ops.where(cells == ops.max(cells, -1, keepdims=True), cells, -1e9), ops.shape(logits))


def propose(
    logits: Any, codes: Any, anchors: Any, shape: tuple[Any, Any], *, before: int, after: int, nms_iou: float
) -> tuple[Any, Any]:
    """Select the best anchors, move them, and drop those that better ones overlap (Ren et al. 2015, section 3.3).

    All levels compete together: the same nucleus is often found on two of them.

    Args:
        logits: `(B, A)` objectness.
        codes: `(B, A, 4)` coded boxes relative to the anchors.
        anchors: `(A, 4)`.
        shape: Rows and columns of the images.
        before: Maximum number of boxes before the suppression.
        after: Number of proposals, at most `before`.
        nms_iou: Overlap above which a box is dropped.

    Returns:
        `(B, after, 4)` boxes by decreasing objectness, without gradient, and `(B, after)` bool: whether there is one.
    """
    # Small images have fewer anchors than requested: padding that never counts makes the shapes static.
    logits = ops.pad(ops.stop_gradient(logits), [(0, 0), (0, before)], constant_values=-1e9)
    codes = ops.pad(ops.stop_gradient(codes), [(0, 0), (0, before), (0, 0)])
    anchors = ops.pad(anchors, [(0, before), (0, 0)])
    scores, places = ops.top_k(logits, before)
    codes = ops.take_along_axis(codes, places[..., None], axis=1)
    boxes = clip(decode(codes, ops.take(anchors, places, axis=0), RPN_BOX_STD), *shape)
    valid = (scores > -1e8) & (areas(boxes) >= 1.0)
    kept, exists = first_kept(suppress(boxes, valid, nms_iou), after)
    boxes = ops.take_along_axis(boxes, kept[..., None], axis=1)
    return ops.stop_gradient(ops.where(exists[..., None], boxes, 0.0)), exists


def select(
    logits: NDArray[np.float32],
    codes: NDArray[np.float32],
    anchors: NDArray[np.float32],
    shape: tuple[int, int],
    *,
    lowest: float,
    before: int,
    after: int,
    nms_iou: float,
) -> NDArray[np.float32]:
    """Select the proposals of one image as `propose` does, as many as there are.

    Args:
        logits: `(A,)` objectness.
        codes: `(A, 4)` coded boxes relative to the anchors.
        anchors: `(A, 4)`.
        shape: Rows and columns of the image.
        lowest: Minimum objectness, in [0, 1], of an anchor.
        before: Maximum number of boxes before the suppression.
        after: Maximum number of proposals.
        nms_iou: Overlap above which a box is dropped.

    Returns:
        `(K, 4)` boxes by decreasing objectness; those of equal objectness in the order of the anchors.
    """
    places = np.flatnonzero(expit(logits) >= lowest)
    places = places[np.argsort(-logits[places], kind="stable")][:before]
    boxes = clip(decode(codes[places], anchors[places], RPN_BOX_STD), *shape)
    found: NDArray[np.float32] = ops.convert_to_numpy(boxes)[ops.convert_to_numpy(areas(boxes)) >= 1]
    return found[kept_boxes(found, nms_iou)][:after]


def kept_boxes(boxes: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Drop each box that is overlapped by more than `threshold` by a better box that stays, for prediction.

    Args:
        boxes: `(K, 4)`, the best first.
        threshold: Maximum IoU of two boxes that stay.

    Returns:
        The indices of those that stay, ascending.
    """
    # Any, because OpenCV's annotations know lists only, which take longer.
    corners_and_sizes: Any = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64)
    decreasing: Any = np.arange(len(boxes), 0, -1, dtype=np.float32)
    return np.array(cv2.dnn.NMSBoxes(corners_and_sizes, decreasing, 0.0, threshold), np.intp).reshape(-1)


def suppress(boxes: Any, valid: Any, threshold: Any) -> Any:
    """Drop each box that is overlapped by more than `threshold` by a better box that stays.

    The greedy rule is iterated for all boxes at once until nothing changes, which gives exactly the greedy result
    (Zheng et al. 2020, "Enhancing geometric factors", Cluster-NMS, proposition 1): box j stays if no earlier box that
    stays overlaps it. After n rounds the first n boxes are right, in practice all are after a few.

    Args:
        boxes: `(B, K, 4)`, the best first.
        valid: `(B, K)` bool; others neither stay nor suppress.
        threshold: Maximum IoU of two boxes that stay.

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
    """Return the indices of the first `count` boxes that stay.

    Args:
        keep: `(B, K)` bool.
        count: At most K.

    Returns:
        `(B, count)` int32 indices in ascending order, and `(B, count)` bool: whether there are that many.
    """
    size = ops.shape(keep)[1]
    rank = ops.cast(size - ops.arange(size), "float32")
    key, places = ops.top_k(ops.where(keep, rank, 0.0), count)
    return ops.cast(places, "int32"), key > 0
