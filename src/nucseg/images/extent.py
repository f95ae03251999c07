"""The part of an image that is predicted: its tissue, regions that a user drew, or both."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.outlines import Outlines, read_outlines
from nucseg.images.source import ImageSource
from nucseg.images.tissue import cells_shape, find_tissue, overview

_BLOCK = 512  # pixels a side of the blocks of which statistics are made

Tissue = Literal["auto", "none"] | Path
"""How tissue is found: `auto` on slides, `none` for no limit, or a GeoJSON file with its outlines."""


@dataclass(frozen=True)
class Extent:
    """The part of an image that is predicted.

    Attributes:
        shape: (rows, columns) of the image.
        cells: Bool, a grid over the image: cells in which something is predicted.
        outlines: What a nucleus must lie in besides.
        notes: Remarks for the user, each without the name of the image.
    """

    shape: tuple[int, int]
    cells: NDArray[np.bool_]
    outlines: tuple[Outlines, ...] = ()
    notes: tuple[str, ...] = ()

    def touches(self, window: Window, shape: tuple[int, ...]) -> bool:
        """Return whether something is predicted in a window of the image, resized to `shape`."""
        (top, bottom), (left, right) = (
            (start * count // length, -(-stop * count // length))
            for start, stop, count, length in zip(window[:2], window[2:], self.cells.shape, shape[:2], strict=True)
        )
        return bool(self.cells[top:bottom, left:right].any())

    def holds(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return in which points, `(N, 2)`, nuclei are predicted: row and column of pixel corners."""
        places = (points * np.divide(self.cells.shape, self.shape)).astype(np.intp)
        rows, columns = np.minimum(places, np.subtract(self.cells.shape, 1)).T
        held: NDArray[np.bool_] = self.cells[rows, columns]
        for outlines in self.outlines:
            held = held & outlines.hold(points)
        return held

    def packed(self, source: ImageSource) -> ImageSource:
        """Return an image that is made of those blocks of an image, or of a level, in which something is predicted.

        They lie below each other, so that statistics of the tissue are those of an image.
        """
        height, width = source.shape[:2]
        side = min(_BLOCK, height, width)
        corners = [
            (min(top, height - side), min(left, width - side))
            for top in range(0, height, side)
            for left in range(0, width, side)
            if self.touches(Window(top, left, min(top + side, height), min(left + side, width)), source.shape)
        ]

        def read(window: Window) -> NDArray:
            parts = []
            for number in range(window.top // side, -(-window.bottom // side)):
                first, last = max(window.top - number * side, 0), min(window.bottom - number * side, side)
                top, left = corners[number]
                parts.append(source.read(Window(top + first, left + window.left, top + last, left + window.right)))
            return np.concatenate(parts)

        return replace(source, shape=(len(corners) * side, side, *source.shape[2:]), read=read, levels=())


def extent_of(source: ImageSource, tissue: Tissue = "auto", region: Path | None = None) -> Extent | None:
    """Find the part of an image that is predicted; None for all of it.

    Args:
        source: The image.
        tissue: How its tissue is found.
        region: A GeoJSON file with the regions to predict.

    Raises:
        InputError: A file cannot be read, all its outlines lie outside the image, or no tissue is found.
    """
    shape = (source.shape[0], source.shape[1])
    size = cells_shape(shape)
    cells, notes = np.ones(size, bool), []
    outlines = tuple(read_outlines(path) for path in (tissue, region) if isinstance(path, Path))
    for each in outlines:
        _check_inside(each, source)
        cells &= each.cells(size, shape)
    if tissue == "auto" and source.is_slide:
        found = find_tissue(overview(source), _largest(source.dtype))
        if not found.any():
            raise InputError(
                f"{source.name}: no tissue is found on it; predict all of it (--tissue none), or give its outlines "
                "(--tissue FILE.geojson)."
            )
        notes.append(f"{found.mean():.1%} of it is tissue (--tissue auto); nothing else is predicted.")
        cells &= found
    elif not outlines:
        return None
    if not cells.any():
        raise InputError(f"{source.name}: there is no tissue in the region; give another, or --tissue none.")
    if outlines:
        notes.append(
            f"{cells.mean():.1%} of it is predicted, for the outlines in {', '.join(o.file for o in outlines)}."
        )
    return Extent(shape, cells, outlines, tuple(notes))


def _largest(dtype: np.dtype) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0


def _check_inside(outlines: Outlines, source: ImageSource) -> None:
    boxes = outlines.boxes
    inside = (boxes[:, 2:] > 0).all(1) & (boxes[:, :2] < source.shape[:2]).all(1)
    if not inside.any():
        rows, columns = source.shape[:2]
        first, last = boxes[:, :2].min(0), boxes[:, 2:].max(0)
        raise InputError(
            f"{source.name}: the outlines in {outlines.file} lie outside the image, which has {rows} rows and "
            f"{columns} columns: in rows {first[0]:.0f} to {last[0]:.0f}, columns {first[1]:.0f} to {last[1]:.0f}. "
            "Give them in pixels of the full resolution."
        )
