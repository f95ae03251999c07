"""The user's own class maps: a folder with images and, of the same names, class maps."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from numpy.typing import NDArray

from nucseg.core.errors import DownloadError, InputError
from nucseg.datasets.base import DatasetInfo, RawSample
from nucseg.datasets.class_maps import read_class_map
from nucseg.datasets.folders import image_files
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


def fetch(source: LocalFolder, folder: Path) -> Path:
    """Return the folder; it is read in place.

    Args:
        source: The folder that holds the folders `images` and `classes`.
        folder: Not used; nothing is copied.

    Raises:
        DownloadError: `images` or `classes` has no file that could be read.
    """
    for name in ("images", "classes"):
        if not image_files(source.path / name):
            raise DownloadError(
                f"semantic.data_download.own_classes.path: {source.path / name} has no TIFF, PNG or JPEG. The folder "
                "must have the subfolders `images` and `classes`, whose files have the same names."
            )
    return source.path


def raw_samples(folder: Path) -> Iterator[RawSample]:
    """List the samples: `images/<id>.*` and `classes/<id>.*`.

    Args:
        folder: What `fetch` returned.

    Yields:
        One sample for each image, by name, then one (that cannot be read) for each class map without an image.
    """
    images = image_files(folder / "images")
    maps = {path.stem: path for path in image_files(folder / "classes")}
    for path in images:
        yield RawSample(image_id=path.stem, read=partial(_read, path, maps.pop(path.stem, None)))
    for name in sorted(maps):
        yield RawSample(image_id=name, read=partial(_without_image, name))


def _read(image: Path, classes: Path | None) -> tuple[NDArray, NDArray, int]:
    if classes is None:
        raise InputError(f"{image.stem}: has no class map classes/{image.stem}.png (or .tif).")
    return read_image(image), read_class_map(classes, image.stem), 0


def _without_image(name: str) -> tuple[NDArray, NDArray, int]:
    raise InputError(f"{name}: has a class map but no image images/{name}.tif (or .png, .jpg).")
