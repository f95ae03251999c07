"""The circle of a given size that contains the most points, found exactly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree


@dataclass(frozen=True)
class Field:
    """A round field.

    Attributes:
        centre: (row, column), in the unit of the points.
        radius: In the same unit.
        count: Number of points in it.
    """

    centre: tuple[float, float]
    radius: float
    count: int


def densest_field(points: NDArray[np.float64], area: float) -> Field | None:
    """Find the circle of a given area that contains the most points; None if there is no point.

    One of the best circles has a point on its border. So it is enough to turn a circle around each point and to count
    the others as they enter and leave it, which takes n log n steps per point with n neighbours.

    Args:
        points: `(N, 2)`.
        area: Area of the circle, in the square of the points' unit.
    """
    if not len(points):
        return None
    radius = float(np.sqrt(area / np.pi))
    neighbours = KDTree(points).query_ball_point(points, 2 * radius)
    best = Field((float(points[0, 0]), float(points[0, 1])), radius, 1)
    for point, near in zip(points, neighbours, strict=True):
        if len(near) <= best.count:
            continue
        count, angle = _most_covered(points[near] - point, radius)
        if count > best.count:
            row, column = point + radius * np.array([np.sin(angle), np.cos(angle)])
            best = Field((float(row), float(column)), radius, count)
    return best


def _most_covered(offsets: NDArray[np.float64], radius: float) -> tuple[int, float]:
    """Find the angle at which a circle through the origin contains the most points.

    Args:
        offsets: `(n, 2)`: the points within two radii of the origin, which is one of them.
        radius: The circle's.

    Returns:
        Their number, and the direction in which the circle's centre lies, in the middle of the arc that it may take.
    """
    distances = np.hypot(*offsets.T)
    always = distances < 1e-9 * radius
    towards = np.arctan2(offsets[~always, 0], offsets[~always, 1])
    half = np.arccos(np.clip(distances[~always] / (2 * radius), 0, 1))
    starts, ends = (towards - half) % (2 * np.pi), (towards + half) % (2 * np.pi)
    # Arcs are closed: at one angle all that begin there come before those that end.
    angles = np.concatenate([starts, ends])
    changes = np.repeat([1, -1], len(starts))
    order = np.lexsort((-changes, angles))
    around = np.count_nonzero(starts > ends)  # arcs that hold the angle 0
    counts = around + np.cumsum(changes[order])
    if not len(order):
        return int(np.count_nonzero(always)), 0.0
    place = int(np.argmax(counts))
    following = angles[order[(place + 1) % len(order)]] + (2 * np.pi if place + 1 == len(order) else 0)
    return int(np.count_nonzero(always) + counts[place]), float(angles[order[place]] + following) / 2
