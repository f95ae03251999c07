"""Anchors: the boxes from which the region proposal network starts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def level_anchors(
    shape: tuple[int, int], stride: int, sizes: Sequence[float], ratios: Sequence[float]
) -> NDArray[np.float32]:
    """Compute the anchors of one level of the pyramid (Ren et al. 2015, section 3.1.1).

    Args:
        shape: Rows and columns of the level.
        stride: Side of a cell in pixels of the image; anchors are centred in the cells.
        sizes: Square roots of the areas, in pixels.
        ratios: Height divided by width.

    Returns:
        `(rows * columns * len(sizes) * len(ratios), 4)` float32, in the order of the network's outputs: row, column,
        size, ratio. They may reach beyond the image.
    """
    size, ratio = (grid.ravel() for grid in np.meshgrid(sizes, np.sqrt(ratios), indexing="ij"))
    half = np.stack([size * ratio, size / ratio], axis=-1) / 2
    corners = np.concatenate([-half, half], axis=-1)
    rows, columns = ((np.arange(side) + 0.5) * stride for side in shape)
    centers = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    anchors = np.tile(centers, 2)[:, :, None] + corners
    return anchors.reshape(-1, 4).astype(np.float32)


def pyramid_anchors(
    shape: tuple[int, int], strides: Sequence[int], sizes: Sequence[Sequence[float]], ratios: Sequence[float]
) -> NDArray[np.float32]:
    """Compute the anchors of all levels, the finest first (Lin et al. 2017, feature pyramid networks, section 4.1).

    Args:
        shape: Rows and columns of the image, multiples of the largest stride.
        strides: Stride of each level.
        sizes: Anchor sizes of each level.
        ratios: Aspect ratios on all levels.

    Returns:
        `(A, 4)` float32.
    """
    return np.concatenate(
        [
            level_anchors((shape[0] // stride, shape[1] // stride), stride, level_sizes, ratios)
            for stride, level_sizes in zip(strides, sizes, strict=True)
        ]
    )
