"""Patches around nuclei, at the pixel size that a classifier was trained at."""

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.geometry import needed_for, resize_part
from nucseg.images.source import ImageSource

PIXEL_SIZES = (0.08, 1.0)
"""Micrometres: the range of objectives of 10x to 100x. A TIFF that only tells how it is printed lies outside."""

_CELL = 512  # pixels a side of what is read at once, plus the side of a patch
_SAME_SIZE = 0.02  # relative difference of pixel sizes up to which nothing is resampled


class PatchReader:
    """Cuts patches out of a slide, which is resampled window by window and reflected at its borders.

    Args:
        source: The slide, 8-bit RGB; see `check_slide`.
        side: Side of a patch in pixels.
        pixel_size: Micrometres per pixel of a patch.
    """

    def __init__(self, source: ImageSource, side: int, pixel_size: float) -> None:
        self._source = source
        self._side = side
        self._old = (source.shape[0], source.shape[1])
        factors = np.divide(source.pixel_size or pixel_size, pixel_size)
        factors = np.where(np.abs(factors - 1) <= _SAME_SIZE, 1, factors)
        height, width = np.maximum(1, np.rint(np.multiply(self._old, factors))).astype(int).tolist()
        self._new = (height, width)

    def patches(self, centres: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Cut one patch around each centre, those of a small area at a time, so that memory stays flat.

        Args:
            centres: `(N, 2)`: row and column in pixels of the slide, of which the first has its centre at (0, 0).

        Returns:
            `(N, side, side, 3)` uint8 RGB.
        """
        patches = np.zeros((len(centres), self._side, self._side, 3), np.uint8)
        middles = (centres + 0.5) * np.divide(self._new, self._old)
        corners = np.floor(middles - self._side / 2 + 0.5).astype(int)
        cells, groups = np.unique(corners // _CELL, axis=0, return_inverse=True)
        for cell in range(len(cells)):
            patches[groups == cell] = self._close(corners[groups == cell])
        return patches

    def _close(self, corners: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Cut the patches with these upper left corners, which lie close together."""
        # One pixel more than they hold: half a patch is reflected at a pixel that is not part of the reflection.
        first, last = corners.min(0) - 1, corners.max(0) + self._side + 1
        window = Window(*np.maximum(first, 0).tolist(), *np.minimum(last, self._new).tolist())
        missing = np.stack([window[:2] - first, last - window[2:]], axis=1)
        pixels = np.pad(self._resampled(window), (*missing.tolist(), (0, 0)), mode="reflect")
        views = np.lib.stride_tricks.sliding_window_view(pixels, (self._side, self._side), axis=(0, 1))
        rows, columns = (corners - first).T
        return np.moveaxis(views[rows, columns], 1, -1)

    def _resampled(self, window: Window) -> NDArray[np.uint8]:
        if self._new == self._old:
            return self._source.read(window)[..., :3]
        needed = needed_for(window, self._old, self._new)
        part = self._source.read(needed)[..., :3].astype(np.float32)
        return np.rint(resize_part(part, needed, self._old, window, self._new)).astype(np.uint8)


def check_slide(source: ImageSource, pixel_size: float) -> tuple[str, ...]:
    """Check that an image is a slide on which mitoses can be found.

    Args:
        source: The image.
        pixel_size: Micrometres per pixel that the classifier was trained at.

    Returns:
        Remarks for the user, each a sentence without the name of the image.

    Raises:
        InputError: It is grey, not of 8 bits, or of an unknown or impossible pixel size.
    """
    if len(source.shape) == 2 or source.shape[2] == 1:
        raise InputError(f"{source.name}: is a grey image. {_COLOURS}")
    if source.dtype != np.uint8:
        raise InputError(
            f"{source.name}: has pixels of dtype {source.dtype}; mitoses are recognised in RGB of 8 bits. Convert it."
        )
    if source.pixel_size is None:
        raise InputError(
            f"{source.name}: its pixel size is unknown, and mitoses are recognised at {pixel_size:g} µm per pixel; "
            "give it in micrometres with --pixel-size (of a request: ?pixel_size=), or save it in the file."
        )
    low, high = PIXEL_SIZES
    if not all(low <= size <= high for size in source.pixel_size):
        sizes = " x ".join(f"{size:.4g}" for size in dict.fromkeys(source.pixel_size))
        raise InputError(
            f"{source.name}: its pixel size is {sizes} µm; mitoses can be recognised from {low:g} to {high:g} µm per "
            "pixel. If the file is wrong, give the right size with --pixel-size."
        )
    coarsest = max(source.pixel_size)
    if coarsest > 1.3 * pixel_size:
        return (
            f"{coarsest:.3g} µm per pixel is coarser than the {pixel_size:g} µm that the classifier was trained at: "
            "expect more errors.",
        )
    return ()


def check_colours(name: str, channels: int) -> None:
    """Refuse a colour image that contains the information of only one channel.

    Args:
        name: Name of the image.
        channels: 1 or 3: what `nucseg.images.survey` says of the whole image.

    Raises:
        InputError: It is 1.
    """
    if channels != 3:
        raise InputError(f"{name}: its colours are those of a grey image or of one stain. {_COLOURS}")


_COLOURS = "Mitoses are recognised in the colours of haematoxylin and eosin; use the colour scan."
