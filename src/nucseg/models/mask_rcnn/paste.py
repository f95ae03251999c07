"""Drawing masks, which are in the frames of their boxes, into a label image."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from nucseg.core.compiled import compiled
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
    y0, x0, y1, x1 = box.tolist()
    top, bottom = _pixels(y0, y1, shape[0])
    left, right = _pixels(x0, x1, shape[1])
    rows, columns = _cells(top, bottom, y0, y1, mask.shape[0]), _cells(left, right, x0, x1, mask.shape[1])
    return _interpolated(mask, rows, columns), (slice(top, bottom), slice(left, right))


def _pixels(low: float, high: float, length: int) -> tuple[int, int]:
    """Return the range of the pixels of an axis whose centres lie between two edges."""
    first, last = (min(max(ceil(edge - 0.5), 0), length) for edge in (low, high))
    return first, max(last, first)


@compiled
def _cells(first: int, last: int, low: float, high: float, size: int) -> NDArray[np.float64]:
    """Return where the centres of a range of pixels lie, in cells of a mask of `size` cells between two edges."""
    positions = (np.arange(first, last) + 0.5 - low) * (size / max(high - low, 1e-6)) - 0.5
    return np.minimum(np.maximum(positions, 0), size - 1)


@compiled
def _interpolated(
    mask: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate a mask bilinearly at the places where rows and columns cross."""
    values = np.empty((len(rows), len(columns)), np.float32)
    last = mask.shape[0] - 1, mask.shape[1] - 1
    for place, row in enumerate(rows):
        top = int(row)
        bottom, down = min(top + 1, last[0]), row - top
        for other, column in enumerate(columns):
            left = int(column)
            right, across = min(left + 1, last[1]), column - left
            above = mask[top, left] * (1 - across) + mask[top, right] * across
            below = mask[bottom, left] * (1 - across) + mask[bottom, right] * across
            values[place, other] = above * (1 - down) + below * down
    return values


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
