"""Bounding boxes of nuclei."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def boxes(labels: NDArray) -> NDArray[np.float32]:
    """Compute the tightest box of each nucleus.

    Args:
        labels: Label image `(H, W)` of an integer dtype.

    Returns:
        `(N, 4)` float32, `(y0, x0, y1, x1)` in pixels, half-open; row k - 1 belongs to label k, for 1..N (N the
        largest). The box of a label without pixels is all zeros.
    """
    windows = [window or (slice(0, 0), slice(0, 0)) for window in ndimage.find_objects(labels)]
    corners = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in windows]
    return np.array(corners, np.float32).reshape(-1, 4)
