"""The user's own class maps: a folder with images and, of the same names, class maps."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from numpy.typing import NDArray

from nucseg.core.errors import DownloadError, InputError
from nucseg.datasets.base import DatasetInfo, RawSample
from nucseg.datasets.class_maps import read_class_map, read_outlined
from nucseg.datasets.folders import SUFFIXES, files, image_files, read_rows
from nucseg.datasets.sources import LocalFolder
from nucseg.images.io import read_image

INFO = DatasetInfo(
    name="own_classes",
    title="Your own class maps",
    citation="",
    licence="yours",
    homepage="",
    truth="classes",
)
SOURCE = LocalFolder


NAMES = "classes.csv"
"""The file that names the classes: the column `name`, a class a line, from 0 on."""

MAP_SUFFIXES = (*SUFFIXES, ".geojson", ".json")
"""What class maps and outlined areas end in."""


def fetch(source: LocalFolder, folder: Path) -> Path:
    """Return the folder; it is read in place.

    Args:
        source: The folder that holds the folders `images` and `classes`.
        folder: Not used; nothing is copied.

    Raises:
        DownloadError: `images` or `classes` has no file that could be read.
    """
    for name, suffixes in (("images", SUFFIXES), ("classes", MAP_SUFFIXES)):
        if not files(source.path / name, suffixes):
            raise DownloadError(
                f"semantic.data_download.own_classes.path: {source.path / name} has no file ending in one of "
                f"{', '.join(suffixes)}. The folder must have the subfolders `images` and `classes`, whose files have "
                "the same names."
            )
    return source.path


def raw_samples(folder: Path) -> Iterator[RawSample]:
    """List the samples: `images/<id>.*` and `classes/<id>.*`, the latter class maps, or outlined areas as GeoJSON.

    `classes.csv` names the classes; outlined areas need it. What is not outlined is void.

    Args:
        folder: What `fetch` returned.

    Yields:
        One sample for each image, by name, then one (that cannot be read) for each class map without an image.

    Raises:
        InputError: `classes.csv` is not readable or has other columns, or an image has two class maps.
    """
    names = _names(folder / NAMES)
    maps: dict[str, Path] = {}
    for path in files(folder / "classes", MAP_SUFFIXES):
        if path.stem in maps:
            raise InputError(f"{path.name}: there is {maps[path.stem].name}, too; keep one class map of an image.")
        maps[path.stem] = path
    for path in image_files(folder / "images"):
        read = partial(_read, path, maps.pop(path.stem, None), names)
        yield RawSample(image_id=path.stem, read=read, classes=names)
    for name in sorted(maps):
        yield RawSample(image_id=name, read=partial(_without_image, name))


def _names(path: Path) -> tuple[str, ...] | None:
    rows = read_rows(path)
    if rows and "name" not in rows[0]:
        raise InputError(f"{path}: has no column `name`; it must name a class a line, from 0 on.")
    return tuple((row["name"] or "").strip() for row in rows) or None


def _read(image: Path, classes: Path | None, names: tuple[str, ...] | None) -> tuple[NDArray, NDArray, int]:
    if classes is None:
        raise InputError(f"{image.stem}: has no class map classes/{image.stem}.png (or .tif, .geojson).")
    pixels = read_image(image)
    if classes.suffix.lower() in SUFFIXES:
        return pixels, read_class_map(classes, image.stem), 0
    if names is None:
        raise InputError(f"{image.stem}: {classes.name} needs {NAMES}, with the names of the classes from 0 on.")
    return pixels, read_outlined(classes, pixels.shape[:2], image.stem, names), 0


def _without_image(name: str) -> tuple[NDArray, NDArray, int]:
    raise InputError(f"{name}: has a class map but no image images/{name}.tif (or .png, .jpg).")
