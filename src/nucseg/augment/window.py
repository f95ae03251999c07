"""The window that is cut out of an image before it is augmented."""

import cv2
import numpy as np
from numpy.typing import NDArray

from nucseg.images.intensity import to_unit_float


def mirrored_window(image: NDArray, labels: NDArray, center: tuple[int, int], size: int) -> tuple[NDArray, NDArray]:
    """Cut a square window out of an image and its label image, mirrored beyond their borders.

    Args:
        image: `(H, W)` or `(H, W, C)`.
        labels: `(H, W)`, uint8, uint16 or int32.
        center: Row and column, inside the image.
        size: Rows and columns of the window; may exceed the image.

    Returns:
        `(size, size)` or `(size, size, C)`, and `(size, size)`, of the same dtypes. A mirrored nucleus has the label of
        the original; see `nucseg.masks.labels.visible_nuclei`.
    """
    height, width = labels.shape
    top, left = center[0] - size // 2, center[1] - size // 2
    inside = np.s_[max(top, 0) : top + size, max(left, 0) : left + size]
    missing = (max(-top, 0), max(top + size - height, 0), max(-left, 0), max(left + size - width, 0))
    image, labels = image[inside], labels[inside]
    if any(missing):
        image = cv2.copyMakeBorder(image, *missing, cv2.BORDER_REFLECT_101)
        labels = cv2.copyMakeBorder(labels, *missing, cv2.BORDER_REFLECT_101)
    return image, labels


def value_range(image: NDArray) -> tuple[float, float]:
    """Compute the values that count as black and white in an image: its 0.1st and 99.9th percentiles, in unit range.

    Args:
        image: `(H, W)` or `(H, W, C)`, whole; all channels count together, so that colours stay as they are.
    """
    low, high = np.percentile(to_unit_float(image), (0.1, 99.9))
    return float(low), float(high)
