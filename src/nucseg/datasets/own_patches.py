"""Patches of one's own: a folder `positive` and a folder `negative`."""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import DownloadError, InputError
from nucseg.datasets.base import SPLITS, DatasetInfo, RawSample
from nucseg.datasets.folders import SUFFIXES, image_files, read_rows
from nucseg.datasets.points import NEGATIVE, POSITIVE, SMALLEST_SEARCHED, draw_points
from nucseg.datasets.sources import LocalFolder
from nucseg.images.io import read_image

INFO = DatasetInfo(
    name="own_patches",
    title="Your own patches",
    citation="",
    licence="yours",
    homepage="",
    truth="points",
)
SOURCE = LocalFolder

CASES = "cases.csv"
CLASSES = {"positive": POSITIVE, "negative": NEGATIVE}

_COLUMNS = ("file", "case", "split")
_SMALLEST = 32
_LARGEST = SMALLEST_SEARCHED - 2  # what is further from the centre is not annotated


def fetch(source: LocalFolder, folder: Path) -> Path:
    """Return the folder: it is read where it lies.

    Args:
        source: The folder that holds `positive` and `negative`.
        folder: Not used; nothing is copied.

    Raises:
        DownloadError: One of the two has no image.
    """
    for name in CLASSES:
        if not image_files(source.path / name):
            raise DownloadError(
                f"patches.data_download.own_patches.path: {source.path / name} has no image. Your own patches must be "
                f"in the folders `positive` and `negative`, as files ending in one of {', '.join(SUFFIXES)}."
            )
    return source.path


def raw_samples(folder: Path) -> Iterator[RawSample]:
    """List the samples: each image of `positive` and `negative`, its class that of its centre.

    `cases.csv`, where there is one, has the columns `file` (such as `positive/a.png`), `case` and, if wanted, `split`;
    all patches of a case go to the same split. An image that it does not name is a case of its own.

    Args:
        folder: What `fetch` returned.

    Yields:
        One sample an image, by class and name.

    Raises:
        InputError: The CSV is not readable, names a missing file, or has one case in two splits.
    """
    files = [path for name in CLASSES for path in image_files(folder / name)]
    rows = _cases(folder / CASES, {f"{path.parent.name}/{path.name}" for path in files})
    for path in files:
        case, split = rows.get(f"{path.parent.name}/{path.name}", (f"{path.parent.name}-{path.stem}", ""))
        yield RawSample(
            image_id=f"{path.parent.name}_{path.stem}",
            read=partial(_read, path),
            modality="histology",
            splits=(split,) if split else SPLITS,
            case=case,
        )


def _cases(path: Path, files: set[str]) -> dict[str, tuple[str, str]]:
    """Read case and split of each file; empty where there is no table."""
    rows = read_rows(path)
    columns = set(rows[0]) if rows else set(_COLUMNS)
    if not {"file", "case"} <= columns <= set(_COLUMNS):
        raise InputError(
            f"{path}: has the columns {', '.join(map(str, rows[0]))}; it must have file, case and may have split."
        )
    splits: dict[str, set[str]] = defaultdict(set)
    found: dict[str, tuple[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        name, case, split = ((row.get(column) or "").strip() for column in _COLUMNS)
        if name not in files:
            raise InputError(f"{path}, line {line}: there is no file {name!r}; write it as positive/a.png.")
        if not case or name in found:
            raise InputError(f"{path}, line {line}: {name} {'is listed twice' if case else 'has no case'}.")
        if split not in ("", *SPLITS):
            raise InputError(f"{path}, line {line}: split {split!r}; allowed are {', '.join(SPLITS)}.")
        found[name] = case, split
        splits[case].add(split)
    for case, chosen in splits.items():
        if len(chosen) > 1:
            listed = " and ".join(sorted(each or "(none)" for each in chosen))
            raise InputError(f"{path}: the case {case!r} is in the splits {listed}; each case must be in one split.")
    return found


def _read(path: Path) -> tuple[NDArray, NDArray[np.int32], int]:
    image = read_image(path)
    height, width = image.shape[:2]
    if min(height, width) < _SMALLEST:
        raise InputError(
            f"{path.parent.name}/{path.name}: is {height} x {width} pixels; {_SMALLEST} a side are needed."
        )
    top, left = max((height - _LARGEST) // 2, 0), max((width - _LARGEST) // 2, 0)
    image = image[top : top + _LARGEST, left : left + _LARGEST]
    middle = np.array(image.shape[:2]) / 2
    return image, draw_points(image.shape[:2], middle[:1], middle[1:], CLASSES[path.parent.name]), 0
