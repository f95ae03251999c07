"""The user's own dataset: a folder with images and their outlined nuclei."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import DownloadError, InputError
from nucseg.core.types import Modality
from nucseg.datasets import annotations
from nucseg.datasets.base import SPLITS, DatasetInfo, RawSample
from nucseg.datasets.folders import SUFFIXES, files, read_rows
from nucseg.datasets.sources import FolderSource
from nucseg.images.io import read_image

INFO = DatasetInfo(
    name="own",
    title="Your own images",
    citation="",
    licence="yours",
    homepage="",
    may_be_empty=True,
)

SOURCE = FolderSource

DESCRIPTION = "samples.csv"
_COLUMNS = ("image_id", "split", "modality", "magnification")


def fetch(source: FolderSource, folder: Path) -> Path:
    """Return the folder of the images; it is read in place.

    Args:
        source: The folder that holds the folders `images` and `labels`.
        folder: Not used; nothing is copied.

    Raises:
        DownloadError: It does not exist, or `images` or `labels` has no file that could be read.
    """
    for name, suffixes in (("images", SUFFIXES), ("labels", annotations.SUFFIXES)):
        if not files(source.path / name, suffixes):
            raise DownloadError(
                f"data_download.own.path: {source.path / name} has no file ending in one of {', '.join(suffixes)}. "
                "Your own dataset must be a folder with the subfolders `images` and `labels`, whose files have the "
                "same names."
            )
    return source.path


def raw_samples(folder: Path) -> Iterator[RawSample]:
    """List the samples: `images/<id>.*` and `labels/<id>.*`, described in `samples.csv` if there is one.

    `annotations.read_annotations` reads the latter.

    The CSV has the column `image_id` and any of `split`, `modality` and `magnification`; for an empty cell, and for an
    image that it does not name, the rules for all datasets apply.

    Args:
        folder: What `fetch` returned.

    Yields:
        One sample for each image, by name, then one (that cannot be read) for each label image without an image.

    Raises:
        InputError: The CSV is not readable.
    """
    images, labels = files(folder / "images", SUFFIXES), annotations.annotation_files(folder / "labels")
    rows = _description(folder / DESCRIPTION)
    if strange := sorted(rows.keys() - {path.stem for path in images}):
        raise InputError(
            f"{folder / DESCRIPTION}: there is no image named {', '.join(map(repr, strange[:5]))}; image_id is the "
            "name of the file without its suffix."
        )
    by_name: dict[str, list[Path]] = {}
    for path in labels:
        by_name.setdefault(annotations.image_of(path), []).append(path)
    unused = [path for name in sorted(by_name.keys() - {path.stem for path in images}) for path in by_name[name]]
    for path in images:
        row = rows.get(path.stem, dict.fromkeys(_COLUMNS, ""))
        yield RawSample(
            image_id=path.stem,
            read=partial(_read, path, by_name.get(path.stem, []), unused, row),
            modality=row["modality"] or None,
            magnification=_magnification(row["magnification"]),
            splits=(row["split"],) if row["split"] in SPLITS else SPLITS,
        )
    for name in sorted(by_name.keys() - {path.stem for path in images}):
        yield RawSample(image_id=name, read=partial(_without_image, name))


def _description(path: Path) -> dict[str, dict[str, str]]:
    """Read the CSV as one mapping of stripped text per image; empty if there is no file."""
    rows = read_rows(path)
    columns = set(rows[0]) if rows else {"image_id"}
    if "image_id" not in columns or columns - set(_COLUMNS):
        raise InputError(
            f"{path}: has the columns {', '.join(map(str, rows[0]))}; its first line must name image_id and may name "
            f"any of {', '.join(_COLUMNS[1:])}."
        )
    found = {
        (row["image_id"] or "").strip(): {name: (row.get(name) or "").strip() for name in _COLUMNS} for row in rows
    }
    if len(found) < len(rows):
        raise InputError(f"{path}: lists an image twice; keep one line per image.")
    return found


def _magnification(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < np.inf else None


def _read(
    image: Path, labels: list[Path], unused: list[Path], row: dict[str, str]
) -> tuple[NDArray, NDArray[np.int32], int]:
    name = image.stem
    if row["split"] not in ("", *SPLITS):
        raise InputError(f"{name}: split {row['split']!r} in {DESCRIPTION}; allowed are {', '.join(SPLITS)}.")
    if row["modality"] not in ("", *get_args(Modality)):
        raise InputError(
            f"{name}: modality {row['modality']!r} in {DESCRIPTION}; allowed are {', '.join(get_args(Modality))}."
        )
    if row["magnification"] and _magnification(row["magnification"]) is None:
        raise InputError(f"{name}: magnification {row['magnification']!r} in {DESCRIPTION} must be a number above 0.")
    if not labels:
        # Tools add to the name, such as im0_cp_masks.png; im1 is none of im10's.
        alike = [path.name for path in unused if re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", path.name)]
        raise InputError(
            f"{name}: has no label image labels/{name}.tif (or {', '.join(annotations.SUFFIXES[1:])})"
            f"{f'; there is {alike[0]}: give it the name of its image' if alike else ''}."
        )
    if len(labels) > 1:
        raise InputError(
            f"{name}: is outlined in {' and '.join(path.name for path in labels)}; keep the one that counts."
        )
    pixels = read_image(image)
    return pixels, *annotations.read_annotations(labels[0], pixels.shape[:2], name)


def _without_image(name: str) -> tuple[NDArray, NDArray[np.int32], int]:
    raise InputError(f"{name}: has a label image but no image images/{name}.tif (or .png, .jpg).")
