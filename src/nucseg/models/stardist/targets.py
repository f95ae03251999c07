"""What the network of StarDist learns from one patch."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import relabel_sequential
from stardist.utils import edt_prob

from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.rays import star_distances

BORDER = 2
"""Pixels: how far a pixel of the map of borders may be from the two nuclei, along rows and along columns."""


def make_targets(truth: NDArray[np.int32], config: StarDistConfig) -> tuple[NDArray[np.float32], ...]:
    """Compute the targets of one patch, as `stardist.models.StarDistData2D` does.

    Args:
        truth: The label image `(h, w)` int32; 0 is background, gaps are allowed.
        config: Grid, rays, and whether there are maps of the foreground and of borders.

    Returns:
        The object probability `(h/grid, w/grid, 1)`, the distances with their weight `(h/grid, w/grid, n_rays + 1)`
        and, for the foreground head, the foreground `(h, w, 1)` and the borders `(h, w, 1)`, float32.
    """
    grid = config.grid
    # Numbered without gaps, since the package's loop goes over all numbers.
    probability = edt_prob(relabel_sequential(truth[::grid, ::grid])[0])[..., None]
    distances = star_distances(truth, config.n_rays, grid)
    targets: tuple[NDArray[np.float32], ...] = (probability, np.concatenate([distances, probability], axis=-1))
    if config.refine_radius:
        targets += ((truth > 0).astype(np.float32)[..., None],)
    if config.refine_border:
        targets += (borders(truth).astype(np.float32)[..., None],)
    return targets


def borders(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Find the pixels around which two nuclei touch or nearly touch.

    Args:
        labels: `(h, w)` int32; 0 is background, gaps are allowed, labels are below 2**24.

    Returns:
        `(h, w)`: whether there are pixels of at least two nuclei at most `BORDER` rows and `BORDER` columns away.
    """
    values = labels.astype(np.float32)  # OpenCV's morphology takes no int32
    window = np.ones((2 * BORDER + 1, 2 * BORDER + 1), np.uint8)
    highest = cv2.dilate(values, window)
    lowest = cv2.erode(np.where(labels > 0, values, np.float32(np.inf)), window)
    found: NDArray[np.bool_] = (highest > 0) & (highest != lowest)
    return found
