"""The result of one tile, small enough to be kept, sent between processes and saved for `--resume`."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from nucseg.core.arrays import opened_arrays, write_arrays
from nucseg.core.window import Window


@dataclass(frozen=True)
class TileResult:
    """The nuclei that one tile found, in the frame of the image.

    The label image is kept as runs: lengths of equal pixels, row by row, and their labels.

    Attributes:
        window: The smallest window of the image that contains all the nuclei.
        lengths: `(R,)` int32, pixels; their sum is the number of pixels of `window`.
        values: `(R,)` int32; 0 is background, 1..n are the nuclei.
        scores: `(n,)` float32.
        cut: `(n,)` bool: which nuclei end at the border of what the tile saw, though the image goes on.
    """

    window: Window
    lengths: NDArray[np.int32]
    values: NDArray[np.int32]
    scores: NDArray[np.float32]
    cut: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum(self.lengths, dtype=np.int64)

    def crop(self, window: Window) -> NDArray[np.int32]:
        """Return the label image of a window of the image that lies within `window`."""
        inner = window.within(self.window)
        width = self.window.shape[1]
        first, last = np.searchsorted(self._ends, [inner.top * width, inner.bottom * width - 1], side="right")
        lengths = self.lengths[first : last + 1]
        before = int(self._ends[first] - self.lengths[first])
        rows = np.repeat(self.values[first : last + 1], lengths)[inner.top * width - before :]
        return rows[: inner.shape[0] * width].reshape(-1, width)[:, inner.left : inner.right]

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each nucleus, `(n,)`."""
        areas = np.zeros(len(self) + 1, np.int64)
        np.add.at(areas, self.values, self.lengths)
        return areas[1:]

    def middles(self) -> NDArray[np.float64]:
        """Compute the middle of each nucleus's box, `(n, 2)`: row and column of pixel corners in the image."""
        boxes = find_objects(self.crop(self.window), len(self)) if self.window else []
        corners = np.array([[(side.start, side.stop) for side in box] for box in boxes], float).reshape(-1, 2, 2)
        return corners.mean(2) + self.window[:2]

    def only(self, keep: NDArray[np.bool_]) -> "TileResult":
        """Return some of the nuclei, `keep` being `(n,)`, in the same order."""
        numbers = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
        return replace(self, values=numbers[self.values], scores=self.scores[keep], cut=self.cut[keep])

    def save(self, path: Path) -> None:
        """Write the file atomically.

        Raises:
            StorageError: It cannot be written.
        """
        write_arrays(path, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            OSError: The file is missing or damaged.
        """
        with opened_arrays(path) as data:
            window = Window(*data["window"].tolist())
            return cls(window, data["lengths"], data["values"], data["scores"], data["cut"])


def tile_result_of(
    labels: NDArray[np.int32],
    scores: NDArray[np.float32],
    place: Window,
    *,
    cut: NDArray[np.bool_],
) -> TileResult:
    """Create the result of a tile from a label image.

    Args:
        labels: Label image of the window `place`: 0 and 1..n, each present.
        scores: `(n,)`.
        place: Window in the frame of the image.
        cut: As in `TileResult`.
    """
    rows, columns = np.flatnonzero(labels.any(1)), np.flatnonzero(labels.any(0))
    if not len(rows):
        empty = np.zeros(0, np.int32)
        return TileResult(Window(place.top, place.left, place.top, place.left), empty, empty, scores, cut)
    inner = Window(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    pixels = labels[inner.slices].ravel()
    starts = np.concatenate([[0], np.flatnonzero(pixels[1:] != pixels[:-1]) + 1])
    window = Window(*(edge + start for edge, start in zip(inner, place[:2] * 2, strict=True)))
    lengths = np.diff(starts, append=pixels.size).astype(np.int32)
    return TileResult(window, lengths, pixels[starts].astype(np.int32), scores, cut)
