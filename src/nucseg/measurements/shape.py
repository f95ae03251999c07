"""Shape and position of nuclei: columns of their table."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from nucseg.core.window import Window

LENGTHS = ("equivalent_diameter_area", "axis_major_length", "axis_minor_length", "perimeter", "feret_diameter_max")
"""Features that are lengths, in pixels."""

_SHAPE = ("area", "centroid", "bbox", *LENGTHS, "eccentricity", "orientation", "solidity", "extent")


def shape_columns(
    labels: NDArray[np.int32], window: Window, shape: tuple[int, int], pixel_size: tuple[float, float] | None
) -> pd.DataFrame:
    """Measure shape and position.

    Args:
        labels: Of `window`: 0 and 1..n, each present.
        window: Of the image.
        shape: (rows, columns) of the image.
        pixel_size: Micrometres, (row, column), if known.

    Returns:
        One row per nucleus: features of `skimage.measure.regionprops_table` in pixels of the whole image; as
        `circularity` 4 pi area / perimeter^2, at most 1 and NaN of a single pixel; `touches_border`; and, where the
        pixel size is known (and square, but for areas and centroids), the columns in micrometres.
    """
    measured: dict[str, Any] = regionprops_table(labels, properties=_SHAPE)
    frame = pd.DataFrame(measured)
    for axis, start in enumerate(window[:2]):
        frame[f"centroid-{axis}"] += start
        frame[f"bbox-{axis}"] += start
        frame[f"bbox-{axis + 2}"] += start
    perimeter = frame["perimeter"].where(frame["perimeter"] > 0)
    frame["circularity"] = (4 * np.pi * frame["area"] / perimeter**2).clip(upper=1.0)
    frame["touches_border"] = touches_border(frame[[f"bbox-{n}" for n in range(4)]].to_numpy(), shape)
    if pixel_size:
        rows, columns = pixel_size
        frame["area_um2"] = frame["area"] * rows * columns
        # The centre of the first pixel lies half a pixel from the image's corner.
        frame["centroid-0_um"] = (frame["centroid-0"] + 0.5) * rows
        frame["centroid-1_um"] = (frame["centroid-1"] + 0.5) * columns
        if np.isclose(rows, columns, rtol=1e-3):
            for length in LENGTHS:
                frame[f"{length}_um"] = frame[length] * rows
    return frame


def touches_border(boxes: NDArray, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which of some boxes `(n, 4)`, (top, left, bottom, right), end at the border of an image."""
    touching: NDArray[np.bool_] = (boxes[:, :2] == 0).any(1) | (boxes[:, 2:] == shape).any(1)
    return touching
