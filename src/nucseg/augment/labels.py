"""Label images after geometry."""

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label


def visible_nuclei(labels: NDArray[np.int32], min_pixels: int = 1) -> NDArray[np.int32]:
    """Number the connected parts of all nuclei anew and take out the smallest.

    A mirrored border repeats a nucleus, and a cut may leave two ends of a bent one: each part becomes a nucleus.

    Args:
        labels: Label image `(H, W)` int32, gaps allowed.
        min_pixels: Parts of fewer pixels become background.

    Returns:
        Label image `(H, W)` int32 without gaps.
    """
    parts = label(labels, connectivity=2)
    keep = np.bincount(parts.ravel()) >= min_pixels
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[parts]
