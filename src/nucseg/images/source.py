"""An image that is read window by window, so that memory does not grow with it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from nucseg.core.checks import check_image
from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.broken import BrokenTiles
from nucseg.images.planes import Stain

SLIDE_PIXELS = 2**26
"""A larger image that has reduced copies is a slide."""

_BAND_PIXELS = 2**23  # of a band of rows: some tens of megabytes
_RAGGED = 2  # rows or columns of a reduced copy that may be missing or too many
_BAND_ROWS = 512  # bands begin at multiples of it, as the tiles and chunks of most files do


@dataclass(frozen=True)
class ImageSource:
    """An image whose pixels are read when they are needed.

    Attributes:
        name: Name for messages.
        shape: `(H, W)` or `(H, W, C)` with C of 1, 3 or 4.
        dtype: Dtype of the pixels.
        read: Returns the pixels of a window, `(h, w)` or `(h, w, C)`; safe to call from several threads.
        pixel_size: Micrometres, (row, column), or None if the file does not say.
        notes: Remarks for the user on how the file was read, each a sentence without the name of the image.
        coarse_colours: Whether a JPEG is compressed so far that a faint stain in one colour may be lost.
        channels: By what each channel of the file can be chosen, whether or not one is: its name, or its number.
        levels: Reduced copies of the whole image in the file, the largest first.
        stain: The stain of a colour image that is predicted on and measured instead of its colours; see
            `nucseg.images.stains`.
        broken: The tiles that could not be read so far; None if the image is read, or refused, as a whole.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[Window], NDArray]
    pixel_size: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    coarse_colours: bool = False
    channels: tuple[str, ...] = ("0",)
    levels: tuple["ImageSource", ...] = ()
    stain: Stain | None = None
    broken: BrokenTiles | None = field(default=None, compare=False, repr=False)

    @property
    def is_slide(self) -> bool:
        """Whether it is large and has reduced copies, as scans of whole slides have."""
        return bool(self.levels) and self.shape[0] * self.shape[1] > SLIDE_PIXELS

    @property
    def incomplete(self) -> str | None:
        """One line that names the tiles that could not be read so far; None if all could."""
        return self.broken.message() if self.broken else None

    def mark_incomplete(self, message: str | None) -> None:
        """Remember what an earlier run could not read of the image; None for nothing."""
        if self.broken:
            self.broken.earlier = message

    def check_whole(self) -> None:
        """Refuse an image of which tiles could not be read so far.

        Raises:
            InputError: It names them.
        """
        if self.incomplete:
            raise InputError(self.incomplete)

    def bands(self) -> Iterator[NDArray]:
        """Read the whole image in bands of full rows, from top to bottom."""
        rows = max(1, _BAND_PIXELS // self.shape[1])
        rows = rows // _BAND_ROWS * _BAND_ROWS or rows
        for top in range(0, self.shape[0], rows):
            yield self.read(Window(top, 0, min(top + rows, self.shape[0]), self.shape[1]))


def array_source(image: NDArray, name: str = "image", pixel_size: tuple[float, float] | None = None) -> ImageSource:
    """Create the source of an array in memory.

    Raises:
        InputError: It is not an image.
    """
    check_image(image, name)
    return ImageSource(name, image.shape, image.dtype, lambda window: image[window.slices], pixel_size)


def reduced_copies(levels: Iterable[ImageSource], source: ImageSource) -> tuple[ImageSource, ...]:
    """Return the images that show all of an image, smaller; the largest first.

    Args:
        levels: What the file declares to be its resolutions.
        source: The image in full resolution.
    """
    height, width = source.shape[:2]
    copies = []
    for level in levels:
        rows, columns = level.shape[:2]
        factor = max(height / rows, width / columns)
        # Scanners drop the last rows and columns that make no whole pixel.
        is_whole = abs(height / factor - rows) <= _RAGGED and abs(width / factor - columns) <= _RAGGED
        if factor > 1 and is_whole and level.shape[2:] == source.shape[2:]:
            copies.append(level)
    return tuple(sorted(copies, key=lambda level: -level.shape[0]))


def sample_windows(source: ImageSource, n: int = 4, side: int = 1024) -> Iterator[NDArray]:
    """Read a few representative windows of an image: those with the most contrast, spread over it.

    Args:
        source: The image; in a large one, nine small patches are examined.
        n: Maximum number of windows.
        side: Their rows and columns in pixels; smaller if the image is smaller.

    Yields:
        The pixels of one window after another, `(h, w)` or `(h, w, C)`, as stored.
    """
    height, width = source.shape[:2]
    side = min(side, max(height, width))
    places = [
        Window(top, left, min(top + side, height), min(left + side, width))
        for top in _spread(height, side)
        for left in _spread(width, side)
    ]

    def contrast(place: Window) -> float:
        middle = Window((place.top + place.bottom) // 2, (place.left + place.right) // 2, place.bottom, place.right)
        return float(np.std(source.read(Window(*middle[:2], *np.minimum(middle[2:], np.add(middle[:2], 256))))))

    if len(places) > n:
        places = sorted(places, key=contrast, reverse=True)[:n]
    for place in places:
        yield source.read(place)


def _spread(length: int, side: int) -> list[int]:
    """Return up to three starts of pieces that do not overlap."""
    count = min(3, max(1, length // side))
    return [round(place * (length - side) / max(count - 1, 1)) if length > side else 0 for place in range(count)]


@dataclass
class BandCache:
    """A cache of the last two bands of full rows that were read, for files whose rows cannot be read in part.

    Args:
        read: Reads full rows, from the first to before the second.
    """

    read: Callable[[int, int], NDArray]
    _kept: list[tuple[int, int, NDArray]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def window(self, window: Window) -> NDArray:
        """Return the pixels of a window."""
        with self._lock:
            for top, bottom, rows in self._kept:
                if top <= window.top and window.bottom <= bottom:
                    return rows[window.top - top : window.bottom - top, window.left : window.right]
            rows = self.read(window.top, window.bottom)
            self._kept = [*self._kept[-1:], (window.top, window.bottom, rows)]
        return rows[:, window.left : window.right]
