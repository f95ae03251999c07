"""Drawing polygons into a label image, row by row."""

import numba
import numpy as np
from numpy.typing import NDArray
from stardist.geometry import dist_to_coord


def draw_polygons(
    distances: NDArray[np.float32], points: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Draw polygons as `stardist.geometry.polygons_to_label` does, faster and without Python's lock.

    A pixel belongs to a polygon where its middle lies in it or on its border. The edges that cross a row say which of
    its pixels are inside (even-odd rule); the package tests each pixel of a polygon's box against all edges.

    Args:
        distances: `(K, n_rays)`, pixels; the polygon drawn last, and so on top, is the first one.
        points: `(K, 2)`, (row, column): the origins of the rays.
        shape: (rows, columns) of the image.

    Returns:
        `(H, W)` int32: 0 is background, polygon k has k + 1.
    """
    labels = np.zeros(shape, np.int32)
    _fill(labels, dist_to_coord(distances, points).astype(np.float64))
    return labels


@numba.njit(nogil=True)
def _fill(labels: NDArray[np.int32], corners: NDArray[np.float64]) -> None:
    height, width = labels.shape
    n_corners = corners.shape[2]
    crossings = np.empty(n_corners)
    for polygon in range(len(corners) - 1, -1, -1):
        rows, columns = corners[polygon, 0], corners[polygon, 1]
        for row in range(max(0, int(np.ceil(rows.min()))), min(height - 1, int(np.floor(rows.max()))) + 1):
            n_crossings = 0
            for one in range(n_corners):
                other = one + 1 if one + 1 < n_corners else 0
                low, high = rows[one], rows[other]
                if (low <= row) != (high <= row):
                    part = (row - low) / (high - low)
                    crossings[n_crossings] = columns[one] + part * (columns[other] - columns[one])
                    n_crossings += 1
                elif low == row and (0 <= columns[one] < width) and columns[one] == np.floor(columns[one]):
                    labels[row, int(columns[one])] = polygon + 1  # a corner that is a pixel's middle
            ordered = np.sort(crossings[:n_crossings])
            for place in range(0, n_crossings - 1, 2):
                left = max(0, int(np.ceil(ordered[place])))
                right = min(width - 1, int(np.floor(ordered[place + 1])))
                if left <= right:  # not wholly beside the image
                    labels[row, left : right + 1] = polygon + 1
