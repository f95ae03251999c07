"""Kaggle's run lengths of one or several images: `ImageId,EncodedPixels`."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.datasets.folders import read_rows

_COLUMNS = ["ImageId", "EncodedPixels"]


def is_rle(path: Path) -> bool:
    """Return whether the first line of a CSV is that of run lengths; a table of measurements is none."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader(file), [])[:2] == _COLUMNS


def read(path: Path, shape: tuple[int, int], image: str) -> Iterator[NDArray[np.intp]]:
    """Read the pixels of each nucleus of an image.

    Source: https://www.kaggle.com/c/data-science-bowl-2018/overview/evaluation

    Args:
        path: The CSV.
        shape: `(H, W)` of the image.
        image: Name of the image without its suffix; in a file of one image, that one is meant.

    Raises:
        InputError: The image is not in the file, or a row is not made of runs of pixels of the image.
    """
    rows = [(line, row["ImageId"] or "", row["EncodedPixels"] or "") for line, row in enumerate(read_rows(path), 2)]
    named = {name for _, name, _ in rows}
    if len(named) > 1:
        rows = [row for row in rows if image in (row[1], Path(row[1]).stem)]
        if not rows:
            raise InputError(f"{path}: has no image named {image!r}, only {', '.join(sorted(named)[:5])}.")
    for line, _, runs in rows:
        yield _pixels(runs, shape, f"{path}, line {line}")


def _pixels(runs: str, shape: tuple[int, int], place: str) -> NDArray[np.intp]:
    height, width = shape
    try:
        starts, lengths = np.array(runs.split(), np.int64).reshape(-1, 2).T
    except (ValueError, OverflowError):
        raise InputError(f"{place}: {runs[:40]!r} is not pairs of a start and a length.") from None
    ends = starts - 1 + lengths
    if len(starts) and (starts.min() < 1 or lengths.min() < 1 or ends.max() > height * width):
        raise InputError(f"{place}: has pixels outside of an image of {width} x {height} pixels.")
    columns, lines = np.divmod(np.concatenate([np.arange(0), *map(np.arange, starts - 1, ends)]), height)
    return np.unique(lines * width + columns)
