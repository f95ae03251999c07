"""Boxes `(y0, x0, y1, x1)`, pixels, half-open: overlap, and their coding relative to other boxes."""

import math
from typing import Any

from keras import ops

LARGEST_LOG_RATIO = math.log(1000 / 16)
"""Bound of the coded height and width, as in Detectron: a wild prediction cannot overflow the exponential."""


def areas(boxes: Any) -> Any:
    """Compute the area of each box: `(..., 4)` to `(...)`; 0 for an inverted box."""
    return ops.maximum(boxes[..., 2] - boxes[..., 0], 0.0) * ops.maximum(boxes[..., 3] - boxes[..., 1], 0.0)


def pairwise_iou(first: Any, second: Any) -> Any:
    """Compute the intersection over union of each box of one list with each of another.

    Args:
        first: `(..., N, 4)` float.
        second: `(..., M, 4)` float, the same leading axes.

    Returns:
        `(..., N, M)` float in [0, 1]; 0 for boxes without area, such as padding.
    """
    a, b = first[..., :, None, :], second[..., None, :, :]
    height = ops.minimum(a[..., 2], b[..., 2]) - ops.maximum(a[..., 0], b[..., 0])
    width = ops.minimum(a[..., 3], b[..., 3]) - ops.maximum(a[..., 1], b[..., 1])
    intersection = ops.maximum(height, 0.0) * ops.maximum(width, 0.0)
    union = areas(first)[..., :, None] + areas(second)[..., None, :] - intersection
    return intersection / ops.maximum(union, 1e-6)


def encode(boxes: Any, references: Any, std: tuple[float, float]) -> Any:
    """Encode boxes relative to reference boxes (Girshick et al. 2014, appendix C; Ren et al. 2015, equation 2).

    Args:
        boxes: `(..., 4)` float.
        references: `(..., 4)` float, anchors or proposals, with an area.
        std: Divisors of the codes of (position, size), so that these are of the order of 1.

    Returns:
        `(..., 4)`: offset of the centre in units of the reference's height and width, log ratio of height and width.
    """
    center, size = _center_and_size(boxes)
    reference_center, reference_size = _center_and_size(references)
    reference_size = ops.maximum(reference_size, 1e-3)
    return ops.concatenate(
        [
            (center - reference_center) / reference_size / std[0],
            ops.log(ops.maximum(size, 1e-3) / reference_size) / std[1],
        ],
        axis=-1,
    )


def decode(codes: Any, references: Any, std: tuple[float, float]) -> Any:
    """Decode what `encode` returns; the ratio of sizes is bounded by `LARGEST_LOG_RATIO`.

    Returns:
        `(..., 4)` boxes, not clipped.
    """
    center, size = _center_and_size(references)
    center = center + codes[..., :2] * std[0] * size
    size = size * ops.exp(ops.minimum(codes[..., 2:] * std[1], LARGEST_LOG_RATIO))
    return ops.concatenate([center - size / 2, center + size / 2], axis=-1)


def clip(boxes: Any, height: Any, width: Any) -> Any:
    """Move corners of boxes `(..., 4)` that lie outside an image onto its border."""
    limits = ops.cast(ops.stack([height, width, height, width]), boxes.dtype)
    return ops.minimum(ops.maximum(boxes, 0.0), limits)


def enlarge(boxes: Any, margin: float) -> Any:
    """Move each side of the boxes `(..., 4)` outwards by `margin` times their height or width."""
    size = boxes[..., 2:] - boxes[..., :2]
    return ops.concatenate([boxes[..., :2] - margin * size, boxes[..., 2:] + margin * size], axis=-1)


def _center_and_size(boxes: Any) -> tuple[Any, Any]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
