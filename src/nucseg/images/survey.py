"""What only the whole of an image tells: its channels, one stain in false colour, several stains, areas without data.

The image is read once, band by band, into a coarse grid of cells; all that is decided here is decided on that grid, so
that memory stays flat and tiles are treated as the whole is.
"""

import colorsys
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nucseg.core.checks import check_image
from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.lookup_table import Colours
from nucseg.images.source import ImageSource

_CELL = 8  # pixels a side, of a small image: a block of JPEG, whose noise averages out over it
_MOST_CELLS = 2**19  # a large image has larger cells
_SAMPLED = 1024  # pixels a side whose colours are counted
_FEWEST_CELLS = 16  # colours of fewer say nothing

_HUES = {"red": 0, "orange": 30, "yellow": 60, "green": 120, "cyan": 180, "blue": 240, "violet": 270, "magenta": 300}

# Measured on the fluorescence images of BBBC038 in eleven hues, JPEG of quality 75 to 90 included, against its 91
# histology images, StarDist's H&E and scikit-image's IHC. Apart from one grey level, the channels differ from multiples
# of one by 0.06 at most; of a second stain, that is weak and lies where the first does, from 0.065 on.
_RESIDUE = 0.08
# The colour that false colour begins with is neutral within 0.11 of its range; of tissue it differs by 0.26 at least.
_NEUTRAL = 0.15
# The weakest channel of tissue is on the average at 0.38 of the brightest cells or more; in parts of 128 pixels a side
# at 0.2, of 64 pixels at 0.16, but for one of 6,000. Where several stains lie on black, it is at 0.17 or less.
_BLACK, _DARK = 0.14, 0.2
# Saturation weighted by squared brightness: 0.58 at most in tissue, 0.58 or more in 99 of 100 merges.
_COLOURED, _HARDLY_COLOURED = 0.6, 0.1

# A scan has next to none of the value that surrounds it, an image whose background was subtracted is full of zeros:
# they are in 0.03 to 0.5 of its pixels beside the empty areas, and so in more of its cells.
_STRANGE = 0.1
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
    """An area without data: one exact value, from the image's border on, or what JPEG made of it beside the data.

    Attributes:
        low: `(C,)`, the least value of each channel.
        high: `(C,)`, the largest; equal to `low`, but where JPEG left ringing.
        cells: `(rows, columns)` bool: which cells of the grid belong to it wholly.
    """

    low: NDArray
    high: NDArray
    cells: NDArray[np.bool_]

    @cached_property
    def beside(self) -> NDArray[np.bool_]:
        """Which cells are neighbours of those: there, pixels of such values belong to the area."""
        beside: NDArray[np.bool_] = ndimage.binary_dilation(self.cells, np.ones((3, 3))) & ~self.cells
        return beside


@dataclass(frozen=True)
class Surroundings:
    """What lies around the data of an image.

    Attributes:
        cell: Pixels a side of a cell of the grid.
        areas: The areas without data.
        fill: `(C,)` of the image's dtype: the median of the data, each channel's.
    """

    cell: int
    areas: tuple[Area, ...]
    fill: NDArray

    def hold(self, part: NDArray, window: Window) -> NDArray[np.bool_]:
        """Return which pixels, `(h, w)`, of a window of the image belong to an area without data."""
        pixels = part.reshape(*part.shape[:2], -1)[..., :3]
        rows, columns = np.arange(*window[::2]) // self.cell, np.arange(*window[1::2]) // self.cell
        outside = np.zeros(part.shape[:2], bool)
        for area in self.areas:
            low, high = area.low.astype(part.dtype), area.high.astype(part.dtype)
            of_value = ((low <= pixels) & (pixels <= high)).all(axis=2)
            outside |= area.cells[np.ix_(rows, columns)] | of_value & area.beside[np.ix_(rows, columns)]
        return outside

    def filled(self, source: ImageSource) -> ImageSource:
        """Put the median of the data where there is none, so that no edge lies around the data."""

        def read(window: Window) -> NDArray:
            part = source.read(window)
            outside = self.hold(part, window)
            if not outside.any():
                return part
            part = part.copy()
            part.reshape(*part.shape[:2], -1)[..., :3][outside] = self.fill
            return part

        return replace(source, read=read)


@dataclass(frozen=True)
class Survey:
    """What the whole of an image tells about its pixels.

    Attributes:
        channels: 3 for a picture in colours, else 1.
        channel: The one to take where `channels` is 1.
        notes: What the user should know of that, each without the name of the image.
        surroundings: Around the data; None where all is data.
    """

    channels: Literal[1, 3]
    channel: int = 0
    notes: tuple[str, ...] = ()
    surroundings: Surroundings | None = None

    def canonical(self, image: NDArray) -> NDArray:
        """Reduce the image, or a part of it, to what is stored: grey `(h, w)` or RGB `(h, w, 3)`; may be a view."""
        if image.ndim == 2:
            return image
        return image[..., :3] if self.channels == 3 else image[..., self.channel]


def survey(source: ImageSource) -> Survey:
    """Look at a whole image, band by band.

    Raises:
        InputError: It is not an image, it shows several stains in colour on black, or one in a lookup table's colours.
    """
    grid, few = _Grid(source), Colours()
    step = -(-max(source.shape[:2]) // _SAMPLED)
    top, equal = 0, True
    for band in source.bands():
        check_image(band, source.name)
        pixels = band.reshape(*band.shape[:2], -1)[..., :3]
        equal = equal and all(np.array_equal(pixels[..., 0], other) for other in np.moveaxis(pixels, 2, 0)[1:])
        grid.add(pixels, top)
        if not equal:
            few.add(pixels[-top % step :: step, ::step])
        top += band.shape[0]
    means = grid.means()
    areas = _areas_without_data(grid, source)
    holds_data = np.ones(grid.shape, bool)
    for area in areas:
        holds_data &= ~area.cells & ~area.beside
    colours = means[holds_data]
    surroundings = None
    if areas and len(colours):
        fill = np.median(colours, axis=0)
        fill = fill if source.dtype.kind == "f" else np.rint(fill)
        surroundings = Surroundings(grid.cell, areas, fill.astype(source.dtype))
    if equal:
        return Survey(1, surroundings=surroundings)
    if len(colours) < _FEWEST_CELLS:
        return Survey(3, surroundings=surroundings)
    stain = _single_stain(colours, source.dtype.kind != "f")
    if stain is not None:
        channel, hue = stain
        note = f"one stain in false colour ({hue}): taken as grey." if hue else "all but grey: taken as grey."
        return Survey(1, channel, (note,), surroundings)
    if few.are_a_lookup_table():
        raise InputError(
            f"{source.name}: shows one channel in the colours of a lookup table; save the image itself, in grey."
        )
    return Survey(3, 0, _dark_colours(colours, source.name), surroundings)


class _Grid:
    """The sum, least and largest value of each channel in each cell."""

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
        """Add rows that make `count` rows of cells, or a part of one, of which `first` is the first."""
        columns = np.arange(0, pixels.shape[1], self.cell)
        rows = pixels.reshape(count, -1, pixels.shape[1] * pixels.shape[2])
        for cells, combine in ((self._sums, np.add), (self.least, np.minimum), (self.largest, np.maximum)):
            # Cells of 8 bit are small enough for float32, and that is fast.
            dtype = None if combine is not np.add else np.float32 if pixels.dtype.itemsize == 1 else np.float64
            part = combine.reduce(rows, axis=1, dtype=dtype).reshape(count, *pixels.shape[1:])
            target = cells[first : first + count]
            combine(target, combine.reduceat(part, columns, axis=1), out=target)

    def means(self) -> NDArray[np.float64]:
        """Compute the mean of each channel in each cell."""
        rows, columns = (
            np.minimum(np.arange(1, n + 1) * self.cell, size) - np.arange(n) * self.cell
            for n, size in zip(self.shape, self._size, strict=True)
        )
        means: NDArray[np.float64] = self._sums / (rows[:, None] * columns)[..., None]
        return means


def _single_stain(colours: NDArray[np.float64], whole_numbers: bool) -> tuple[int, str] | None:
    """Find the channel of which all others are multiples, from a faint offset on.

    Args:
        colours: `(N, 3)` means of cells.
        whole_numbers: Whether the image has an integer dtype, and so is rounded.

    Returns:
        The brightest channel and the name of the hue, which is empty for grey; None where there is no such channel.
    """
    covariance = np.cov(colours.T)
    variance = np.diag(covariance)
    channel = int(np.argmax(variance))
    if variance[channel] == 0:
        return None
    slopes = np.maximum(covariance[channel] / variance[channel], 0)
    residue = np.sqrt(np.maximum(variance - 2 * slopes * covariance[channel] + slopes**2 * variance[channel], 0))
    dark, bright = np.percentile(colours[:, channel], (1, 99.8))
    level = max((bright - dark) / 255, 1.0 if whole_numbers else 0.0)
    # Where the channels are multiples of one, there is a dark value at which they are all equal: 0, or the offset.
    offsets = colours.mean(0) - slopes * colours[:, channel].mean()
    neutral = np.dot(offsets, 1 - slopes) / max(np.dot(1 - slopes, 1 - slopes), 1e-6)
    neutral = np.clip(neutral, min(dark, 0), dark + 0.1 * (bright - dark))
    unlike = np.abs(offsets - (1 - slopes) * neutral)
    if (residue > level + _RESIDUE * np.sqrt(variance[channel])).any() or (unlike > _NEUTRAL * (bright - dark)).any():
        return None
    hue, saturation, _ = colorsys.rgb_to_hsv(*slopes.clip(0, 1).tolist())
    if saturation < 0.1:
        return channel, ""
    return channel, min(_HUES, key=lambda name: abs((360 * hue - _HUES[name] + 180) % 360 - 180))


def _dark_colours(colours: NDArray[np.float64], name: str) -> tuple[str, ...]:
    """Refuse what is several stains on black, warn of what may be."""
    colours = colours.clip(0)
    least, largest = colours.min(1), colours.max(1)
    darkness = least.mean() / max(np.percentile(largest, 99.8), 1e-12)
    coloured = ((largest - least) * largest).sum() / max((largest**2).sum(), 1e-12)
    remedy = "choose that of the nuclei with --channel 0, 1 or 2 (red, green, blue)"
    if darkness >= _DARK or coloured < _HARDLY_COLOURED:
        return ()
    if darkness < _BLACK and coloured >= _COLOURED:
        raise InputError(
            f"{name}: shows several stains in colour on black; {remedy}, or, for one stain in a lookup table or with "
            "coloured annotations, save it as a grey image."
        )
    return (f"a dark picture in colours, taken for stained tissue; if they are several stains, {remedy}.",)


def _areas_without_data(grid: _Grid, source: ImageSource) -> tuple[Area, ...]:
    """Find the areas without data: of one exact value, at the image's border, strange to the rest, around fields."""
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
        if rest.any() and np.count_nonzero(has_value & rest) <= _STRANGE * np.count_nonzero(rest):
            areas.append(area)
    if not areas:
        return ()
    data = np.logical_and.reduce([~area.cells for area in areas])
    square = np.ones((max(_FIELD // grid.cell, 1),) * 2)
    if np.count_nonzero(ndimage.binary_opening(data, square)) < _IN_FIELDS * np.count_nonzero(data):
        return ()
    return tuple(areas)


def _with_ringing(area: Area, grid: _Grid, source: ImageSource) -> Area:
    """Return the area with what JPEG made of its exact value beside the data, if it did.

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
