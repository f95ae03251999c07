"""ImageJ's ROI set: a zip of polygons for the ROI Manager."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from roifile import ImagejRoi

from nucseg.core.files import atomic_file
from nucseg.images.plane_choice import coordinates
from nucseg.masks.polygons import outlines
from nucseg.measurements.field import Field


def write(field: Field, path: Path) -> None:
    """Write the nuclei of one plane; see `write_stack`."""
    write_stack([field], path)


def write_stack(fields: Sequence[Field], path: Path) -> None:
    """Write one polygon per nucleus, the outer outline of its largest piece; `nucleus-00001` is label 1.

    ImageJ's coordinates are those of pixel corners, (0, 0) at the outer corner of the first pixel. A polygon of a stack
    belongs to the slice and the frame of its plane.

    Args:
        fields: The planes with their nuclei.
        path: The file.
    """
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for field in fields:
            place = coordinates(field.plane)
            behind = "".join(f"-{axis}{number}" for axis, number in place.items())  # so that names differ
            for group in field.nuclei.blocks():
                numbers = field.numbered(np.arange(group.first, group.first + len(group.scores), dtype=np.int32))
                for number, outline in zip(numbers, outlines(group.labels), strict=True):
                    if not len(outline):
                        continue
                    corners = np.add(outline[:-1, ::-1], group.window[1::-1]).astype(np.int32)
                    name = f"nucleus-{number:05d}{behind}"
                    roi = ImagejRoi.frompoints(corners, name=name)
                    # Counted from 1; 0 stands for all.
                    roi.z_position, roi.t_position = (place.get(axis, -1) + 1 for axis in "zt")
                    archive.writestr(f"{name}.roi", roi.tobytes())
