"""Leica's LIF, by the library liffile, frame by frame."""

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from liffile import LifFile
from numpy.typing import NDArray

from nucseg.images.microscopes import SceneFacts


def open_file(path: Path, name: str) -> "_Lif":
    """Open a file."""
    return _Lif(LifFile(path))


class _Lif:
    """See `MicroscopeFile`; its images are scenes."""

    def __init__(self, file: Any) -> None:
        self._images = list(file.images)
        self.scenes = tuple(str(image.name) for image in self._images)

    def scene(self, number: int) -> SceneFacts:
        image = self._images[number]
        steps = {axis: _step(image.coords.get(axis)) for axis in ("Y", "X")}
        rows, columns = steps["Y"], steps["X"]
        # The file calls its channels by the colours that they are shown in, which are no names: they are numbered.
        return SceneFacts(
            tuple(image.dims),
            tuple(image.shape),
            np.dtype(image.dtype),
            _Pixels(image),
            pixel_size=(rows, columns) if rows and columns else None,
        )


def _step(metres: NDArray | None) -> float:
    """Return the micrometres between two pixels, or 0."""
    return abs(float(metres[1] - metres[0])) * 1e6 if metres is not None and len(metres) > 1 else 0.0


class _Pixels:
    """See `Pixels`."""

    def __init__(self, image: Any) -> None:
        self._image = image
        self._lock = Lock()
        self._frame = lru_cache(maxsize=1)(self._read)

    def _read(self, *place: tuple[str, int]) -> NDArray:
        return np.array(self._image.frame(**dict(place)))

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray:
        inner = self._image.frames.frame_dims
        along = dict(zip(self._image.dims, index, strict=True))
        with self._lock:
            frame = self._frame(*((axis, place) for axis, place in along.items() if axis not in inner))
        return frame[tuple(along[axis] for axis in inner)]
