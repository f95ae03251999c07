"""What becomes of the result of one image: files, one a format. A task's formats are those of its answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.field import Field, MeasuredChannel
from nucseg.reporting.formats.grey_png import write_grey_png
from nucseg.reporting.formats.registry import FORMATS, write_format
from nucseg.reporting.options import MEASURED

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
        write: Writes what was found in an image, and measured in its channels, to a path.
        measures: Whether it holds intensities of channels.
    """

    name: str
    write: Callable[[Any, ImageSource, Sequence[MeasuredChannel], Path], object]
    measures: bool = False

    @property
    def media_type(self) -> str:
        """For HTTP."""
        return _MEDIA_TYPES[Path(self.name).suffix]


def write_result(
    found: Any,
    source: ImageSource,
    folder: Path,
    files: Iterable[ResultFile],
    channels: Sequence[MeasuredChannel] = (),
) -> list[Path]:
    """Write what was found in one image.

    Args:
        found: What was found.
        source: The image.
        folder: An empty one.
        files: The files to write.
        channels: What is measured; without any, the image itself.

    Returns:
        Their paths, in the same order.
    """
    paths = []
    for file in files:
        paths.append(folder / file.name)
        file.write(found, source, channels, paths[-1])
    return paths


def _write_mask(nuclei: StitchedLabels, source: ImageSource, channels: Sequence[MeasuredChannel], path: Path) -> None:
    write_grey_png(path, nuclei.shape, lambda window: (nuclei.labels(window) > 0) * np.uint8(255))


def _write_nuclei(
    format_name: str,
    nuclei: StitchedLabels,
    source: ImageSource,
    channels: Sequence[MeasuredChannel],
    path: Path,
) -> None:
    field = Field(nuclei, source, "nuclei", tuple(channels))
    write_format(format_name, field, path.parent)[-1].rename(path)


def _write_mitoses(
    suffix: str, mitoses: Any, source: ImageSource, channels: Sequence[MeasuredChannel], path: Path
) -> None:
    from nucseg.reporting.mitoses.files import FILES  # imports much that a server of nuclei does not need

    FILES[suffix](mitoses, source, path, "slide")


def _write_probabilities(found: Any, source: ImageSource, channels: Sequence[MeasuredChannel], path: Path) -> None:
    def foreground(window: Window) -> NDArray[np.uint8]:
        return found.steps(window).sum(0, dtype=np.int32).clip(0, 255).astype(np.uint8)

    write_grey_png(path, found.shape, foreground)


def _write_classes(
    format_name: str, found: Any, source: ImageSource, channels: Sequence[MeasuredChannel], path: Path
) -> None:
    from nucseg.reporting.formats.class_maps import CLASS_FORMATS  # imports much that a server of nuclei does not need

    CLASS_FORMATS[format_name].write(found, source, path)


NUCLEI: Mapping[str, ResultFile] = {
    "mask": ResultFile("mask.png", _write_mask),
    **{
        format_name: ResultFile(
            f"{format_name}{FORMATS[format_name].suffixes[-1]}",
            partial(_write_nuclei, format_name),
            measures=format_name in MEASURED,
        )
        for format_name in ("labels", "rle", "coco", "geojson", "table")
    },
}
"""The formats of nuclei: `mask` is a PNG with 255 where any nucleus is, the others are those of `nucseg predict`."""

MITOSES: Mapping[str, ResultFile] = {
    suffix: ResultFile(f"mitoses.{suffix}", partial(_write_mitoses, suffix))
    for suffix in ("csv", "geojson", "json", "png")
}
"""The formats of mitoses, which are those of `nucseg mitoses`."""

CLASSES: Mapping[str, ResultFile] = {
    "mask": ResultFile("mask.png", _write_probabilities),
    **{
        format_name: ResultFile(f"{format_name}.tif", partial(_write_classes, format_name))
        for format_name in ("classes", "probabilities")
    },
}
"""The formats of class maps, all written in flat memory: `mask` is a PNG of the probability that a pixel is of any
class but 0, 255 being 1; the others are those of `nucseg segment`."""
