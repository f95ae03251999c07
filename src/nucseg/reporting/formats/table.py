"""A table of features of each nucleus, as Parquet and CSV."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from skimage.measure import regionprops_table

from nucseg.core.files import atomic_file
from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import LabelBlock, StitchedLabels

LENGTHS = ("equivalent_diameter_area", "axis_major_length", "axis_minor_length", "perimeter", "feret_diameter_max")
"""Features that are lengths, in pixels."""

_SHAPE = ("label", "area", "centroid", "bbox", *LENGTHS, "eccentricity", "orientation", "solidity", "extent")
_INTENSITY = ("intensity_mean", "intensity_min", "intensity_max")


def write(nuclei: StitchedLabels, source: ImageSource, path: Path, name: str) -> None:
    """Write one row per nucleus into `path` (Parquet) and the same rows as CSV beside it.

    Args:
        nuclei: The nuclei found.
        source: The image, for intensities and its pixel size.
        path: The Parquet file.
        name: Value of the column `image`.
    """
    # Joined as text: a dot in the image's name does not start a suffix.
    with ExitStack() as stack:
        csv_file = stack.enter_context(atomic_file(path.with_name(path.name.removesuffix(".parquet") + ".csv")))
        # Opened here, because pyarrow mistakes some paths for URLs.
        opened = stack.enter_context(stack.enter_context(atomic_file(path)).open("wb"))
        writer: pq.ParquetWriter | None = None
        for number, frame in enumerate(_frames(nuclei, source, name)):
            rows = pa.Table.from_pandas(frame, preserve_index=False)
            writer = writer or stack.enter_context(pq.ParquetWriter(opened, rows.schema))
            writer.write_table(rows)
            frame.to_csv(csv_file, mode="a", header=number == 0, index=False)


def _frames(nuclei: StitchedLabels, source: ImageSource, name: str) -> Iterator[pd.DataFrame]:
    if not len(nuclei):
        nothing = LabelBlock(
            window=Window(0, 0, 1, 1), labels=np.ones((1, 1), np.int32), first=1, scores=np.zeros(1, np.float32)
        )
        yield features(nothing, source, name).iloc[:0]
    for group in nuclei.blocks():
        yield features(group, source, name)


def features(group: LabelBlock, source: ImageSource, name: str) -> pd.DataFrame:
    """Measure some nuclei.

    Args:
        group: The nuclei.
        source: The image.
        name: Value of the column `image`.

    Returns:
        One row per nucleus: `image`, `label`, `score`, the features of `skimage.measure.regionprops_table` in pixels of
        the whole image and, where the pixel size is known (and square, but for areas and centroids), in micrometres.
    """
    image = source.read(group.window)
    measured: dict[str, Any] = regionprops_table(group.labels, image, (*_SHAPE, *_INTENSITY))
    # Intensities have the same dtype for every image, so that their tables can be joined.
    frame = pd.DataFrame(
        {name: column.astype(np.float64) if "intensity" in name else column for name, column in measured.items()}
    )
    scores = group.scores[frame["label"].to_numpy() - 1]
    frame["label"] += group.first - 1
    for axis, start in enumerate(group.window[:2]):
        frame[f"centroid-{axis}"] += start
        frame[f"bbox-{axis}"] += start
        frame[f"bbox-{axis + 2}"] += start
    if source.pixel_size:
        rows, columns = source.pixel_size
        frame["area_um2"] = frame["area"] * rows * columns
        # The centre of the first pixel lies half a pixel from the image's corner.
        frame["centroid-0_um"] = (frame["centroid-0"] + 0.5) * rows
        frame["centroid-1_um"] = (frame["centroid-1"] + 0.5) * columns
        if np.isclose(rows, columns, rtol=1e-3):
            for length in LENGTHS:
                frame[f"{length}_um"] = frame[length] * rows
    frame.insert(0, "image", name)
    frame.insert(2, "score", scores.astype(np.float64))
    return frame
