"""A coarse grid of cells over an image, filled band by band."""

import numpy as np
from numpy.typing import NDArray

from nucseg.core.window import Window
from nucseg.images.source import ImageSource

_CELL = 8  # pixels a side, of a small image: a block of JPEG, whose noise averages out over it
_MOST_CELLS = 2**19  # a large image has larger cells


class Grid:
    """Sum, smallest and largest value of each channel in each cell.

    Args:
        source: The image; its first three channels count.

    Attributes:
        cell: Side of a cell in pixels.
        least: `(rows, columns, C)`, the smallest value of each cell.
        largest: `(rows, columns, C)`, the largest.
    """

    def __init__(self, source: ImageSource) -> None:
        self._size = (source.shape[0], source.shape[1])
        self.cell = _CELL
        while np.prod(self.shape) > _MOST_CELLS:
            self.cell *= 2
        shape = (*self.shape, 1 if len(source.shape) == 2 else min(source.shape[2], 3))
        self._sums = np.zeros(shape)
        self.least = np.full(shape, np.inf)
        self.largest = np.full(shape, -np.inf)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of cells."""
        return -(-self._size[0] // self.cell), -(-self._size[1] // self.cell)

    def add(self, pixels: NDArray, top: int) -> None:
        """Add a band of full rows `(h, w, C)`, of which `top` is the first; a cell may get parts of several bands."""
        start = 0
        while start < len(pixels):
            missing = -(top + start) % self.cell  # rows of a cell that an earlier band began
            count = 1 if missing else max((len(pixels) - start) // self.cell, 1)
            stop = min(start + (missing or count * self.cell), len(pixels))
            self._add(pixels[start:stop], (top + start) // self.cell, count)
            start = stop

    def _add(self, pixels: NDArray, first: int, count: int) -> None:
        """Add pixel rows that fill `count` rows of cells, or a part of one, from the row of cells `first` on."""
        columns = np.arange(0, pixels.shape[1], self.cell)
        rows = pixels.reshape(count, -1, pixels.shape[1] * pixels.shape[2])
        for cells, combine in ((self._sums, np.add), (self.least, np.minimum), (self.largest, np.maximum)):
            # Cells of 8 bit are small enough for float32, and that is fast.
            dtype = None if combine is not np.add else np.float32 if pixels.dtype.itemsize == 1 else np.float64
            part = combine.reduce(rows, axis=1, dtype=dtype).reshape(count, *pixels.shape[1:])
            target = cells[first : first + count]
            combine(target, combine.reduceat(part, columns, axis=1), out=target)

    def within(self, window: Window) -> NDArray[np.bool_]:
        """Return which cells, `(rows, columns)`, lie entirely in a window of the image."""
        tops, lefts = (np.arange(count) * self.cell for count in self.shape)
        bottoms, rights = (np.minimum(at + self.cell, size) for at, size in zip((tops, lefts), self._size, strict=True))
        rows = (tops >= window.top) & (bottoms <= window.bottom)
        return rows[:, None] & (lefts >= window.left) & (rights <= window.right)

    def means(self) -> NDArray[np.float64]:
        """Compute the mean of each channel in each cell, `(rows, columns, C)`."""
        rows, columns = (
            np.minimum(np.arange(1, n + 1) * self.cell, size) - np.arange(n) * self.cell
            for n, size in zip(self.shape, self._size, strict=True)
        )
        means: NDArray[np.float64] = self._sums / (rows[:, None] * columns)[..., None]
        return means
