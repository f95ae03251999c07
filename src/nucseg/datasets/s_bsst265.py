"""S-BSST265: annotated fluorescence images of tissues and cells, 10x to 63x."""

import csv
import re
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.archives import fetch_archive
from nucseg.datasets.base import Archive, DatasetInfo, RawSample
from nucseg.datasets.sources import ArchiveSource
from nucseg.datasets.zips import read_entry
from nucseg.images.io import decode_image, decode_labels

ARCHIVE = Archive(
    url="https://www.ebi.ac.uk/biostudies/files/S-BSST265/dataset.zip",
    sha256="8285987ed4d57c46a46a55a33c1c085875ea41f429b59cde31d249741aa07ad1",
    name="dataset.zip",
    expected=(
        r"(^|/)image_description\.csv$",
        r"(^|/)rawimages/[^/]+\.tiff?$",
        r"(^|/)groundtruth/[^/]+\.tiff?$",
    ),
    max_unpacked_bytes=16 * 2**30,
)
INFO = DatasetInfo(
    name="s_bsst265",
    title="S-BSST265 (annotated fluorescence nuclear images)",
    citation=(
        "Kromp et al., An annotated fluorescence image dataset for training nuclear segmentation methods, "
        "Scientific Data 7, 262, 2020, doi:10.1038/s41597-020-00608-w"
    ),
    licence="not stated by BioStudies; the re-deposit S-BIAD634 is CC0 1.0",
    homepage="https://www.ebi.ac.uk/biostudies/studies/S-BSST265",
    archive=ARCHIVE,
)
SOURCE = ArchiveSource

_NAME, _SPLIT, _CLASS, _MAGNIFICATION = "Image_Name", "Train-/Testset split", "Testset class", "Magnification"
# Validation images are chosen from the official training images by a hash; the official test images stay as they are.
_SPLITS = {"train": ("train", "val"), "test": ("test",)}


def fetch(source: ArchiveSource, folder: Path) -> Path:
    """Fetch the archive; see `fetch_archive`."""
    return fetch_archive(INFO, ARCHIVE, source, folder)


def raw_samples(archive: Path) -> Iterator[RawSample]:
    """List the samples: `rawimages/<name>.tif` and `groundtruth/<name>.tif`, described in `image_description.csv`.

    Args:
        archive: The zip file; it is read in place and stays open until the last sample is taken.

    Yields:
        One sample for each row of the CSV, in its order, then one (that cannot be read) for each image without a row.

    Raises:
        InputError: The CSV cannot be read or lacks a column.
    """
    with zipfile.ZipFile(archive) as opened:
        images, labels = _entries(opened, "rawimages"), _entries(opened, "groundtruth")
        rows = _description(opened, archive)
        for row in rows:
            name = row[_NAME]
            splits = _SPLITS.get(row[_SPLIT].lower())
            yield RawSample(
                image_id=name,
                read=partial(_read, opened, row, images.get(name), labels.get(name)),
                modality="fluorescence",
                magnification=_magnification(row[_MAGNIFICATION]),
                test_class=row[_CLASS] if row[_CLASS] not in ("", "-") else None,
                splits=splits or ("train",),
            )
        for name in sorted(images.keys() - {row[_NAME] for row in rows}):
            yield RawSample(image_id=name, read=partial(_undescribed, name), modality="fluorescence")


def _entries(archive: zipfile.ZipFile, folder: str) -> dict[str, str]:
    """Map the stem of each TIFF in a folder of the archive to its entry."""
    entries = {}
    for name in archive.namelist():
        path = PurePosixPath(name)
        if path.parent.name == folder and path.suffix.lower() in (".tif", ".tiff") and not path.name.startswith("."):
            entries[path.stem] = name
    return entries


def _description(archive: zipfile.ZipFile, path: Path) -> list[dict[str, str]]:
    """Read the CSV (`;` between columns, CRLF) as one mapping of stripped text per row."""
    name = next((name for name in archive.namelist() if PurePosixPath(name).name == "image_description.csv"), None)
    if name is None:
        raise InputError(f"{path}: has no image_description.csv. Fetch the archive again.")
    try:
        text = read_entry(archive, name).getvalue().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, {name}: is not UTF-8 text ({error}). Fetch the archive again.") from error
    header, *rows = list(csv.reader(text.splitlines(), delimiter=";")) or [[]]
    columns = [column.strip() for column in header]
    missing = [column for column in (_NAME, _SPLIT, _CLASS, _MAGNIFICATION) if column not in columns]
    if missing:
        raise InputError(f"{path}, {name}: lacks the columns {missing}; it has {columns}. Fetch the archive again.")
    return [
        dict.fromkeys(columns, "") | dict(zip(columns, map(str.strip, row), strict=False)) for row in rows if any(row)
    ]


def _magnification(text: str) -> float | None:
    """Read `20x` or `2,5x`; None if no number is given."""
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*x?", text, re.IGNORECASE)
    return float(match[1].replace(",", ".")) if match and float(match[1].replace(",", ".")) > 0 else None


def _read(
    archive: zipfile.ZipFile, row: dict[str, str], image_entry: str | None, label_entry: str | None
) -> tuple[NDArray, NDArray[np.int32], int]:
    name = row[_NAME]
    if row[_SPLIT].lower() not in _SPLITS:
        raise InputError(f"{name}: {_SPLIT!r} is {row[_SPLIT]!r}; allowed are {sorted(_SPLITS)}.")
    if not image_entry:
        raise InputError(f"{name}: has no image rawimages/{name}.tif in the archive.")
    if not label_entry:
        raise InputError(f"{name}: has no label image groundtruth/{name}.tif in the archive.")
    image = decode_image(read_entry(archive, image_entry), image_entry)
    return image, decode_labels(read_entry(archive, label_entry), label_entry), 0


def _undescribed(name: str) -> tuple[NDArray, NDArray[np.int32], int]:
    raise InputError(f"{name}: has no row in image_description.csv, so its split is not known.")
