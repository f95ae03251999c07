"""One reader for the nuclei of an image, whatever tool outlined them."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.core.errors import InputError
from nucseg.datasets.annotations import coco, geojson, imagej_rois, kaggle_rle
from nucseg.datasets.folders import SUFFIXES as IMAGE_SUFFIXES
from nucseg.datasets.folders import files
from nucseg.images.io import read_labels
from nucseg.masks.labels import labels_from_pixels

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

    Args:
        path: A label image (also of floats that are whole numbers), a zip of Fiji's ROIs or one `.roi`, QuPath's
            GeoJSON (also in a zip), COCO's JSON, or Kaggle's run lengths.
        shape: `(H, W)` of the image.
        image: Name of the image in a file of several images (COCO, Kaggle): its file name without its suffix.

    Returns:
        The label image `(H, W)` int32, and the number of pixels that several nuclei shared.

    Raises:
        InputError: The file is unreadable, of another image, not of areas, or a mask instead of a label image.
    """
    if path.suffix.lower() in IMAGE_SUFFIXES:
        labels = read_labels(path)
        _check_numbered(labels, path)
        return labels, 0
    try:
        return labels_from_pixels(list(_nuclei(path, shape, image)), shape)
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}). It is damaged; save it again.") from error


def _nuclei(path: Path, shape: tuple[int, int], image: str) -> Iterator[NDArray[np.intp]]:
    """Read the pixels of each nucleus."""
    if path.suffix.lower() == ".csv":
        yield from kaggle_rle.read(path, shape, image)
        return
    content = path.read_bytes()
    if path.suffix.lower() == ".roi":
        yield from imagej_rois.read({path.name: content}, shape, str(path))
        return
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
            if len(names) != 1 or not names[0].endswith((".geojson", ".json")):
                yield from imagej_rois.read({name: archive.read(name) for name in names}, shape, str(path))
                return
            content = archive.read(names[0])
    document: Any = json.loads(content.decode("utf-8-sig"))
    if isinstance(document, dict) and "annotations" in document:
        yield from coco.read(document, shape, str(path), image)
    else:
        yield from geojson.read(document, shape, str(path))


def _check_numbered(labels: NDArray[np.int32], path: Path) -> None:
    """Refuse a mask: an image in which all nuclei have one value."""
    values = np.unique(labels[labels > 0])
    if len(values) == 1:
        _, pieces = ndimage.label(labels)
        if pieces > 1:
            raise InputError(
                f"{path}: has {pieces} separate areas that all have the value {values[0]}: this is a mask. Give each "
                "nucleus a number of its own (in Fiji: MorphoLibJ > Binary Images > Connected Components Labeling)."
            )
