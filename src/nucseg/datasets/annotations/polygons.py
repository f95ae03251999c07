"""Polygons as pixels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

from nucseg.core.errors import InputError

_TOLERANCE = 1.0


def pixels_inside(rings: Sequence[NDArray], shape: tuple[int, int], name: str) -> NDArray[np.intp]:
    """Find the pixels whose centre lies inside an area: inside an odd number of its rings.

    Args:
        rings: `(K, 2)` each, x and y of pixel corners as in `nucseg.masks.polygons`: the outer rings of the area, and
            those of its holes.
        shape: `(H, W)` of the image.
        name: File and number of the nucleus, for messages.

    Returns:
        Indices of the pixels in the flattened image, ascending.

    Raises:
        InputError: A coordinate is not a number, or the area exceeds the image by more than a pixel.
    """
    inside = np.zeros(0, np.intp)
    for ring in rings:
        corners = np.asarray(ring, np.float64)
        if corners.ndim != 2 or corners.shape[1] < 2 or len(corners) < 3 or not np.isfinite(corners).all():
            raise InputError(f"{name}: is not a polygon of at least three points with x and y. Outline it again.")
        x, y = corners[:, 0], corners[:, 1]
        height, width = shape
        if min(x.min(), y.min()) < -_TOLERANCE or x.max() > width + _TOLERANCE or y.max() > height + _TOLERANCE:
            raise InputError(
                f"{name}: reaches from ({x.min():.0f}, {y.min():.0f}) to ({x.max():.0f}, {y.max():.0f}) in x and y, "
                f"outside of the image of {width} x {height} pixels. Are these the outlines of another image?"
            )
        rows, columns = polygon(y - 0.5, x - 0.5, shape)
        # Each pixel in an even number of rings is in a hole.
        inside = np.setxor1d(inside, np.ravel_multi_index((rows, columns), shape), assume_unique=True)
    return np.sort(inside)
