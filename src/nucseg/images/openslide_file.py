"""Slides that OpenSlide reads: MIRAX, Hamamatsu VMS, Sakura, and Ventana with overlapping tiles."""

from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.broken import BrokenTiles
from nucseg.images.content import Content, colour_content
from nucseg.images.source import ImageSource, reduced_copies

SUFFIXES = (".mrxs", ".vms", ".vmu", ".svslide")
"""Of files that only OpenSlide reads."""

_TILE = 512  # pixels a side of what is left out around a place that cannot be read


def open_slide(path: Path, name: str) -> Content:
    """Open a slide with OpenSlide; of one that declares bounds, what lies in these, as QuPath shows it.

    Args:
        path: The file.
        name: Name for messages.

    Raises:
        InputError: OpenSlide is not installed, or cannot read the file.
    """
    try:
        import openslide
    except ImportError as error:
        raise InputError(f"{name}: needs OpenSlide to be read: pip install 'nucseg[openslide]'.") from error
    try:
        slide = _Slide(path)
    except openslide.OpenSlideError as error:
        raise InputError(f"{name}: cannot be read by OpenSlide ({error}). Fetch or save it again.") from error
    broken = BrokenTiles(name)
    full, *levels = (slide.level(number, name, broken) for number in range(slide.handle.level_count))
    return colour_content(name, full, reduced_copies(levels, full))


class _Slide:
    """An open slide; a handle that has failed is of no more use and is replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._open()
        facts = self.handle.properties
        colour = str(facts.get("openslide.background-color", "ffffff"))
        self.background = np.array([int(colour[place : place + 2], 16) for place in (0, 2, 4)], np.float32)
        columns, rows = self.handle.dimensions
        left, top, width, height = (
            int(facts.get(f"openslide.bounds-{what}", default))
            for what, default in (("x", 0), ("y", 0), ("width", columns), ("height", rows))
        )
        self.bounds = Window(top, left, top + height, left + width)
        sizes = [float(facts.get(f"openslide.mpp-{axis}", 0)) for axis in "yx"]
        self.pixel_size = (sizes[0], sizes[1]) if min(sizes) > 0 else None

    def _open(self) -> None:
        import openslide

        self.handle: Any = openslide.OpenSlide(self._path)

    def level(self, number: int, name: str, broken: BrokenTiles) -> ImageSource:
        factor = self.handle.level_downsamples[number]
        rows, columns = (max(1, int(side / factor)) for side in self.bounds.shape)
        read = broken.reader(
            partial(self._read, number, factor), (_TILE, _TILE), self.background.astype(np.uint8), number
        )
        size = self.pixel_size if number == 0 else None
        return ImageSource(name, (rows, columns, 3), np.dtype(np.uint8), read, size, broken=broken)

    def _read(self, number: int, factor: float, window: Window) -> NDArray[np.uint8]:
        import openslide

        handle = self.handle
        place = (round(window.left * factor) + self.bounds.left, round(window.top * factor) + self.bounds.top)
        try:
            picture = np.asarray(handle.read_region(place, number, window.shape[::-1]), np.float32)
        except openslide.OpenSlideError:
            with self._lock:
                if self.handle is handle:
                    self._open()
            raise
        opaque = picture[..., 3:] / 255  # 0 where nothing was scanned
        return np.rint(picture[..., :3] * opaque + self.background * (1 - opaque)).astype(np.uint8)
