"""Targets of the mask head: the true nucleus in the frame of a proposal."""

from typing import Any

from keras import ops


def crop_masks(labels: Any, boxes: Any, numbers: Any, size: int) -> Any:
    """Resample one nucleus for each box to a fixed size (He et al. 2017, section 3.1), bilinearly.

    It reads the label image, so that no stack of full-size masks is needed.

    Args:
        labels: `(B, h, w)` int.
        boxes: `(B, R, 4)`; beyond the image is background.
        numbers: `(B, R)` int: the label of each box's nucleus.
        size: Cells a side.

    Returns:
        `(B, R, size, size)` float32 in [0, 1], without gradient.
    """
    height, width = int(labels.shape[1]), int(labels.shape[2])
    # A border of background represents everything beyond the image.
    padded = ops.pad(labels, [(0, 0), (1, 1), (1, 1)])
    table = ops.reshape(padded, (-1,))
    first = ops.cast(ops.arange(ops.shape(labels)[0]) * ((height + 2) * (width + 2)), "int32")
    points = (ops.arange(size, dtype="float32") + 0.5) / size
    y = boxes[..., 0:1] + points * (boxes[..., 2:3] - boxes[..., 0:1]) + 0.5
    x = boxes[..., 1:2] + points * (boxes[..., 3:4] - boxes[..., 1:2]) + 0.5
    y, x = ops.clip(y, 0.0, height + 1.0), ops.clip(x, 0.0, width + 1.0)
    low_y, low_x = ops.clip(ops.floor(y), 0, height), ops.clip(ops.floor(x), 0, width)
    rows = first[:, None, None] + ops.cast(low_y, "int32") * (width + 2)
    columns = ops.cast(low_x, "int32")

    def belongs(down: int, right: int) -> Any:
        index = (rows + down * (width + 2))[..., :, None] + (columns + right)[..., None, :]
        return ops.cast(ops.take(table, index) == numbers[..., None, None], "float32")

    wy, wx = (y - low_y)[..., :, None], (x - low_x)[..., None, :]
    upper = belongs(0, 0) * (1 - wx) + belongs(0, 1) * wx
    lower = belongs(1, 0) * (1 - wx) + belongs(1, 1) * wx
    return ops.stop_gradient(upper * (1 - wy) + lower * wy)
