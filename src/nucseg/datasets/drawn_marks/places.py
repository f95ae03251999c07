"""Where the marks of an image are: a grid, as the stage moved it, with everything that goes wrong."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray


def place_marks(rng: Generator, height: int, width: int, pitch: float) -> NDArray[np.float64]:
    """Place marks on one grid, sometimes on a second one that overlaps a part of it.

    Rows may be unevenly spaced, even touching, and shifted against each other; a grid is turned and sheared, covers the
    image or a part of it, and misses some marks.

    Args:
        rng: The source of all choices.
        height: Rows of pixels.
        width: Columns of pixels.
        pitch: Distance of two marks in a row, in pixels.

    Returns:
        (N, 2) positions (y, x) in pixels; N may be 0.
    """
    grids = [_grid(rng, height, width, pitch)]
    if rng.random() < 0.12:
        second = _grid(rng, height, width, pitch)
        column = rng.uniform(0.1, 0.9) * width
        grids.append(second[np.abs(second[:, 1] - column) < rng.uniform(0.5, 2) * pitch])
    return np.concatenate(grids)


def _grid(rng: Generator, height: int, width: int, pitch: float) -> NDArray[np.float64]:
    reach = np.hypot(height, width) / 2 + pitch
    steps = pitch * rng.uniform(0.8, 1.35) * np.ones(int(2 * reach / (0.4 * pitch)) + 2)
    uneven = rng.random() < 0.5
    if uneven:
        steps *= rng.uniform(0.55, 1.5, len(steps))
    rows = np.cumsum(steps) - reach
    rows = rows[rows < reach]
    columns = np.arange(-reach, reach, pitch) + rng.uniform(0, pitch)
    shifts = rng.normal(0, 0.25 * pitch, len(rows)) if uneven else rng.normal(0, 0.02 * pitch, len(rows))
    shifts = np.cumsum(shifts) * 0.6 if rng.random() < 0.5 else shifts
    y, x = np.broadcast_arrays(rows[:, None], columns[None] + shifts[:, None])
    y = y + rng.normal(0, 0.1) * x  # sheared: the stage's axes are not the camera's
    points = np.stack([y.ravel(), x.ravel()], axis=1) + rng.normal(0, rng.uniform(0.005, 0.05) * pitch, (y.size, 2))
    angle = np.deg2rad(rng.normal(0, 3) if rng.random() < 0.85 else rng.uniform(-45, 45))
    sine, cosine = np.sin(angle), np.cos(angle)
    points = points @ np.array([[cosine, sine], [-sine, cosine]]) + [height / 2, width / 2]
    inside = ((points > -0.5 * pitch) & (points < np.array([height, width]) + 0.5 * pitch)).all(axis=1)
    if rng.random() < 0.35:
        # The border of the acquisition crosses the image.
        direction = rng.choice([0, 0.5, 1, 1.5]) * np.pi + rng.normal(0, 0.03)
        along = (points - [height / 2, width / 2]) @ [np.sin(direction), np.cos(direction)]
        inside &= along > rng.uniform(-0.4, 0.35) * min(height, width)
    inside &= rng.random(len(points)) >= rng.choice([0, 0.02, 0.1, 0.3], p=[0.4, 0.3, 0.2, 0.1])
    return points[inside]
