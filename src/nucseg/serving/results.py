"""What becomes of the nuclei of one image: files, one a format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np

from nucseg.core.types import Instances
from nucseg.reporting.exports import FORMATS, write_instances

Format = Literal["mask", "labels", "rle", "coco", "geojson", "table"]

_MEDIA = {
    ".tif": "image/tiff",
    ".csv": "text/csv",
    ".json": "application/json",
    ".geojson": "application/geo+json",
}


@dataclass(frozen=True)
class ResultFile:
    """A file of a result.

    Attributes:
        name: Below the result's folder.
        media_type: For HTTP.
    """

    name: str
    media_type: str


FILES = {"mask": ResultFile("mask.png", "image/png")} | {
    given: ResultFile(f"{given}{suffix}", _MEDIA[suffix]) for given, suffix in FORMATS.items()
}
"""The formats of a result; `mask` is a PNG with 255 where any nucleus is."""


def write_result(found: Instances, folder: Path) -> list[Path]:
    """Write every format of `FILES` into a folder.

    Returns:
        The files.
    """
    mask = np.where(found.labels > 0, np.uint8(255), np.uint8(0))
    (folder / FILES["mask"].name).write_bytes(imagecodecs.png_encode(mask))
    for given, written in zip(FORMATS, write_instances(found, folder, "nuclei", list(FORMATS)), strict=True):
        written.rename(folder / FILES[given].name)
        written.parent.rmdir()
    return sorted(folder.iterdir())
