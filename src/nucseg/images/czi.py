"""ZEISS's CZI, by ZEISS's own library pylibCZIrw, region by region."""

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pylibCZIrw.czi import CziReader

from nucseg.core.errors import InputError
from nucseg.images.microscopes import SceneFacts

# The library returns blue, green and red.
_DTYPES = {"Gray8": "u1", "Gray16": "u2", "Gray32Float": "f4", "Bgr24": "u1", "Bgr48": "u2", "Bgr96Float": "f4"}


def open_file(path: Path, name: str) -> "_Czi":
    """Open a file.

    Raises:
        InputError: Its channels have several types of pixels, or one that is unknown.
    """
    return _Czi(CziReader(str(path)), name)


class _Czi:
    """See `MicroscopeFile`."""

    def __init__(self, reader: CziReader, name: str) -> None:
        self._reader = reader
        self._metadata: dict[str, Any] = reader.metadata["ImageDocument"]["Metadata"]
        self._rectangles = dict(reader.scenes_bounding_rectangle_no_pyramid) or {None: None}
        kinds = set(reader.pixel_types.values())
        if len(kinds) != 1 or not kinds <= _DTYPES.keys():
            raise InputError(
                f"{name}: has pixels of the type {', '.join(sorted(kinds))}; allowed is one of {', '.join(_DTYPES)}. "
                "Save the channel to use as a separate file."
            )
        (self._kind,) = kinds
        named = _listed(self._image("Dimensions", "S", "Scenes", "Scene"))
        names = {int(each.get("@Index", number)): str(each.get("@Name", "")) for number, each in enumerate(named)}
        self._numbers = list(self._rectangles)
        self.scenes = tuple("" if number is None else names.get(number, "") for number in self._numbers)

    def _image(self, *keys: str) -> Any:
        """Return an entry of what the file says of its image, or None."""
        found: Any = self._metadata.get("Information", {}).get("Image", {})
        for key in keys:
            found = (found or {}).get(key)
        return found

    def scene(self, number: int) -> SceneFacts:
        scene = self._numbers[number]
        rectangle = self._rectangles[scene] or self._reader.total_bounding_rectangle_no_pyramid
        box = self._reader.total_bounding_box
        # Every dimension that the file has, so that none is chosen in silence.
        outer = tuple(axis for axis in box if axis not in ("X", "Y", "S", "M") and box[axis][1] - box[axis][0] > 1)
        inner = ("Y", "X", "S") if self._kind.startswith("Bgr") else ("Y", "X")
        shape = (*(box[axis][1] - box[axis][0] for axis in outer), rectangle.h, rectangle.w, 3)[: len(outer + inner)]
        names = [str(each.get("@Name") or "") for each in _listed(self._image("Dimensions", "Channels", "Channel"))]
        corner = (rectangle.y, rectangle.x)
        pixels = _Pixels(self._reader, outer, inner, shape, corner, scene)
        return SceneFacts(
            (*outer, *inner), shape, np.dtype(_DTYPES[self._kind]), pixels, tuple(names), self._pixel_size()
        )

    def _pixel_size(self) -> tuple[float, float] | None:
        items = _listed((self._metadata.get("Scaling") or {}).get("Items", {}).get("Distance"))
        metres = {each.get("@Id"): float(each.get("Value") or 0) for each in items}
        rows, columns = metres.get("Y", 0.0) * 1e6, metres.get("X", 0.0) * 1e6
        return (rows, columns) if rows > 0 and columns > 0 else None


class _Pixels:
    """See `Pixels`."""

    def __init__(
        self,
        reader: CziReader,
        outer: tuple[str, ...],
        inner: tuple[str, ...],
        shape: tuple[int, ...],
        corner: tuple[int, int],
        scene: int | None,
    ) -> None:
        self._reader, self._outer, self._inner, self._shape = reader, outer, inner, shape
        self._corner, self._scene = corner, scene
        self._lock = Lock()

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray:
        outer, (rows, columns, *samples) = index[: len(self._outer)], index[len(self._outer) :]
        height, width = self._shape[len(self._outer) :][:2]
        (top, bottom, _), (left, right, _) = rows.indices(height), columns.indices(width)
        place = dict(zip(self._outer, outer, strict=True))
        region = (self._corner[1] + left, self._corner[0] + top, right - left, bottom - top)
        with self._lock:
            pixels = np.array(self._reader.read(roi=region, plane=place, scene=self._scene))
        return pixels[..., ::-1][..., samples[0]] if samples else pixels[..., 0]


def _listed(found: Any) -> list[dict[str, Any]]:
    """Return elements of XML, of which xmltodict returns a single one without a list."""
    return found if isinstance(found, list) else [found] if found else []
