"""Boundary refinement: borders of nuclei follow the foreground map, see `nucseg.models.stardist.foreground`.

All compiled loops are in this file: Numba compiles a file anew when that file changes, not one that it calls.
"""

import numpy as np
from numpy.typing import NDArray

from nucseg.core.compiled import compiled

_BEYOND = -1  # the label of what lies outside the image
_FAR = 2**15 - 1  # above the squared distance of any pixel within the radius


def refine(labels: NDArray[np.int32], foreground: NDArray[np.bool_], radius: int) -> NDArray[np.int32]:
    """Correct the pixels near the nuclei's borders by the foreground map.

    A pixel outside, within `radius` of a nucleus, becomes part of the nearest one (of the lower label if two are
    equally near) if the map says foreground. A pixel inside, within `radius` of the border, is removed if the map says
    background. Pixels further inside stay, resulting holes are filled, and no pixel moves from one nucleus to another.

    Args:
        labels: `(H, W)` int32; 0 is background.
        foreground: `(H, W)` bool.
        radius: Pixels, at least 1.

    Returns:
        The label image `(H, W)` int32; a small nucleus may be left without any pixel.
    """
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1].reshape(2, -1)
    squared = rows**2 + columns**2
    near = squared <= radius**2
    framed = np.pad(labels, radius, constant_values=_BEYOND)
    steps = rows[near] * framed.shape[1] + columns[near]
    nearest, distances = framed.copy(), np.full(framed.shape, _FAR, np.int16)
    _measure(framed.ravel(), framed.shape[1], steps, squared[near], nearest.ravel(), distances.ravel())
    inside = (slice(radius, -radius), slice(radius, -radius))
    return _chosen(labels, foreground, nearest[inside], distances[inside])


@compiled
def make_whole(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Keep one piece of each nucleus, without holes, as `nucseg.masks.labels.make_whole` does, but faster."""
    boxes = _boxes(labels)
    kept = _largest_pieces(labels, boxes)
    return _without_holes(kept, boxes, kept, True)


@compiled
def number_visible(labels: NDArray[np.int32], visible: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Renumber the nuclei that have pixels without gaps, in the same order.

    Args:
        labels: `(H, W)` int32; 0 is background.
        visible: `(N,)` for labels of 1 to N, all false; those that have a pixel are set to true.
    """
    for label in labels.flat:
        if label > 0:
            visible[label - 1] = True
    numbers = np.zeros(len(visible) + 1, np.int32)
    count = 0
    for place in range(len(visible)):
        if visible[place]:
            count += 1
            numbers[place + 1] = count
    numbered = np.empty_like(labels)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            numbered[row, column] = numbers[labels[row, column]]
    return numbered


@compiled
def _measure(
    labels: NDArray[np.int32],
    stride: int,
    steps: NDArray[np.int64],
    squared: NDArray[np.int64],
    nearest: NDArray[np.int32],
    distances: NDArray[np.int16],
) -> None:
    """Find for each pixel outside the nearest nucleus and its squared distance; set 0 inside, near a border.

    Args:
        labels: The pixels of an image with a frame, in sequence.
        stride: Its width.
        steps: From a pixel to each of those within the radius.
        squared: Their squared distances.
        nearest: The labels; overwritten outside.
        distances: All `_FAR`; overwritten.
    """
    for place in range(len(labels)):
        own = labels[place]
        # Of what differs from a pixel, the nearest has a neighbour that differs from it.
        if own == _BEYOND or (
            labels[place - 1] == own
            and labels[place + 1] == own
            and labels[place - stride] == own
            and labels[place + stride] == own
        ):
            continue
        for number in range(len(steps)):
            other = place + steps[number]
            if labels[other] > 0 and labels[other] != own:
                distances[other] = 0
            elif labels[other] == 0 and own > 0:
                distance = squared[number]
                if distance < distances[other] or (distance == distances[other] and own < nearest[other]):
                    nearest[other], distances[other] = own, distance


@compiled
def _chosen(
    labels: NDArray[np.int32],
    foreground: NDArray[np.bool_],
    nearest: NDArray[np.int32],
    distances: NDArray[np.int16],
) -> NDArray[np.int32]:
    """Return the nearest nucleus of each pixel that the map, or its distance from a border, makes one of a nucleus."""
    kept = np.zeros_like(labels)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            is_inner = labels[row, column] > 0 and distances[row, column] == _FAR
            if is_inner or foreground[row, column]:
                kept[row, column] = nearest[row, column]
    return _without_holes(kept, _boxes(kept), nearest, False)


@compiled
def _boxes(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the box of each label, `(N + 1, 4)`: first row and column, last row and column; the last is -1 without."""
    boxes = np.empty((int(labels.max()) + 1, 4), np.int64)
    boxes[:, :2], boxes[:, 2:] = max(labels.shape), -1
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            label = labels[row, column]
            if label > 0:
                box = boxes[label]
                box[0], box[1] = min(box[0], row), min(box[1], column)
                box[2], box[3] = max(box[2], row), max(box[3], column)
    return boxes


@compiled
def _scratch(boxes: NDArray[np.int64]) -> int:
    """Return the number of pixels of the largest box with a frame around it."""
    size = 0
    for label in range(1, len(boxes)):
        top, left, bottom, right = boxes[label, 0], boxes[label, 1], boxes[label, 2], boxes[label, 3]
        if bottom >= 0:
            size = max(size, (bottom - top + 3) * (right - left + 3))
    return size


@compiled
def _spread(marks: NDArray[np.int32], stack: NDArray[np.int32], count: int, stride: int, mark: int) -> int:
    """Mark all that is 4-connected to the places on the stack and not marked yet; return the number of places."""
    size = 0
    while count:
        count -= 1
        size += 1
        place = stack[count]
        for step in (-stride, -1, 1, stride):
            if marks[place + step] == 0:
                marks[place + step] = mark
                stack[count] = place + step
                count += 1
    return size


@compiled
def _largest_pieces(labels: NDArray[np.int32], boxes: NDArray[np.int64]) -> NDArray[np.int32]:
    """Remove all but the largest 4-connected piece of each nucleus; of equal ones, the first in row-major order."""
    kept = labels.copy()
    size = _scratch(boxes)
    marks, stack = np.empty(size, np.int32), np.empty(size, np.int32)
    for label in range(1, len(boxes)):
        top, left, bottom, right = boxes[label, 0], boxes[label, 1], boxes[label, 2], boxes[label, 3]
        if bottom < 0:
            continue
        stride = right - left + 3
        marks[: (bottom - top + 3) * stride] = -1
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                if labels[row, column] == label:
                    marks[(row - top + 1) * stride + column - left + 1] = 0
        pieces = largest = most = 0
        for place in range((bottom - top + 3) * stride):
            if marks[place] == 0:
                pieces += 1
                marks[place], stack[0] = pieces, place
                pixels = _spread(marks, stack, 1, stride, pieces)
                if pixels > most:
                    largest, most = pieces, pixels
        if pieces > 1:
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    mark = marks[(row - top + 1) * stride + column - left + 1]
                    if mark > 0 and mark != largest:
                        kept[row, column] = 0
    return kept


@compiled
def _without_holes(
    labels: NDArray[np.int32], boxes: NDArray[np.int64], nearest: NDArray[np.int32], anywhere: bool
) -> NDArray[np.int32]:
    """Fill the background that one nucleus encloses, anywhere or where it is the nearest; boxes may be too large."""
    filled = labels.copy()
    size = _scratch(boxes)
    marks, stack = np.empty(size, np.int32), np.empty(size, np.int32)
    for label in range(1, len(boxes)):
        top, left, bottom, right = boxes[label, 0], boxes[label, 1], boxes[label, 2], boxes[label, 3]
        if bottom < 0:
            continue
        stride = right - left + 3
        marks[: (bottom - top + 3) * stride] = -1
        count = 0
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                if labels[row, column] != label:
                    place = (row - top + 1) * stride + column - left + 1
                    marks[place] = 0
                    if row in (top, bottom) or column in (left, right):
                        marks[place], stack[count] = 1, place
                        count += 1
        _spread(marks, stack, count, stride, 1)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                hole = marks[(row - top + 1) * stride + column - left + 1] == 0
                if hole and labels[row, column] == 0:
                    filled[row, column] = label if anywhere or nearest[row, column] == label else 0
    return filled
