"""Points that lie close together."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree


def first_of_close(points: NDArray, distance: float) -> NDArray[np.bool_]:
    """Return which points remain when each one that lies close to an earlier remaining one is dropped.

    Args:
        points: `(N, 2)`, the surest first.
        distance: Distance up to which two are the same, in the unit of the points.

    Returns:
        `(N,)`.
    """
    kept = np.ones(len(points), bool)
    for place, close in enumerate(KDTree(points).query_ball_point(points, distance) if len(points) else ()):
        if kept[place]:
            kept[[other for other in close if other > place]] = False
    return kept
