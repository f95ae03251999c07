"""A frame around an image: rows and columns of one exact value at its border, left by a screenshot or a shift."""

import numpy as np
from numpy.typing import NDArray

from nucseg.core.window import Window
from nucseg.images.grid import Grid
from nucseg.images.surroundings import STRANGE

_DEEPEST = 128  # pixels of a side that are looked at; a wider strip is an area without data


class Border:
    """The complete rows and columns of one value at the border of an image, found band by band.

    Args:
        shape: (rows, columns) of the image.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._rows: dict[int, NDArray] = {}
        self._columns: dict[int, NDArray] = {}

    def add(self, pixels: NDArray, top: int) -> None:
        """Add a band of full rows `(h, w, C)`, of which `top` is the first."""
        for row in _ends(self._shape[0]):
            if top <= row < top + len(pixels) and (pixels[row - top] == pixels[row - top, 0]).all():
                self._rows[row] = pixels[row - top, 0].copy()
        if top == 0:
            self._columns = {column: pixels[0, column].copy() for column in _ends(self._shape[1])}
        if self._columns:
            columns = list(self._columns)
            equal = (pixels[:, columns] == np.stack(list(self._columns.values()))).all(axis=(0, 2))
            self._columns = {column: self._columns[column] for column, same in zip(columns, equal, strict=True) if same}

    def inside(self, grid: Grid) -> Window | None:
        """Return the part of the image inside the frame; None if there is no frame.

        A side counts if two rows (or columns) or more are equal, and their value is rare in the rest of the image.

        Args:
            grid: The grid over all of the image.
        """
        height, width = self._shape
        depths = [
            _depth(lines, places)
            for lines, size in ((self._rows, height), (self._columns, width))
            for places in (range(size), range(size)[::-1])
        ]
        values = [self._rows.get(0), self._rows.get(height - 1), self._columns.get(0), self._columns.get(width - 1)]
        widest = Window(depths[0], depths[2], height - depths[1], width - depths[3])
        if 2 * np.prod(widest.shape) < height * width:
            return None
        top, bottom, left, right = (
            depth if depth > 1 and value is not None and _is_strange(value, widest, grid) else 0
            for depth, value in zip(depths, values, strict=True)
        )
        return Window(top, left, height - bottom, width - right) if top + bottom + left + right else None


def _ends(size: int) -> list[int]:
    """Return the places of an axis near its two ends."""
    return sorted({*range(min(_DEEPEST + 1, size)), *range(max(size - _DEEPEST - 1, 0), size)})


def _depth(lines: dict[int, NDArray], places: range) -> int:
    """Return how many lines from the border on have one value; 0 if they are more than a frame has."""
    depth = 0
    while depth < len(places) and places[depth] in lines and (lines[places[depth]] == lines[places[0]]).all():
        depth += 1
    return depth if depth <= _DEEPEST else 0


def _is_strange(value: NDArray, inside: Window, grid: Grid) -> bool:
    """Return whether few of the cells that lie inside the frame may hold its value."""
    may_hold = np.all((grid.least <= value) & (value <= grid.largest), axis=2)[grid.within(inside)]
    return may_hold.size > 0 and bool(may_hold.mean() <= STRANGE)
