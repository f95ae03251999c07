"""One reader for the nuclei of an image, whatever tool outlined them."""

import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.annotations import coco, geojson, imagej_rois, kaggle_rle
from nucseg.datasets.annotations.checks import check_label_image, check_outlines, without_regions
from nucseg.datasets.folders import SUFFIXES as IMAGE_SUFFIXES
from nucseg.datasets.folders import files
from nucseg.images.io import read_labels
from nucseg.masks.labels import labels_from_pixels

logger = logging.getLogger(__name__)

SUFFIXES = (*IMAGE_SUFFIXES, ".zip", ".roi", ".geojson", ".json", ".csv")
"""Suffixes of the files that are read."""


def annotation_files(folder: Path) -> list[Path]:
    """Return the files of outlined nuclei of a folder, by name; other tables than run lengths are left out."""
    return [path for path in files(folder, SUFFIXES) if path.suffix.lower() != ".csv" or kaggle_rle.is_rle(path)]


def image_of(path: Path) -> str:
    """Return the name, without its suffix, of the image that a file of outlined nuclei belongs to."""
    return path.stem.removesuffix(".geojson")  # nucseg writes a.geojson.zip


def read_annotations(path: Path, shape: tuple[int, int], image: str) -> tuple[NDArray[np.int32], int]:
    """Read the outlined nuclei of one image as a label image.

    A pixel that two nuclei share belongs to the smaller one. A file without any nucleus is an image without nuclei.
    What is odd but can be used is logged.

    Args:
        path: A label image (also of floats that are whole numbers), a zip of Fiji's ROIs or one `.roi`, QuPath's
            GeoJSON (also in a zip), COCO's JSON, or Kaggle's run lengths.
        shape: `(H, W)` of the image.
        image: Name of the image in a file of several images (COCO, Kaggle): its file name without its suffix.

    Returns:
        The label image `(H, W)` int32, and the number of pixels that several nuclei shared.

    Raises:
        InputError: The file is unreadable, of another image or not of areas, or it does not tell nuclei apart: a mask,
            a class map or an image instead of a label image, or one outline around many nuclei.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        labels, shared = read_labels(path), 0
        notes = check_label_image(labels, str(path))
    else:
        outlines, notes = without_regions(_outlines(path, shape, image), shape)
        labels, shared = labels_from_pixels(outlines, shape)
        notes += check_outlines(labels, str(path))
    for note in notes:
        logger.warning("%s: %s", path.name, note)
    return labels, shared


def _outlines(path: Path, shape: tuple[int, int], image: str) -> list[tuple[NDArray[np.intp], str]]:
    """Read the pixels and the kind of each object, which is empty where the file knows no kinds."""
    try:
        return list(_objects(path, shape, image))
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}). It is damaged; save it again.") from error


def _objects(path: Path, shape: tuple[int, int], image: str) -> Iterator[tuple[NDArray[np.intp], str]]:
    if path.suffix.lower() == ".csv":
        yield from ((pixels, "") for pixels in kaggle_rle.read(path, shape, image))
        return
    content = path.read_bytes()
    if path.suffix.lower() == ".roi":
        yield from ((pixels, "") for pixels in imagej_rois.read({path.name: content}, shape, str(path)))
        return
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
            if len(names) != 1 or not names[0].endswith((".geojson", ".json")):
                rois = {name: archive.read(name) for name in names}
                yield from ((pixels, "") for pixels in imagej_rois.read(rois, shape, str(path)))
                return
            content = archive.read(names[0])
    document: Any = json.loads(content.decode("utf-8-sig"))
    if isinstance(document, dict) and "annotations" in document:
        yield from ((pixels, "") for pixels in coco.read(document, shape, str(path), image))
    else:
        pixels_of = list(geojson.read(document, shape, str(path)))
        yield from zip(pixels_of, geojson.object_types(document), strict=True)
