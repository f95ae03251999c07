"""Annotated points as images, and the places away from them that show something else.

A points image `(H, W)` holds at most one point a pixel: 0 where nothing is annotated, `POSITIVE` for what is looked for
(a mitosis), `NEGATIVE` for what an annotator took for something else.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, minimum_filter
from skimage.feature import peak_local_max

POSITIVE, NEGATIVE = 1, 2

SMALLEST_SEARCHED = 96
"""Pixels a side from which on an image is searched for negatives; in smaller ones only what is annotated is known."""

_BLUR = 3.0  # pixels; about the radius of a small nucleus at 0.25 micrometres a pixel
_SPACING = 8  # pixels between two dark spots
_LOWEST_CONTRAST = 0.005  # of a spot and the palest pixel near it; a blank area has no spots


def draw_points(shape: tuple[int, int], rows: NDArray, columns: NDArray, value: int = POSITIVE) -> NDArray[np.int32]:
    """Draw a points image.

    Args:
        shape: (rows, columns) of the image.
        rows: `(N,)`, pixels; rounded down.
        columns: `(N,)`, pixels.
        value: `POSITIVE` or `NEGATIVE`.
    """
    points = np.zeros(shape, np.int32)
    points[np.floor(rows).astype(int), np.floor(columns).astype(int)] = value
    return points


def places(points: NDArray, value: int = POSITIVE) -> NDArray[np.int64]:
    """Return row and column of each point of a value, `(N, 2)`."""
    return np.argwhere(points == value)


def find_negatives(
    image: NDArray[np.uint8], points: NDArray, *, distance: float, margin: int, at_most: int | None = None
) -> NDArray[np.int64]:
    """Find places that show something else: the annotated ones, dark spots, and corners where there are too few spots.

    Args:
        image: `(H, W, 3)`, a stained section: nuclei are dark, above all in red.
        points: `(H, W)`.
        distance: Pixels at least from each positive point; the annotation must be complete.
        margin: Pixels at least from the border.
        at_most: Number of places, the darkest ones; None: all that are found. The annotated ones always come first.

    Returns:
        `(K, 2)` rows and columns; none in an image below `SMALLEST_SEARCHED`, but for the annotated ones.
    """
    annotated = places(points, NEGATIVE)
    height, width = points.shape
    if min(height, width) < SMALLEST_SEARCHED:
        return annotated[:at_most]
    positive = points == POSITIVE
    allowed = distance_transform_edt(~positive) >= distance if positive.any() else np.ones(points.shape, bool)
    rows, columns = np.ogrid[:height, :width]
    allowed &= (rows >= margin) & (rows <= height - margin) & (columns >= margin) & (columns <= width - margin)
    darkness = 1 - gaussian_filter(image[..., 0].astype(np.float32) / 255, _BLUR)
    palest = minimum_filter(darkness, 2 * _SPACING + 1)
    candidates = np.where(allowed & (darkness > palest + _LOWEST_CONTRAST), darkness, 0)
    spots = peak_local_max(candidates, min_distance=_SPACING, exclude_border=False)
    corners = np.array([(r, c) for r in (margin, height - margin) for c in (margin, width - margin)])
    corners = corners[allowed[corners[:, 0].clip(0, height - 1), corners[:, 1].clip(0, width - 1)]]
    spare = [c for c in corners if not len(spots) or np.abs(spots - c).max(1).min() >= _SPACING]
    found = [annotated, spots, np.array(spare, int).reshape(-1, 2)]
    return np.concatenate(found)[:at_most]
