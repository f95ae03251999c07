"""RoIAlign over a feature pyramid."""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from nucseg.models.mask_rcnn.boxes import areas


def assign_levels(boxes: Any, canonical: float, n_levels: int) -> Any:
    """Choose the level of the pyramid that a box is read from (Lin et al. 2017, equation 1).

    `k = floor(1 + log2(sqrt(height * width) / canonical))`, within the pyramid: boxes below the canonical size are read
    from the finest level, those of up to twice that size from the next one, and so on.

    Args:
        boxes: `(..., 4)`.
        canonical: Canonical size in pixels.
        n_levels: Number of levels, the finest first.

    Returns:
        `(...)` int32 in [0, n_levels).
    """
    size = ops.sqrt(ops.maximum(areas(boxes), 1e-6))
    # A box of exactly the canonical size goes to the second level, whatever the logarithm's last bit.
    level = ops.floor(1.0 + (ops.log(size / canonical) / math.log(2)) + 1e-5)
    return ops.cast(ops.clip(level, 0, n_levels - 1), "int32")


def roi_align(
    features: Sequence[Any], strides: Sequence[int], boxes: Any, levels: Any, size: int, samples: int = 1
) -> Any:
    """Resample the features inside each box to a fixed size (He et al. 2017, section 3, RoIAlign).

    A bin's value is the mean over `samples` x `samples` regular points of the bilinearly interpolated features; the
    middle of a cell is where its feature lies ("aligned" in Detectron2). Points beyond the middle of the outermost
    cells take those cells' value. All levels are in one table from which the four neighbours of every point are read,
    so that memory is O(boxes * size² * samples² * channels) whatever the size of the image.

    Args:
        features: Features of each level, `(B, h, w, C)`, the finest first.
        strides: Side of a cell of each level, in pixels.
        boxes: `(B, R, 4)`, pixels.
        levels: `(B, R)` int, the level each box is read from.
        size: Bins per side.
        samples: Points per side of a bin.

    Returns:
        `(B, R, size, size, C)`.
    """
    shapes = [ops.shape(level) for level in features]
    channels = features[0].shape[-1]
    table = ops.concatenate([ops.reshape(level, (ops.shape(level)[0], -1, channels)) for level in features], 1)
    cells = ops.shape(table)[1]
    table = ops.reshape(table, (-1, channels))

    def of_level(values: Sequence[Any]) -> Any:
        return ops.take(ops.stack([ops.cast(value, "int32") for value in values]), levels)

    heights, widths = (of_level([shape[axis] for shape in shapes]) for axis in (1, 2))
    starts = [0]
    for shape in shapes[:-1]:
        starts.append(starts[-1] + shape[1] * shape[2])
    first = of_level(starts) + ops.cast(ops.arange(ops.shape(boxes)[0]) * cells, "int32")[:, None]

    boxes = boxes / ops.cast(of_level(strides), "float32")[..., None]
    points = (ops.arange(size * samples, dtype="float32") + 0.5) / (size * samples)
    y0, y1, wy = _neighbours(boxes[..., 0:1] + points * (boxes[..., 2:3] - boxes[..., 0:1]), heights)
    x0, x1, wx = _neighbours(boxes[..., 1:2] + points * (boxes[..., 3:4] - boxes[..., 1:2]), widths)
    top, bottom = (first[..., None] + y * widths[..., None] for y in (y0, y1))
    values = sum(
        ops.take(table, rows[..., :, None] + columns[..., None, :], axis=0)
        * (vertical[..., :, None] * horizontal[..., None, :])[..., None]
        for rows, vertical in ((top, 1 - wy), (bottom, wy))
        for columns, horizontal in ((x0, 1 - wx), (x1, wx))
    )
    if samples == 1:
        return values
    n_boxes = ops.shape(boxes)[1]
    return ops.mean(ops.reshape(values, (-1, n_boxes, size, samples, size, samples, channels)), axis=(3, 5))


def _neighbours(position: Any, length: Any) -> tuple[Any, Any, Any]:
    """Return the two cells around each position (in cells, 0 is the border) and the weight of the second one."""
    last = length[..., None] - 1
    position = ops.minimum(ops.maximum(position - 0.5, 0.0), ops.cast(last, "float32"))
    low = ops.floor(position)
    index = ops.cast(low, "int32")
    return index, ops.minimum(index + 1, last), position - low
