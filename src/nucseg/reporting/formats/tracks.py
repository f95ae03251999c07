"""Tracks: where each nucleus is in each plane of a linked stack, as CSV."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.measure import regionprops_table

from nucseg.core.files import atomic_file
from nucseg.images.plane_choice import coordinates
from nucseg.measurements.field import Field


def write(field: Field, path: Path) -> None:
    """Write the tracks of a single plane; see `write_stack`."""
    write_stack([field], path)


def write_stack(fields: Sequence[Field], path: Path) -> None:
    """Write one row per nucleus and plane, by track, with the names that TrackMate has for what it knows of a spot.

    `TRACK_ID` is the value in the label image, `FRAME` the number of the plane along the linked axis, `QUALITY` the
    score. Position and radius (of a circle of the same area) are in micrometres if the pixel size is known, otherwise
    in pixels. As in TrackMate, (0, 0) is the centre of the first pixel. `POSITION_Z` is 0: a spot is flat.

    Args:
        fields: The planes with their nuclei.
        path: The file.
    """
    rows = pd.concat([_rows(field) for field in fields]).sort_values(["TRACK_ID", "FRAME"], kind="stable")
    with atomic_file(path) as temporary:
        rows.to_csv(temporary, index=False)


def _rows(field: Field) -> pd.DataFrame:
    place = coordinates(field.plane)
    along = next((axis for axis, _ in field.axes), "t")
    height, width = field.source.pixel_size or (1.0, 1.0)
    # With the columns, where nothing was found.
    tables = [pd.DataFrame({"label": [], "centroid-0": [], "centroid-1": [], "area": [], "score": []}, dtype=float)]
    for block in field.nuclei.blocks():
        found = pd.DataFrame(regionprops_table(block.labels, properties=("label", "centroid", "area")))
        found["label"] += block.first - 1
        found["score"] = block.scores
        for axis in (0, 1):
            found[f"centroid-{axis}"] += block.window[axis]
        tables.append(found)
    table = pd.concat(tables, ignore_index=True)
    return pd.DataFrame(
        {
            "TRACK_ID": field.numbered(table["label"].to_numpy(np.int32)),
            "FRAME": place.get(along, 0),
            "POSITION_X": table["centroid-1"] * width,
            "POSITION_Y": table["centroid-0"] * height,
            "POSITION_Z": 0.0,
            "RADIUS": np.sqrt(table["area"] * height * width / np.pi),
            "QUALITY": table["score"],
            **place,
        }
    )
