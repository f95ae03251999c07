"""Tiles of a large file that cannot be read: they are left blank and named, and the rest is read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window

_TRIED = 64  # tiles, after which a file of which most are broken is given up
_NAMED = 3


@dataclass
class BrokenTiles:
    """The tiles of a file that could not be read so far; may be used by several threads.

    Args:
        name: Name of the file for messages.
        earlier: What `message` returned in an earlier run whose nuclei are used.
    """

    name: str
    earlier: str | None = None
    _found: dict[tuple[int, Window], str] = field(default_factory=dict)
    _whole: int = 0
    _lock: Lock = field(default_factory=Lock)

    def message(self) -> str | None:
        """Return one line that names them; None if all could be read."""
        with self._lock:
            found = sorted(self._found.items())
        if not found:
            return self.earlier
        called = [
            f"rows {tile.top} to {tile.bottom - 1}, columns {tile.left} to {tile.right - 1}"
            + (f" of level {level}" if level else "")
            for (level, tile), _ in found[:_NAMED]
        ]
        more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        tiles = "a tile is broken and was" if len(found) == 1 else f"{len(found)} tiles are broken and were"
        return (
            f"{self.name}: {tiles} left out, so that nuclei may be missing: {'; '.join(called)}{more} ({found[0][1]}). "
            "Fetch or save the file again."
        )

    def reader(
        self, read: Callable[[Window], NDArray], tile: tuple[int, int], blank: NDArray, level: int = 0
    ) -> Callable[[Window], NDArray]:
        """Return a function that reads windows of an image like `read`, with blank pixels for broken tiles.

        Args:
            read: Raises an exception where a tile of the window cannot be read.
            tile: (rows, columns) of a tile.
            blank: A blank pixel, `()` or `(C,)`, of the dtype of the image.
            level: Number of the level that is read; 0 is the full resolution.
        """

        def tolerant(window: Window) -> NDArray:
            try:
                return read(window)
            except MemoryError:
                raise
            except Exception:  # a decoder may raise anything
                return self._by_tiles(read, window, tile, blank, level)

        return tolerant

    def _by_tiles(
        self, read: Callable[[Window], NDArray], window: Window, tile: tuple[int, int], blank: NDArray, level: int
    ) -> NDArray:
        pixels = np.empty((*window.shape, *blank.shape), blank.dtype)
        pixels[:] = blank
        rows, columns = tile
        for top in range(window.top // rows * rows, window.bottom, rows):
            for left in range(window.left // columns * columns, window.right, columns):
                place = Window(top, left, top + rows, left + columns)
                part = place.common(window)
                try:
                    pixels[part.within(window).slices] = read(part)
                except MemoryError:
                    raise
                except Exception as error:
                    self._add(level, place, " ".join(f"{type(error).__name__}: {error}".split()))
                else:
                    self._whole += 1
        return pixels

    def _add(self, level: int, tile: Window, why: str) -> None:
        with self._lock:
            self._found.setdefault((level, tile), why)
            if len(self._found) >= _TRIED and len(self._found) > self._whole:
                raise InputError(f"{self.name}: most of its tiles cannot be read ({why}). Fetch or save it again.")
