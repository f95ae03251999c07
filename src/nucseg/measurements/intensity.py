"""Intensities of a channel in regions of nuclei."""

import numpy as np
from numpy.typing import NDArray

STATISTICS = ("mean", "median", "std", "min", "max", "integrated")
"""What is measured of the pixels of a region; `integrated` is their sum, `std` divides by their number."""


def statistics(regions: NDArray[np.int32], image: NDArray, count: int) -> dict[str, NDArray[np.float64]]:
    """Compute `STATISTICS` of the pixels of each region.

    Args:
        regions: Label image `(H, W)`: 0 and some of 1..count.
        image: `(H, W)` of any integer, boolean or float dtype.
        count: Number of regions.

    Returns:
        For each of `STATISTICS` `(count,)` float64; NaN of a region without pixels.
    """
    inside = regions > 0
    labels, values = regions[inside], image[inside].astype(np.float64)
    order = np.lexsort((values, labels))
    labels, values = labels[order], values[order]
    sizes = np.bincount(labels, minlength=count + 1)[1:]
    starts = np.cumsum(sizes) - sizes
    found = {name: np.full(count, np.nan) for name in STATISTICS}
    some = sizes > 0
    sizes, starts = sizes[some], starts[some]
    total = np.add.reduceat(values, starts) if len(starts) else np.zeros(0)
    mean = total / sizes
    squares = (values - np.repeat(mean, sizes)) ** 2
    found["mean"][some] = mean
    found["median"][some] = (values[starts + (sizes - 1) // 2] + values[starts + sizes // 2]) / 2
    found["std"][some] = np.sqrt((np.add.reduceat(squares, starts) if len(starts) else total) / sizes)
    found["min"][some] = values[starts]
    found["max"][some] = values[starts + sizes - 1]
    found["integrated"][some] = total
    return found
