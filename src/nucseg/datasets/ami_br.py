"""AMi-Br: the mitotic figures of TUPAC16 and MIDOG21 as crops, each in the middle of 128 x 128 pixels."""

import csv
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nucseg.core.errors import DownloadError, InputError
from nucseg.datasets.base import DatasetInfo, RawSample
from nucseg.datasets.points import draw_points
from nucseg.datasets.sources import LocalFolder
from nucseg.datasets.zips import read_entry

INFO = DatasetInfo(
    name="ami_br",
    title="AMi-Br (mitotic figures of TUPAC16 and MIDOG21, 128 x 128 px at 0.25 um/px)",
    citation=(
        "Bertram et al., Histologic Dataset of Normal and Atypical Mitotic Figures on Human Breast Cancer (AMi-Br), "
        "BVM 2025, doi:10.1007/978-3-658-47422-5_25"
    ),
    licence="none stated; TUPAC16 under the terms of its challenge, MIDOG21 partly CC BY 4.0 (MIDOG++)",
    homepage="https://github.com/DeepMicroscopy/AMi-Br",
    truth="points",
)
SOURCE = LocalFolder

TABLE = "AMI-BR.csv"
_PARTS = ("TUPAC16", "MIDOG21")
_ENTRY = re.compile(r"(?:^|/)(?P<part>[A-Z0-9]+)_(?P<uid>\d+)\.webp$")
_COLUMNS = ("slide", "dataset", "uid", "x", "y")
# The first case of each laboratory of TUPAC16, and of each scanner of MIDOG21.
_LABORATORIES = {"TUPAC16": (1, 24, 49), "MIDOG21": (1, 51, 101)}


def fetch(source: LocalFolder, folder: Path) -> Path:
    """Return the folder: it is read where it lies.

    Args:
        source: The folder that holds `AMI-BR.csv`, `TUPAC16.zip` and `MIDOG21.zip` (one of them is enough).
        folder: Not used; nothing is copied.

    Raises:
        DownloadError: The table, or both archives, are missing.
    """
    if not (source.path / TABLE).is_file() or not _archives(source.path):
        raise DownloadError(
            f"patches.data_download.ami_br.path: {source.path} must hold {TABLE} and "
            f"{' or '.join(f'{part}.zip' for part in _PARTS)}; fetch them from {INFO.homepage}."
        )
    return source.path


def raw_samples(folder: Path) -> Iterator[RawSample]:
    """List the samples: one crop a row of the table whose archive is there, with all mitoses that it shows.

    Args:
        folder: What `fetch` returned.

    Yields:
        One sample a row, in the order of the table.

    Raises:
        InputError: The table is not readable.
    """
    rows = _table(folder / TABLE)
    on_slide: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        on_slide[row["dataset"], row["slide"]].append(row)
    for part, path in _archives(folder).items():
        with zipfile.ZipFile(path) as archive:
            entries = {match["uid"]: name for name in archive.namelist() if (match := _ENTRY.search(name))}
            for row in rows:
                if row["dataset"] != part:
                    continue
                case = int(re.match(r"\d+", row["slide"])[0])  # type: ignore[index]  # checked by `_table`
                laboratory = sum(case >= first for first in _LABORATORIES[part])
                yield RawSample(
                    image_id=f"{part}_{row['uid']}",
                    read=partial(_read, archive, entries.get(row["uid"]), row, on_slide[part, row["slide"]]),
                    modality="histology",
                    magnification=40.0,
                    test_class=part,
                    case=f"{part}-{case:03d}",
                    stratum=f"{part}-{laboratory}",
                )


def _archives(folder: Path) -> dict[str, Path]:
    return {part: folder / f"{part}.zip" for part in _PARTS if (folder / f"{part}.zip").is_file()}


def _table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is not readable as CSV ({error}). Fetch it again.") from error
    missing = [name for name in _COLUMNS if name not in (rows[0] if rows else {})]
    if missing:
        raise InputError(f"{path}: lacks the columns {', '.join(missing)}. Fetch it again.")
    for line, row in enumerate(rows, start=2):
        if not re.match(r"\d+", row["slide"]):
            raise InputError(f"{path}, line {line}: the slide {row['slide']!r} does not begin with a case's number.")
        try:
            float(row["x"]), float(row["y"])
        except ValueError:
            raise InputError(f"{path}, line {line}: x = {row['x']!r}, y = {row['y']!r} must be numbers.") from None
    return rows


def _read(
    archive: zipfile.ZipFile, entry: str | None, row: dict[str, str], on_slide: list[dict[str, str]]
) -> tuple[NDArray, NDArray[np.int32], int]:
    name = f"{row['dataset']}_{row['uid']}"
    if entry is None:
        raise InputError(f"{name}: has no crop in the archive.")
    try:
        with Image.open(io.BytesIO(read_entry(archive, entry).getvalue()), formats=["WEBP"]) as opened:
            image = np.asarray(opened.convert("RGB"))
    except (OSError, ValueError) as error:
        raise InputError(f"{entry}: cannot be read ({error}). Fetch the archive again.") from error
    height, width = image.shape[:2]
    rows = np.array([float(other["y"]) - float(row["y"]) + height / 2 for other in on_slide])
    columns = np.array([float(other["x"]) - float(row["x"]) + width / 2 for other in on_slide])
    shown = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return image, draw_points((height, width), rows[shown], columns[shown]), 0
