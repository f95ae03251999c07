"""Drawing polygons into a label image, row by row."""

import numpy as np
from numpy.typing import NDArray
from stardist.geometry import dist_to_coord

from nucseg.core.compiled import compiled


def draw_polygons(
    distances: NDArray[np.float32],
    points: NDArray[np.number],
    shape: tuple[int, int],
    scale: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.int32]:
    """Draw polygons as `stardist.geometry.polygons_to_label` does, but much faster.

    A pixel belongs to a polygon if its centre lies in it or on its border. The edges that cross a row determine which
    of its pixels are inside (even-odd rule); the package tests each pixel of a polygon's box against all edges.

    Args:
        distances: `(K, n_rays)`; multiplied by `scale`, pixels. The first polygon is drawn last, and so is on top.
        points: `(K, 2)`, (row, column): the origins of the rays.
        shape: (rows, columns) of the image.
        scale: Factors of the distances along rows and columns.

    Returns:
        `(H, W)` int32: 0 is background, polygon k has k + 1.
    """
    labels = np.zeros(shape, np.int32)
    _draw(labels, dist_to_coord(distances, points, scale).astype(np.float64))
    return labels


@compiled
def _draw(labels: NDArray[np.int32], corners: NDArray[np.float64]) -> None:
    height, width = labels.shape
    n_corners = corners.shape[2]
    ends = np.empty(3 * n_corners)
    for polygon in range(len(corners) - 1, -1, -1):
        ys, xs = corners[polygon, 0], corners[polygon, 1]
        for row in range(max(int(np.ceil(ys.min())), 0), min(int(np.floor(ys.max())), height - 1) + 1):
            count = 0
            for corner in range(n_corners):
                y, x = ys[corner], xs[corner]
                next_y, next_x = ys[(corner + 1) % n_corners], xs[(corner + 1) % n_corners]
                # Each edge crosses the rows from its upper end (inclusive) to its lower one (exclusive).
                if min(y, next_y) <= row < max(y, next_y):
                    ends[count] = x + (row - y) / (next_y - y) * (next_x - x)
                    count += 1
                # A corner at a pixel's centre belongs to the polygon: a range from it to itself.
                if y == row and x == np.floor(x):
                    ends[count] = ends[count + 1] = x
                    count += 2
            for place in range(1, count):
                end, before = ends[place], place - 1
                while before >= 0 and ends[before] > end:
                    ends[before + 1] = ends[before]
                    before -= 1
                ends[before + 1] = end
            for place in range(0, count, 2):
                left, right = int(np.ceil(ends[place])), int(np.floor(ends[place + 1]))
                for column in range(max(left, 0), min(right + 1, width)):
                    labels[row, column] = polygon + 1
