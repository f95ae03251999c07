"""Drawing masks, which are in the frames of their boxes, into a label image."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.masks.labels import holes_of, largest_piece

SMALLEST_VISIBLE = 0.5
"""A nucleus of which higher scores leave a smaller part is taken for one of them once more."""


def paste_mask(
    mask: NDArray[np.float32], box: NDArray[np.float32], shape: tuple[int, int]
) -> tuple[NDArray[np.float32], tuple[slice, slice]]:
    """Resample a mask bilinearly to the pixels of the image that lie within its box (He et al. 2017, section 3.1).

    A pixel gets the mask's value at its centre. A cell's value is at the centre of the cell; beyond the centres of the
    outermost cells their values are extended.

    Args:
        mask: `(size, size)` float.
        box: `(4,)` pixels; may reach beyond the image.
        shape: Rows and columns of the image.

    Returns:
        Values `(h, w)`, and the window of the image they belong to, perhaps an empty one.
    """
    weights, window = [], []
    y0, x0, y1, x1 = box.tolist()
    for low, high, length, size in ((y0, y1, shape[0], mask.shape[0]), (x0, x1, shape[1], mask.shape[1])):
        first, last = (min(max(ceil(edge - 0.5), 0), length) for edge in (low, high))
        window.append(slice(first, max(last, first)))
        cells = size / max(high - low, 1e-6)
        position = np.arange(first, max(last, first), dtype=np.float32) * cells + ((0.5 - low) * cells - 0.5)
        position = np.minimum(np.maximum(position, 0), size - 1)
        # Row p of the matrix takes cell c with weight 1 - |position - c|.
        weights.append(np.maximum(1 - np.abs(position[:, None] - np.arange(size, dtype=np.float32)), 0))
    return weights[0] @ mask @ weights[1].T, (window[0], window[1])


def draw_instances(
    masks: NDArray[np.float32],
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    threshold: float,
    shape: tuple[int, int],
) -> Instances:
    """Draw nuclei into a label image; a pixel claimed by two belongs to the one with the higher score.

    What is drawn of a nucleus depends on those with higher scores only, so leaving out the weak ones changes nothing
    about the strong ones.

    Args:
        masks: `(K, size, size)` float32, by decreasing score.
        boxes: `(K, 4)` that the masks fill.
        scores: `(K,)` float32, decreasing.
        threshold: Mask value from which a pixel belongs to the nucleus.
        shape: Rows and columns of the image.

    Returns:
        The nuclei, each reduced to its largest remaining piece, without holes. A nucleus that keeps less than half of
        its mask is dropped.
    """
    labels = np.zeros(shape, np.int32)
    kept = []
    for number, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
        values, window = paste_mask(mask, box, shape)
        claimed = values >= threshold
        free = labels[window] == 0
        piece = largest_piece(claimed & free)
        area = np.count_nonzero(piece)
        if area and area >= SMALLEST_VISIBLE * np.count_nonzero(claimed):
            kept.append(number)
            labels[window][piece | holes_of(piece) & free] = len(kept)
    return Instances(labels, scores[kept])
