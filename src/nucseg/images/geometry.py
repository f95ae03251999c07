"""Resizing: images by interpolation, label images by nearest neighbour or by vote; pixel centres correspond in all."""

from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.sparse import csr_array

from nucseg.core.window import Window

_HALF = 0.5 - 1e-5  # rounding aside


def scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Compute the `(rows, columns)` of an image of `shape` once it is resized by `scale`; at least one pixel each."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resize_image(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize `(H, W)` or `(H, W, C)` float32 to `shape` rows and columns.

    Shrinking averages over the area of each new pixel (no aliasing), growing is bilinear.
    """
    if image.shape[:2] == shape:
        return image
    return resize_part(image, Window.whole(image.shape), image.shape[:2], Window.whole(shape), shape)


def needed_for(window: Window, shape: tuple[int, int], new_shape: tuple[int, int]) -> Window:
    """Compute the window of an image of `shape` that a window of it, resized to `new_shape`, is computed from."""
    (top, bottom), (left, right) = (
        (max(floor(start * old / new) - 1, 0), min(ceil(stop * old / new) + 1, old))
        for start, stop, old, new in zip(window[:2], window[2:], shape, new_shape, strict=True)
    )
    return Window(top, left, bottom, right)


def resize_part(
    part: NDArray[np.float32], source: Window, shape: tuple[int, ...], window: Window, new_shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Compute a window of the result of `resize_image` from a part of the image.

    Args:
        part: The pixels of `source`, `(h, w)` or `(h, w, C)` float32.
        source: At least `needed_for(window, shape, new_shape)`.
        shape: (rows, columns) of the whole image.
        window: The wanted window of the resized image.
        new_shape: (rows, columns) of the whole resized image.

    Returns:
        The pixels of `window`, equal to those of the whole image resized at once.
    """
    rows = _weights(shape[0], new_shape[0], (window.top, window.bottom), (source.top, source.bottom))
    columns = _weights(shape[1], new_shape[1], (window.left, window.right), (source.left, source.right))
    channels = part.shape[2:]
    half = (rows @ part.reshape(part.shape[0], -1)).reshape(-1, part.shape[1], *channels)
    turned = np.ascontiguousarray(half.swapaxes(0, 1)).reshape(part.shape[1], -1)
    resized = (columns @ turned).reshape(-1, half.shape[0], *channels).swapaxes(0, 1)
    return np.ascontiguousarray(resized, np.float32)


def _weights(old: int, new: int, wanted: tuple[int, int], given: tuple[int, int]) -> csr_array:
    """Compute the weight of each given pixel in each wanted one, along an axis resized from `old` to `new` pixels."""
    ratio = old / new
    place = np.arange(*wanted)
    if new < old:
        taps = ceil(ratio) + 1
        start, stop = place * ratio, (place + 1) * ratio
        first = np.floor(start).astype(np.intp)
        pixels = first[:, None] + np.arange(taps)
        weights = (np.minimum(stop[:, None], pixels + 1) - np.maximum(start[:, None], pixels)).clip(0) / ratio
    else:
        centre = (place + 0.5) * ratio - 0.5
        first = np.floor(centre).astype(np.intp)
        pixels = first[:, None] + np.arange(2)
        weights = np.stack([1 - (centre - first), centre - first], axis=1)
    columns = pixels.clip(0, old - 1) - given[0]
    weights = np.where((columns >= 0) & (columns < given[1] - given[0]), weights, 0)
    columns = columns.clip(0, given[1] - given[0] - 1)
    pointers = np.arange(len(place) + 1) * pixels.shape[1]
    matrix = (weights.astype(np.float32).ravel(), columns.ravel(), pointers)
    return csr_array(matrix, shape=(len(place), given[1] - given[0]))


def resize_labels(labels: NDArray, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Resize a label image `(H, W)` to `shape` by nearest neighbour; no new value appears."""
    if labels.shape != shape:
        # Centre of each new pixel in the old frame; OpenCV's own nearest neighbour is off by half a pixel.
        rows = ((np.arange(shape[0]) + 0.5) * labels.shape[0] / shape[0]).astype(np.intp)
        columns = ((np.arange(shape[1]) + 0.5) * labels.shape[1] / shape[1]).astype(np.intp)
        labels = labels[np.ix_(rows, columns)]
    return labels.astype(np.int32, copy=False)


def vote_labels_part(
    part: NDArray[np.int32], source: Window, shape: tuple[int, int], window: Window, new_shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Compute a window of a label image that is resized by vote, of which only a part is at hand.

    Labels are asked in ascending order: a new pixel gets the first one at which they cover half of it together
    (interpolated, where the image grows). So outlines move by no fraction of a pixel, whatever the factor, and no label
    depends on higher ones, which are nuclei of lower scores.

    Args:
        part: The labels of `source`, `(h, w)`; 0 is background.
        source: At least `needed_for(window, shape, new_shape)`; pixels beyond it count as background.
        shape: (rows, columns) of the whole label image.
        window: The wanted window of the resized image.
        new_shape: (rows, columns) of the whole resized image.

    Returns:
        The labels of `window`, int32; a label may be left without any pixel.
    """
    covered, voted = np.zeros(window.shape, np.float32), np.zeros(window.shape, np.int32)
    for label, box in enumerate(find_objects(part), start=1):
        if box is None:
            continue
        rows, columns = box
        place = Window(
            source.top + rows.start, source.left + columns.start, source.top + rows.stop, source.left + columns.stop
        )
        # Where the image grows, a pixel is interpolated from the centres of its neighbours.
        reached = needed_for(place.grown(1, shape), new_shape, shape).common(window)
        if not reached:
            continue
        here = reached.within(window).slices
        covered[here] += resize_part((part[box] == label).astype(np.float32), place, shape, reached, new_shape)
        voted[here][(covered[here] >= _HALF) & (voted[here] == 0)] = label
    return voted
