"""Outlines of nuclei as polygons."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours


def outlines(labels: NDArray) -> list[NDArray[np.float64]]:
    """Trace the outer outline of each nucleus along the edges of its pixels.

    Args:
        labels: Label image `(H, W)` of an integer dtype.

    Returns:
        For each label 1..N (N the largest) a closed polygon `(K, 2)` float64, its first corner repeated at the end.
        Coordinates are `(row, column)` of pixel corners: pixel `(r, c)` covers `[r, r + 1] x [c, c + 1]`, so a centre
        lies at `(r + 0.5, c + 0.5)` and the polygon's area is the nucleus's area. If a nucleus has one part and no
        hole, its pixels are exactly those whose centre is in the polygon. If it has several parts (4-connected), the
        one with the largest outline is traced; holes are left out. A label without pixels has no corner, `(0, 2)`.
    """
    return [
        np.zeros((0, 2)) if window is None else _outline(labels[window] == number) + [edge.start for edge in window]
        for number, window in enumerate(ndimage.find_objects(labels), start=1)
    ]


def areas(mask: NDArray[np.bool_]) -> list[list[NDArray[np.float64]]]:
    """Trace every area of a mask, with its holes, along the edges of its pixels.

    Args:
        mask: `(H, W)`.

    Returns:
        For each area (of pixels that share an edge) its outer ring and the rings of its holes, as in `outlines`. The
        pixels of the area are exactly those whose centre is in the outer ring and in no hole.
    """
    pieces, _ = ndimage.label(mask)
    found = []
    for number, window in enumerate(ndimage.find_objects(pieces), start=1):
        rings = sorted(_rings(pieces[window] == number), key=_area, reverse=True)
        found.append([ring + [edge.start for edge in window] for ring in rings])
    return found


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    return max(_rings(mask), key=_area)


def _rings(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Trace all edges of a mask: those of its areas, and those of their holes."""
    # Marching squares crosses the edge of each boundary pixel at its midpoint, and passes from one midpoint to the
    # next through a cell whose centre is the pixel corner between them.
    contours = find_contours(np.pad(mask, 1).astype(np.float64), 0.5)
    return [_corners(np.floor((contour[1:] + contour[:-1]) / 2)) for contour in contours]


def _corners(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.diff(ring, axis=0, append=ring[:1])
    turns = np.any(steps != np.roll(steps, 1, axis=0), axis=1)
    corners = ring[turns]
    return np.concatenate([corners, corners[:1]])


def _area(ring: NDArray[np.float64]) -> float:
    rows, columns = ring.T
    return abs(float(np.dot(rows, np.roll(columns, 1)) - np.dot(columns, np.roll(rows, 1)))) / 2
