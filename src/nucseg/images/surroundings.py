"""The areas of an image without data, such as those around a scan."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.core.window import Window
from nucseg.images.grid import Grid
from nucseg.images.source import ImageSource

# A scan has next to none of the value that surrounds it, an image whose background was subtracted is full of zeros:
# they are in 0.03 to 0.5 of its pixels beside the empty areas, and so in more of its cells.
STRANGE = 0.1
"""Share of the cells of the data that may hold the value of an area without data."""

_LEAST_OUTSIDE = 0.02  # of all cells
# What was scanned is made of fields: all but a twentieth of it lies in squares of this side. Nuclei before a background
# that somebody blackened do not: of a disc of 220 pixels, a fifth lies in none.
_FIELD, _IN_FIELDS = 136, 0.95  # pixels; part of the area
# JPEG rings around the edge of the data, in blocks whose colours are _MCU pixels a side: 99 % of it by 16 grey levels
# or less at quality 75. It shows in 0.35 or more of the cells beside the area, in 0.01 or less of a lossless image's,
# but where a dark background fades to 0: there, 0.4 of the cells that follow hold an edge (BBBC038), else all of them.
_RINGING, _RINGED, _MCU, _AT_EDGE = 24, 0.2, 16, 0.6


@dataclass(frozen=True)
class Area:
    """An area without data: one exact value from the image's border on, and values near it where JPEG rings.

    Attributes:
        low: `(C,)`, the smallest value of each channel.
        high: `(C,)`, the largest; equal to `low` unless JPEG left ringing.
        cells: `(rows, columns)` bool: which cells of the grid belong entirely to it.
    """

    low: NDArray
    high: NDArray
    cells: NDArray[np.bool_]

    @cached_property
    def beside(self) -> NDArray[np.bool_]:
        """Cells next to these, in which pixels of such values also belong to the area."""
        beside: NDArray[np.bool_] = ndimage.binary_dilation(self.cells, np.ones((3, 3))) & ~self.cells
        return beside


@dataclass(frozen=True)
class Surroundings:
    """The surroundings of the data in an image.

    Attributes:
        cell: Pixels a side of a cell of the grid.
        areas: The areas without data.
        fill: `(C,)` of the image's dtype: the median of the data in each channel.
        inside: The part of the image inside a frame; None if there is no frame.
    """

    cell: int
    areas: tuple[Area, ...]
    fill: NDArray
    inside: Window | None = None

    def hold(self, part: NDArray, window: Window) -> NDArray[np.bool_]:
        """Return which pixels, `(h, w)`, of a window of the image belong to an area without data."""
        pixels = part.reshape(*part.shape[:2], -1)[..., :3]
        rows, columns = np.arange(*window[::2]), np.arange(*window[1::2])
        outside = np.zeros(part.shape[:2], bool)
        if self.inside:
            outside |= ((rows < self.inside.top) | (rows >= self.inside.bottom))[:, None]
            outside |= (columns < self.inside.left) | (columns >= self.inside.right)
        rows, columns = rows // self.cell, columns // self.cell
        for area in self.areas:
            low, high = area.low.astype(part.dtype), area.high.astype(part.dtype)
            of_value = ((low <= pixels) & (pixels <= high)).all(axis=2)
            outside |= area.cells[np.ix_(rows, columns)] | of_value & area.beside[np.ix_(rows, columns)]
        return outside

    def filled(self, source: ImageSource) -> ImageSource:
        """Fill pixels without data with the median of the data, so that there is no edge around the data."""

        def read(window: Window) -> NDArray:
            part = source.read(window)
            outside = self.hold(part, window)
            if not outside.any():
                return part
            part = part.copy()
            part.reshape(*part.shape[:2], -1)[..., :3][outside] = self.fill
            return part

        return replace(source, read=read)


def areas_without_data(grid: Grid, source: ImageSource) -> tuple[Area, ...]:
    """Find the areas without data: one exact value at the image's border, rare elsewhere, and surrounding large fields.

    Args:
        grid: The grid over all of `source`.
        source: The image; it is read again if JPEG may have left ringing beside such an area.
    """
    constant = (grid.least == grid.largest).all(axis=2)
    if np.count_nonzero(constant) < _LEAST_OUTSIDE * constant.size:
        return ()
    values, counts = np.unique(grid.least[constant], axis=0, return_counts=True)
    areas = []
    for value in values[counts >= _LEAST_OUTSIDE * constant.size]:
        pieces, _ = ndimage.label(constant & (grid.least == value).all(axis=2))
        at_border = np.unique(np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))
        area = Area(value, value, np.isin(pieces, at_border[at_border > 0]))
        if np.count_nonzero(area.cells) < _LEAST_OUTSIDE * constant.size:
            continue
        if source.dtype == np.uint8:
            area = _with_ringing(area, grid, source)
        rest = ~area.cells & ~area.beside
        has_value = ((grid.least <= value) & (value <= grid.largest)).all(axis=2)
        if rest.any() and np.count_nonzero(has_value & rest) <= STRANGE * np.count_nonzero(rest):
            areas.append(area)
    if not areas:
        return ()
    data = np.logical_and.reduce([~area.cells for area in areas])
    square = np.ones((max(_FIELD // grid.cell, 1),) * 2)
    if np.count_nonzero(ndimage.binary_opening(data, square)) < _IN_FIELDS * np.count_nonzero(data):
        return ()
    return tuple(areas)


def _with_ringing(area: Area, grid: Grid, source: ImageSource) -> Area:
    """Return the area, extended by the ringing that JPEG left beside the data, if any.

    Ringing goes up and down, so that values near the exact one lie between exact ones, in some channel; a lossless
    image has its first pixel of data there.
    """
    low, high = np.maximum(area.low - _RINGING, 0), np.minimum(area.high + _RINGING, 255)
    exact = area.low.astype(np.uint8)
    rings = np.zeros(grid.shape, bool)
    top = 0
    for band in source.bands():
        rows = np.arange(top, top + band.shape[0]) // grid.cell
        top += band.shape[0]
        if not area.beside[rows].any():
            continue
        pixels = band.reshape(*band.shape[:2], -1)[..., :3]
        equal = pixels == exact
        between = np.zeros_like(equal)
        between[1:-1] = equal[2:] & equal[:-2]
        between[:, 1:-1] |= equal[:, 2:] & equal[:, :-2]
        near = ((low.astype(np.uint8) <= pixels) & (pixels <= high.astype(np.uint8))).all(axis=2)
        row, column = np.nonzero(near & (between & ~equal).any(axis=2))
        rings[rows[row], column // grid.cell] = True
    if np.count_nonzero(rings & area.beside) < _RINGED * np.count_nonzero(area.beside):
        return area
    near_cells = ((low <= grid.least) & (grid.largest <= high)).all(axis=2)
    reach = max(_MCU // grid.cell, 1)
    cells = ndimage.binary_dilation(area.cells, np.ones((3, 3)), iterations=reach, mask=near_cells)
    grown = Area(low, high, cells | area.cells)
    # What rings is an edge: a dark background that fades away has none within the reach.
    at_edge = np.count_nonzero(grown.beside & ~near_cells) >= _AT_EDGE * np.count_nonzero(grown.beside)
    return grown if at_edge else area
