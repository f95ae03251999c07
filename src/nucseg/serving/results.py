"""What becomes of the nuclei of one image: files, one a format."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.reporting.formats.registry import FORMATS, write_format

ResultFormat = Literal["mask", "labels", "rle", "coco", "geojson", "table"]
"""`mask` is a PNG with 255 where any nucleus is, the others are those of `nucseg predict`."""

_BAND = 1024  # rows
_MEDIA_TYPES = {
    ".png": "image/png",
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


def _file(given: ResultFormat) -> ResultFile:
    suffix = ".png" if given == "mask" else FORMATS[given].suffixes[-1]
    return ResultFile(f"{given}{suffix}", _MEDIA_TYPES[suffix])


FILES: dict[ResultFormat, ResultFile] = {given: _file(given) for given in get_args(ResultFormat)}
"""The file of each format."""


def write_result(
    nuclei: StitchedLabels, source: ImageSource, folder: Path, formats: Collection[ResultFormat] = tuple(FILES)
) -> list[Path]:
    """Write the nuclei of one image.

    Args:
        nuclei: What was found.
        source: The image.
        folder: An empty one.
        formats: The formats to write.

    Returns:
        The files, in the order of the formats.
    """
    return [_write(nuclei, source, folder, given) for given in formats]


def _write(nuclei: StitchedLabels, source: ImageSource, folder: Path, given: ResultFormat) -> Path:
    path = folder / FILES[given].name
    if given == "mask":
        path.write_bytes(imagecodecs.png_encode(_mask(nuclei)))
        return path
    return write_format(given, nuclei, source, folder, "nuclei")[-1].rename(path)


def _mask(nuclei: StitchedLabels) -> NDArray[np.uint8]:
    mask = np.zeros(nuclei.shape, np.uint8)
    for top in range(0, nuclei.shape[0], _BAND):
        window = Window(top, 0, min(top + _BAND, nuclei.shape[0]), nuclei.shape[1])
        mask[window.slices][nuclei.labels(window) > 0] = 255
    return mask
