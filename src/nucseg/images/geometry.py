"""Resizing: images by interpolation, label images by nearest neighbour only; pixel centres correspond in both."""

import cv2
import numpy as np
from numpy.typing import NDArray


def scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Give the `(rows, columns)` of an image of `shape` once it is resized by `scale`; at least one pixel each."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resize_image(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize `(H, W)` or `(H, W, C)` float32 to `shape` rows and columns.

    Shrinking averages over the area of each new pixel (no aliasing), growing is bilinear.
    """
    if image.shape[:2] == shape:
        return image
    shrinks = shape[0] < image.shape[0]
    resized = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    # OpenCV drops a channel axis of length 1.
    return np.asarray(resized, np.float32).reshape(*shape, *image.shape[2:])


def resize_labels(labels: NDArray, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Resize a label image `(H, W)` to `shape` by nearest neighbour; no value appears that was not there."""
    if labels.shape != shape:
        # Centre of each new pixel in the old frame; OpenCV's own nearest neighbour is off by half a pixel.
        rows = ((np.arange(shape[0]) + 0.5) * labels.shape[0] / shape[0]).astype(np.intp)
        columns = ((np.arange(shape[1]) + 0.5) * labels.shape[1] / shape[1]).astype(np.intp)
        labels = labels[np.ix_(rows, columns)]
    return labels.astype(np.int32, copy=False)
