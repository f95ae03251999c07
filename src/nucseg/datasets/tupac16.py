"""TUPAC16: the auxiliary data set of its challenge, mitoses in fields of 73 breast cancers."""

import csv
import io
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.archives import find_or_fetch
from nucseg.datasets.base import Archive, DatasetInfo, RawSample
from nucseg.datasets.points import draw_points
from nucseg.datasets.sources import FolderOrArchive
from nucseg.images.io import decode_image

IMAGES, TRUTH = "mitoses_train_image_data", "mitoses_train_ground_truth"
ARCHIVE = Archive(
    url="",
    sha256=None,
    name="tupac16.zip",
    expected=(rf"(^|/){IMAGES}/[^/]+/[^/]+\.tiff?$", rf"(^|/){TRUTH}/[^/]+/[^/]+\.csv$"),
    max_unpacked_bytes=64 * 2**30,
)
INFO = DatasetInfo(
    name="tupac16",
    title="TUPAC16 (mitoses in fields of 73 breast cancers, 0.25 um/px)",
    citation=(
        "Veta et al., Predicting breast tumor proliferation from whole-slide images: The TUPAC16 challenge, "
        "Medical Image Analysis 54, 2019, doi:10.1016/j.media.2019.02.012"
    ),
    licence="the terms of the challenge; registration is needed",
    homepage="https://tupac.grand-challenge.org",
    truth="points",
)
SOURCE = FolderOrArchive

_LABORATORIES = (1, 24, 49)  # the first case of each


def fetch(source: FolderOrArchive, folder: Path) -> Path:
    """Return the folder where it lies, or fetch the archive.

    Args:
        source: A folder, or path or address of a zip archive, with `mitoses_train_image_data/CC/RR.tif` and
            `mitoses_train_ground_truth/CC/RR.csv`.
        folder: Where an archive goes.

    Raises:
        DownloadError: It is neither.
    """
    return find_or_fetch(INFO, ARCHIVE, source, folder)


def raw_samples(archive: Path) -> Iterator[RawSample]:
    """List the samples: one an image `CC/RR.tif` of case CC; an image without `CC/RR.csv` holds no mitosis.

    Args:
        archive: What `fetch` returned: a folder, or a zip archive that stays open until the last sample is taken.

    Yields:
        One sample an image, by case and name.

    Raises:
        InputError: There is no image in the official layout, or a case is no number.
    """
    root: Any = zipfile.Path(archive) if archive.is_file() else archive  # they read alike
    roots = [root, *(each for each in root.iterdir() if each.is_dir())]
    top = next((each for each in roots if (each / IMAGES).is_dir()), None)
    if top is None:
        raise InputError(f"{archive}: holds no folder {IMAGES}; the layout is {IMAGES}/CC/RR.tif, {TRUTH}/CC/RR.csv.")
    for folder in sorted((top / IMAGES).iterdir(), key=lambda each: each.name):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        if not folder.name.isdigit():
            raise InputError(f"{archive}: {IMAGES}/{folder.name} is no case; cases are numbers, such as 07.")
        case = int(folder.name)
        for image in sorted(folder.iterdir(), key=lambda each: each.name):
            if image.suffix.lower() not in (".tif", ".tiff") or image.name.startswith("."):
                continue
            yield RawSample(
                image_id=f"{folder.name}_{image.stem}",
                read=partial(_read, image, top / TRUTH / folder.name / f"{image.stem}.csv"),
                modality="histology",
                magnification=40.0,
                case=f"{case:02d}",
                stratum=f"laboratory {sum(case >= first for first in _LABORATORIES)}",
            )


def _read(image_file: Any, truth: Any) -> tuple[NDArray, NDArray[np.int32], int]:
    name = f"{image_file.parent.name}/{image_file.name}"
    image = decode_image(io.BytesIO(image_file.read_bytes()), name)
    rows, columns = read_points(truth, image.shape[:2]) if truth.is_file() else (np.zeros(0), np.zeros(0))
    return image, draw_points(image.shape[:2], rows, columns), 0


def read_points(file: Any, shape: tuple[int, int]) -> tuple[NDArray, NDArray]:
    """Read a ground truth: `row,column` a line, without a header.

    Args:
        file: The CSV file, a `Path` or one within an archive.
        shape: (rows, columns) of the image, inside of which every point must lie.

    Returns:
        Rows and columns, `(N,)` float64.

    Raises:
        InputError: It has a header, another number of columns or a point outside of the image; where all points fit
            with rows and columns swapped, the message says so.
    """
    name = f"{file.parent.name}/{file.name}"
    try:
        lines = [line for line in csv.reader(io.StringIO(file.read_text("utf-8-sig"))) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name}: is not readable as CSV ({error}). Fetch it again.") from error
    points = np.zeros((len(lines), 2))
    for number, line in enumerate(lines, start=1):
        try:
            row, column = line
            points[number - 1] = float(row), float(column)
        except ValueError:
            what = "a header" if number == 1 and not any(text.strip()[:1].isdigit() for text in line) else "no point"
            raise InputError(
                f"{name}, line {number}: {','.join(line)!r} is {what}; each line must be row,column, without a header."
            ) from None
    outside = ~((points >= 0) & (points < shape)).all(1)
    if outside.any():
        row, column = points[np.argmax(outside)]
        swapped = bool(((points[:, ::-1] >= 0) & (points[:, ::-1] < shape)).all())
        raise InputError(
            f"{name}, line {int(np.argmax(outside)) + 1}: row {row:g}, column {column:g} lies outside of the image of "
            f"{shape[0]} rows and {shape[1]} columns"
            + ("; with the two columns swapped all points lie inside: a line must be row,column." if swapped else ".")
        )
    return points[:, 0], points[:, 1]
