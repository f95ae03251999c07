"""What becomes of the nuclei of one image: files, one a format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np

from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.inference.mosaic import Mosaic
from nucseg.reporting.formats.registry import write_format

Format = Literal["mask", "labels", "rle", "coco", "geojson", "table"]

_BAND = 1024  # rows


@dataclass(frozen=True)
class ResultFile:
    """A file of a result.

    Attributes:
        name: Below the result's folder.
        media_type: For HTTP.
    """

    name: str
    media_type: str


FILES: dict[Format, ResultFile] = {
    "mask": ResultFile("mask.png", "image/png"),
    "labels": ResultFile("labels.tif", "image/tiff"),
    "rle": ResultFile("rle.csv", "text/csv"),
    "coco": ResultFile("coco.json", "application/json"),
    "geojson": ResultFile("geojson.geojson", "application/geo+json"),
    "table": ResultFile("table.csv", "text/csv"),
}
"""The formats of a result; `mask` is a PNG with 255 where any nucleus is, the others are those of `nucseg predict`."""


def write_result(nuclei: Mosaic, source: ImageSource, folder: Path) -> list[Path]:
    """Write every format of `FILES`.

    Args:
        nuclei: What was found.
        source: The image.
        folder: An empty one.

    Returns:
        The files.
    """
    mask = np.zeros(nuclei.shape, np.uint8)
    for top in range(0, nuclei.shape[0], _BAND):
        window = Window(top, 0, min(top + _BAND, nuclei.shape[0]), nuclei.shape[1])
        mask[window.slices][nuclei.labels(window) > 0] = 255
    (folder / FILES["mask"].name).write_bytes(imagecodecs.png_encode(mask))
    for given, file in FILES.items():
        if given == "mask":
            continue
        for written in write_format(given, nuclei, source, folder, "nuclei"):
            if written.suffix == Path(file.name).suffix:
                written.rename(folder / file.name)
    return [folder / file.name for file in FILES.values()]
