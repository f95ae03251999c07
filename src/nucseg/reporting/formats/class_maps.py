"""Class maps as files: TIFF and PNG with the classes' colours, probabilities, OME-Zarr, and areas as GeoJSON."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image

from nucseg.core.files import atomic_file, atomic_folder
from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.inference.semantic.parts import ClassMosaic
from nucseg.masks.polygons import areas
from nucseg.measurements.field import Field
from nucseg.reporting.formats import ome_zarr
from nucseg.reporting.formats.label_tiff import LARGEST_IN_STRIPS, shared_options, tiled_options, tiles
from nucseg.reporting.semantic.colours import palette

_BYTE = np.dtype(np.uint8)
_LABELS = "classes"


@dataclass(frozen=True)
class ClassFormat:
    """One format: the suffix of its file, and the function that is called with class map, image and path."""

    suffix: str
    write: Callable[[ClassMosaic, ImageSource, Path], None]


def write_tiff(found: ClassMosaic, source: ImageSource, path: Path) -> None:
    """Write the class map `(H, W)` uint8 with a palette: VOC's colours. Its description names the classes."""
    colours = palette().T.astype(np.uint16) * 257
    options = shared_options(source.pixel_size, "palette") | {"colormap": colours}
    _write_pages([found.classes], found.shape, path, options, {"classes": list(found.names)})


def write_probabilities(found: ClassMosaic, source: ImageSource, path: Path) -> None:
    """Write the probabilities of the classes from 1 on as uint8, 255 being 1: a page for each, `([C, ]H, W)`."""
    pages = [partial(_probabilities_of, found, number) for number in range(len(found))]
    _write_pages(pages, found.shape, path, shared_options(source.pixel_size), {"pages": list(found.names[1:])})


def write_png(found: ClassMosaic, source: ImageSource, path: Path) -> None:
    """Write the class map as a PNG with a palette; it is held in memory, a byte a pixel."""
    picture = Image.fromarray(found.classes(Window.whole(found.shape)), "P")
    picture.putpalette(palette().ravel().tolist())
    with atomic_file(path) as temporary:
        picture.save(temporary, "PNG")


def write_zarr(found: ClassMosaic, source: ImageSource, path: Path) -> None:
    """Write a folder of OME-Zarr 0.4: the image, and in its group `labels` the class map, both as pyramids."""
    # All that the format reads of a label image is what a class map has as well.
    field = Field(cast(StitchedLabels, found), source, path.name.removesuffix(".ome.zarr"))
    colours = [
        {"label-value": number, "rgba": [*palette()[number].tolist(), 255 if number else 0]}
        for number in range(len(found.names))
    ]
    properties = [{"label-value": number, "class": name} for number, name in enumerate(found.names)]
    with atomic_folder(path) as temporary:
        root = zarr.open_group(temporary, mode="w", zarr_format=2)
        ome_zarr.write_image(root, source, field.name, "0.4")
        group = root.create_group("labels")
        ome_zarr.describe(group, "0.4", labels=[_LABELS])
        labels = group.create_group(_LABELS)
        ome_zarr.write_labels(labels, field, "0.4", _LABELS)
        about = {**cast(dict[str, Any], labels.attrs["image-label"]), "colors": colours, "properties": properties}
        labels.attrs["image-label"] = about


def write_geojson(found: ClassMosaic, source: ImageSource, path: Path) -> None:
    """Write every area of a class from 1 on as an annotation that QuPath opens, with its holes, one per line.

    An area's pixels share edges; coordinates are those of pixel corners. The class map is held in memory, five bytes a
    pixel.
    """
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for feature in _features(found):
            file.write(separator + json.dumps(feature))
            separator = ",\n"
        file.write("\n]}\n")


CLASS_FORMATS = {
    "classes": ClassFormat(".tif", write_tiff),
    "probabilities": ClassFormat(".tif", write_probabilities),
    "png": ClassFormat(".png", write_png),
    "zarr": ClassFormat(".ome.zarr", write_zarr),
    "geojson": ClassFormat(".geojson", write_geojson),
}
"""The formats by name; no other place lists them."""


def _probabilities_of(found: ClassMosaic, number: int, window: Window) -> NDArray[np.uint8]:
    return found.steps(window)[number]


def _features(found: ClassMosaic) -> Iterator[dict[str, Any]]:
    classes = found.classes(Window.whole(found.shape))
    for number, name in enumerate(found.names[1:], start=1):
        for rings in areas(classes == number):
            yield {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring[:, ::-1].tolist() for ring in rings]},
                "properties": {
                    "objectType": "annotation",
                    "classification": {"name": name, "color": palette()[number].tolist()},
                },
            }


def _write_pages(
    pages: Sequence[Callable[[Window], NDArray]],
    shape: tuple[int, int],
    path: Path,
    options: dict[str, Any],
    about: dict[str, Any],
) -> None:
    """Write images of one shape that are read window by window."""
    options |= {"metadata": None, "description": json.dumps(about)}
    size = shape if len(pages) == 1 else (len(pages), *shape)
    with atomic_file(path) as temporary:
        if max(shape) <= LARGEST_IN_STRIPS:
            image = np.stack([read(Window.whole(shape)) for read in pages]).reshape(size)
            tifffile.imwrite(temporary, image, **options)
        else:
            every = (tile for read in pages for tile in tiles(read, shape, _BYTE))
            options |= tiled_options(len(pages) * shape[0] * shape[1])
            tifffile.imwrite(temporary, every, shape=size, dtype=_BYTE, **options)
