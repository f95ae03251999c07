"""Where the tissue lies on a slide, seen on a small copy of it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from nucseg.core.window import Window
from nucseg.images.geometry import needed_for, resize_part
from nucseg.images.source import ImageSource

_CELL = 32  # pixels a side of a cell: some 8 µm of most scanners
_SIDES = (256, 2048)  # cells along the longer side: fewest and most
_BAND_PIXELS = 2**23

# The difference between the largest and the smallest channel, glass being white: glass has 0.02 or less, pale stroma
# 0.08 or more. A higher threshold would lose pale tissue, a lower one costs time only.
_COLOURED = (0.03, 0.06)
_TINT = 0.08  # the same difference, of glass and lamp together, at most
# Optical density of grey tissue on white, where the glass has the density 0.
_DENSE = (0.04, 0.10)
_SIGMAS, _FAINTEST = 5.0, 0.01  # on black: above the noise of the background, and part of the range of brightness

# Inks, by optical density: markers are denser than stained tissue, which absorbs green light the most.
_INK = 1.1  # red light in blue, green and black ink; 1.4 of green and blue light in red ink
_RED_INK = 1.4
_INK_REACH = 3  # cells around ink, whose edges are pale
_LARGEST_HOLE = 2000  # cells


def cells_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the (rows, columns) of cells over an image of `shape`."""
    longer = max(shape[:2])
    side = min(longer, max(_SIDES[0], min(_SIDES[1], longer // _CELL)))
    return max(1, round(shape[0] * side / longer)), max(1, round(shape[1] * side / longer))


def overview(source: ImageSource) -> NDArray[np.float32]:
    """Read an image as one pixel per cell, from the smallest level that is large enough.

    Returns:
        `(rows, columns)` or `(rows, columns, C)`, the means of the cells.
    """
    shape = cells_shape(source.shape)
    level = [each for each in (source, *source.levels) if each.shape[0] >= shape[0] and each.shape[1] >= shape[1]][-1]
    size = level.shape[:2]
    rows = max(1, _BAND_PIXELS // (size[0] * size[1] // shape[0]))
    bands = []
    for top in range(0, shape[0], rows):
        window = Window(top, 0, min(top + rows, shape[0]), shape[1])
        needed = needed_for(window, (size[0], size[1]), shape)
        bands.append(resize_part(level.read(needed).astype(np.float32), needed, size, window, shape))
    return np.concatenate(bands)


def find_tissue(image: NDArray[np.float32], largest: float) -> NDArray[np.bool_]:
    """Find stained tissue on white glass, grey tissue on white, or tissue on black.

    Marks of pens, shadows and what was not scanned are left out as far as colours tell. Where in doubt a cell counts as
    tissue, for that costs time only.

    Args:
        image: `(rows, columns)` or `(rows, columns, C)`, see `overview`.
        largest: The largest value that a pixel can have, or that one has.

    Returns:
        `(rows, columns)`.
    """
    pixels = image.reshape(*image.shape[:2], -1)[..., :3] / np.float32(largest)
    empty = (pixels == 0).all(2) | (pixels >= 1).all(2)
    if empty.all():
        return ~empty
    brightness = pixels.mean(2)
    is_colour = pixels.shape[2] == 3 and np.ptp(pixels, axis=2).max() > 0.02
    if is_colour and np.median(brightness[~empty]) > 0.35:
        tissue = _coloured(pixels, empty)
    else:
        tissue = _grey(pixels.max(2), empty)
    tissue = ndimage.binary_dilation(tissue & ~empty, iterations=2)
    holes, _ = ndimage.label(np.pad(~tissue, 1, constant_values=True))  # what reaches the border is outside
    small = np.bincount(holes.ravel()) <= _LARGEST_HOLE
    small[[0, holes[0, 0]]] = False
    return tissue | small[holes[1:-1, 1:-1]]


def _coloured(pixels: NDArray[np.float32], empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is coloured on bright glass, without ink."""
    bright = pixels[~empty]
    glass = np.median(bright[bright.mean(1) >= np.percentile(bright.mean(1), 95)], axis=0)
    if np.ptp(glass) > _TINT:  # no glass is seen
        glass = np.full(3, glass.max())
    relative = np.clip(pixels / np.maximum(glass, 0.3), 1 / 255, 1)
    chroma = np.ptp(ndimage.gaussian_filter(relative, (1, 1, 0)), axis=2)
    tissue = chroma > np.clip(_otsu(chroma[~empty]), *_COLOURED)
    red, green, blue = np.moveaxis(-np.log(relative), 2, 0)
    ink = (red > _INK) & ((red > 1.25 * green) | (np.minimum(green, blue) > 0.8 * red))
    ink |= (red < 0.5) & (green > _RED_INK) & (blue > _RED_INK)
    ink = ndimage.binary_dilation(ndimage.binary_opening(ink), iterations=_INK_REACH)
    return _without_specks(tissue & ~ink)


def _grey(brightness: NDArray[np.float32], empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is darker than a bright background, or brighter than a dark one."""
    values = brightness[~empty]
    low, high = np.percentile(values, (0.1, 99.9))
    if high <= low:
        return np.zeros_like(empty)
    counts, edges = np.histogram(values, 256, (low, high))
    background = float(edges[np.argmax(counts)] + edges[np.argmax(counts) + 1]) / 2
    smooth = ndimage.gaussian_filter(brightness, 1)
    if background - low > high - background:
        density = -np.log(np.clip(smooth / background, 1 / 255, None))
        return _without_specks(density > np.clip(_otsu(density[~empty]), *_DENSE))
    # Of fluorescence even a single cell counts, which may be no larger than a cell of the grid.
    bright = np.zeros_like(empty)
    for image in (smooth, brightness):
        below = image[~empty & (image <= background)]
        noise = float(np.sqrt(np.mean((below - background) ** 2))) if below.size else 0.0
        bright |= image > background + max(_SIGMAS * noise, _FAINTEST * (high - background))
    return bright


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    cleaned: NDArray[np.bool_] = ndimage.binary_opening(np.pad(mask, 1, mode="edge"), np.ones((2, 2)))
    return cleaned[1:-1, 1:-1]


def _otsu(values: NDArray[np.float32]) -> float:
    return float(threshold_otsu(values)) if np.ptp(values) > 0 else float(values.max())
