"""Dropping proposals that are nearly equal to a better one nearby, before the suppression."""

import numpy as np
from numpy.typing import NDArray
from stardist.geometry import ray_angles

_SAME_IOU = 0.75
"""Two polygons count as the same from this intersection over union on."""


def deduplicate(points: NDArray[np.int64], distances: NDArray[np.float32], side: int) -> NDArray[np.bool_]:
    """Return which proposals remain when, in each block of pixels, duplicates of the block's best one are dropped.

    The suppression would also drop them: the best one overlaps them far beyond any threshold. But a network proposes
    each nucleus at a hundred cells, and the time of the suppression grows with the pairs that overlap. (If the best one
    is itself suppressed by a third one that overlaps it just enough, one of its duplicates might have stayed.)

    The areas are compared along the rays of one point, to which the other's border is moved. This is right if the move
    is short compared with the rays; otherwise the areas come out as different, and the proposal stays.

    Args:
        points: `(K, 2)`, (row, column) in pixels, by decreasing score.
        distances: `(K, n_rays)` float32, pixels.
        side: Side of a block in pixels; the blocks start at (0, 0).

    Returns:
        `(K,)`: of each block that has any point, at least the first one stays.
    """
    blocks = points // side
    _, best, block = np.unique(blocks[:, 0] << 32 | blocks[:, 1], return_index=True, return_inverse=True)
    best = best[block]
    angles = ray_angles(distances.shape[1])
    directions = np.stack([np.sin(angles), np.cos(angles)]).astype(np.float32)
    moved = (points - points[best]).astype(np.float32) @ directions
    other = np.maximum(distances[best] - moved, 0)
    # The area of a sector of a circle is half its angle times its squared radius.
    common = (np.minimum(distances, other) ** 2).sum(axis=1)
    joint = (np.maximum(distances, other) ** 2).sum(axis=1)
    stays: NDArray[np.bool_] = (common < _SAME_IOU * joint) | (best == np.arange(len(points)))
    return stays
