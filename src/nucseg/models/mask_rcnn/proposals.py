"""From the region proposal network's outputs to proposals."""

from typing import Any

from keras import ops

from nucseg.models.mask_rcnn.boxes import areas, clip, decode
from nucseg.models.mask_rcnn.nms import first_kept, suppress

RPN_DEVIATIONS = (1.0, 1.0)


def propose(
    logits: Any,
    codes: Any,
    anchors: Any,
    shape: tuple[Any, Any],
    *,
    before: int,
    after: int,
    nms_iou: float,
    lowest: float = 0.0,
) -> tuple[Any, Any]:
    """Take the best anchors, move them, and drop those that better ones overlap (Ren et al. 2015, section 3.3).

    All levels compete together: the same nucleus is often found on two of them.

    Args:
        logits: `(B, A)` objectness.
        codes: `(B, A, 4)` coded boxes relative to the anchors.
        anchors: `(A, 4)`.
        shape: Rows and columns of the images.
        before: Boxes that enter the suppression.
        after: Proposals, at most `before`.
        nms_iou: Overlap from which on a box is dropped.
        lowest: Objectness in [0, 1] from which on an anchor is taken.

    Returns:
        `(B, after, 4)` boxes by falling objectness, without gradient, and `(B, after)` bool: whether there is one.
    """
    # Small images have fewer anchors than asked for: some that never count make the shapes static.
    logits = ops.pad(ops.stop_gradient(logits), [(0, 0), (0, before)], constant_values=-1e9)
    codes = ops.pad(ops.stop_gradient(codes), [(0, 0), (0, before), (0, 0)])
    anchors = ops.pad(anchors, [(0, before), (0, 0)])
    scores, places = ops.top_k(logits, before)
    codes = ops.take_along_axis(codes, places[..., None], axis=1)
    boxes = clip(decode(codes, ops.take(anchors, places, axis=0), RPN_DEVIATIONS), *shape)
    valid = (scores > -1e8) & (ops.sigmoid(scores) >= lowest) & (areas(boxes) >= 1.0)
    kept, there = first_kept(suppress(boxes, valid, nms_iou), after)
    boxes = ops.take_along_axis(boxes, kept[..., None], axis=1)
    return ops.stop_gradient(ops.where(there[..., None], boxes, 0.0)), there
