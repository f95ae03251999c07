"""Nikon's ND2, by the library nd2, frame by frame."""

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from nd2 import ND2File
from numpy.typing import NDArray

from nucseg.images.microscopes import SceneFacts

_INNER = ("C", "Y", "X", "S")  # the axes of a frame


def open_file(path: Path, name: str) -> "_Nd2":
    """Open a file."""
    return _Nd2(ND2File(path))


class _Nd2:
    """See `MicroscopeFile`; positions are scenes."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._sizes: dict[str, int] = dict(file.sizes)
        self.scenes = tuple(self._positions())

    def _positions(self) -> list[str]:
        count = self._sizes.get("P", 1)
        loops = [loop for loop in self._file.experiment if loop.type == "XYPosLoop"]
        names = [str(point.name or "") for point in loops[0].parameters.points] if loops else []
        return names if len(names) == count else [""] * count

    def scene(self, number: int) -> SceneFacts:
        axes = tuple(axis for axis in self._sizes if axis != "P")
        channels = self._file.metadata.channels or []
        calibrated = channels[0].volume.axesCalibrated if channels else (False, False)
        size = self._file.voxel_size()
        return SceneFacts(
            axes,
            tuple(self._sizes[axis] for axis in axes),
            np.dtype(self._file.dtype),
            _Pixels(self._file, self._sizes, axes, number),
            tuple(str(each.channel.name or "") for each in channels),
            (float(size.y), float(size.x)) if all(calibrated[:2]) and size.y > 0 and size.x > 0 else None,
        )


class _Pixels:
    """See `Pixels`."""

    def __init__(self, file: Any, sizes: dict[str, int], axes: tuple[str, ...], position: int) -> None:
        self._file, self._axes, self._position = file, axes, position
        self._outer = {axis: length for axis, length in sizes.items() if axis not in _INNER}
        self._lock = Lock()
        self._frame = lru_cache(maxsize=1)(self._read)

    def _read(self, number: int) -> NDArray:
        return np.array(self._file.read_frame(number))

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray:
        place = dict(zip(self._axes, index, strict=True)) | {"P": self._position}
        outer = [place[axis] for axis in self._outer]
        number = int(np.ravel_multi_index(outer, tuple(self._outer.values()))) if outer else 0
        with self._lock:
            frame = self._frame(number)
        return frame[tuple(place[axis] for axis in self._axes if axis in _INNER)]
