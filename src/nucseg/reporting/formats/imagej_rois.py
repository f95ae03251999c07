"""ImageJ's ROI set: a zip of polygons for the ROI Manager."""

import zipfile
from pathlib import Path

import numpy as np
from roifile import ImagejRoi

from nucseg.core.files import atomic_file
from nucseg.masks.polygons import outlines
from nucseg.measurements.field import Field


def write(field: Field, path: Path) -> None:
    """Write one polygon per nucleus, the outer outline of its largest piece; `nucleus-00001` is label 1.

    ImageJ's coordinates are those of pixel corners, (0, 0) at the outer corner of the first pixel.

    Args:
        field: The nuclei.
        path: The file.
    """
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for group in field.nuclei.blocks():
            for number, outline in enumerate(outlines(group.labels), start=group.first):
                if not len(outline):
                    continue
                corners = np.add(outline[:-1, ::-1], group.window[1::-1]).astype(np.int32)
                roi = ImagejRoi.frompoints(corners, name=f"nucleus-{number:05d}")
                archive.writestr(f"nucleus-{number:05d}.roi", roi.tobytes())
