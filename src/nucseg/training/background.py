"""Images without nuclei, generated or cut out of real ones, which teach a model that there may be nothing to find.

An image is normalised by its own percentiles, so an empty one is stretched until its noise fills the whole range.
Patches of images with nuclei never look like that.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt

SMALLEST_CROP = 48
"""Pixels a side from which on a region without nuclei serves as an image of its own."""

_STAINS = np.array(
    [
        [0.93, 0.60, 0.78],
        [0.80, 0.62, 0.85],
        [0.95, 0.85, 0.90],
        [0.70, 0.50, 0.70],
        [0.85, 0.80, 0.75],
        [0.97, 0.97, 0.97],  # glass, beside which haematoxylin alone is seen once the stains are separated
    ]
)


def made_up_background(rng: np.random.Generator, size: int) -> NDArray[np.uint16]:
    """Draw an image without nuclei: noise, uneven illumination or fibres, as in an empty field or in stroma.

    Args:
        rng: Random generator.
        size: Rows and columns.

    Returns:
        `(size, size)` or, in colours of a haematoxylin-eosin stain, `(size, size, 3)` uint16.
    """
    colored = rng.random() < 0.5
    level = rng.uniform(0.02, 0.9)
    texture = (_nothing, _slope, _falling, _fibres)[rng.integers(4)](rng, size) * rng.uniform(0.0, 0.3)
    if colored:
        color, other = rng.permutation(_STAINS)[:2]
        image = color + texture[..., None] * rng.choice([other - color, -color])
    else:
        image = level + texture
    # Some have no noise at all: a smooth slope fills the whole range once it is normalised.
    grain = rng.normal(0, 1, image.shape) * (rng.uniform(0.002, 0.08) if rng.random() < 0.75 else 0.0)
    if rng.random() < 0.5:
        grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.4, 1.5))
    return np.rint(65535 * np.clip(image + grain, 0, 1)).astype(np.uint16)


def _nothing(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    return np.zeros((size, size))


def _slope(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Draw a slope in any direction; in [-1, 1]."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    return np.clip(y * np.sin(angle) + x * np.cos(angle), -1, 1)


def _falling(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Draw light that falls off around a point, towards the corners or sooner; in [-1, 1]."""
    y, x = rng.uniform(0.7, 1.6) * np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    row, column = rng.uniform(-1, 1, 2)
    return np.clip(1 - ((y - row) ** 2 + (x - column) ** 2), -1, 1)


def _fibres(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Draw long, thin, wavy streaks in roughly one direction, with a standard deviation of 1/2."""
    noise = cv2.GaussianBlur(
        rng.normal(0, 1, (2 * size, 2 * size)), (0, 0), rng.uniform(12, 40), sigmaY=rng.uniform(0.8, 3)
    )
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) - size / 2
    angle, period, height = rng.uniform(0, np.pi), rng.uniform(60, 300), rng.uniform(0, 12)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    across = across + height * np.sin(2 * np.pi * along / period)
    streaks = cv2.remap(noise, (along + size).astype(np.float32), (across + size).astype(np.float32), cv2.INTER_LINEAR)
    return streaks / max(2 * streaks.std(), 1e-6)


def background_crop(image: NDArray, labels: NDArray, rng: np.random.Generator, size: int) -> NDArray | None:
    """Cut a square without any nucleus out of an image.

    Args:
        image: `(H, W)` or `(H, W, C)`.
        labels: `(H, W)`; 0 is background.
        rng: Random generator for the place.
        size: Maximum rows and columns.

    Returns:
        The square, of `SMALLEST_CROP` to `size` pixels a side; None if every such square contains a nucleus.
    """
    # Chessboard distance d to the nearest nucleus or border: the square of side 2 d - 1 around the pixel is free.
    free = distance_transform_cdt(np.pad(labels == 0, 1), metric="chessboard")[1:-1, 1:-1]
    centers = np.argwhere(2 * free - 1 >= SMALLEST_CROP)
    if not len(centers):
        return None
    row, column = centers[rng.integers(len(centers))]
    reach = min(int(free[row, column]) - 1, size // 2)
    return image[row - reach : row + reach + 1, column - reach : column + reach + 1][:size, :size]
