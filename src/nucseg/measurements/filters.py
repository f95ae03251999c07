"""Which nuclei are kept: by area, and by whether they touch the border of the image."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.shape import touches_border


def kept_nuclei(
    nuclei: StitchedLabels, *, min_area: float = 0.0, max_area: float = np.inf, exclude_border: bool = False
) -> NDArray[np.bool_]:
    """Return which nuclei are kept.

    Args:
        nuclei: The nuclei found.
        min_area: Smallest area to keep, in pixels.
        max_area: Largest area to keep, in pixels.
        exclude_border: Whether those that touch the border of the image are left out.

    Returns:
        `(N,)` bool.
    """
    kept = np.ones(len(nuclei), bool)
    for block in nuclei.blocks():
        numbers = slice(block.first - 1, block.first - 1 + len(block.scores))
        areas = np.bincount(block.labels.ravel(), minlength=len(block.scores) + 1)[1:]
        kept[numbers] = (areas >= min_area) & (areas <= max_area)
        if exclude_border:
            boxes = np.array(
                [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in find_objects(block.labels)]
            )
            kept[numbers] &= ~touches_border(boxes + np.array(block.window[:2] * 2), nuclei.shape)
    return kept
