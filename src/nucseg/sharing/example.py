"""A drawn image of nuclei, on which an export is compared with the model that it was made from."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_STAINED = np.array([(235, 200, 225), (110, 70, 150)], np.float32)  # red, green, blue of the ground and of a nucleus


def draw_stained(side: int, seed: int = 0) -> NDArray[np.uint8]:
    """Draw the same in the colours of haematoxylin and eosin: `(side, side, 3)` uint8."""
    strength = draw_example((side, side), 1, seed) / np.float32(200)
    return np.clip(np.rint(_STAINED[0] + strength * (_STAINED[1] - _STAINED[0])), 0, 255).astype(np.uint8)


def draw_example(shape: tuple[int, int], channels: int, seed: int = 0) -> NDArray[np.uint8]:
    """Draw bright round nuclei of 12 to 24 pixels on a dark ground, always the same for a seed.

    Args:
        shape: Rows and columns.
        channels: Number of equal channels.
        seed: Of places, sizes and noise.

    Returns:
        `(rows, columns, channels)` uint8.
    """
    generator = np.random.default_rng(seed)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    drawn = np.zeros(shape, np.float32)
    for _ in range(max(1, shape[0] * shape[1] // 1500)):
        row, column = generator.uniform((0, 0), shape)
        inside = (rows - row) ** 2 + (columns - column) ** 2 < generator.uniform(6, 12) ** 2
        drawn[inside] = generator.uniform(120, 200)
    drawn = ndimage.gaussian_filter(drawn, 1.0) + generator.normal(20, 4, shape)
    image = np.clip(np.rint(drawn), 0, 255).astype(np.uint8)
    return np.repeat(image[..., None], channels, axis=2)
