"""Label image as TIFF: tiled, zlib-compressed, BigTIFF if it is large, with the pixel size."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.files import atomic_file
from nucseg.core.window import Window
from nucseg.measurements.field import Field
from nucseg.measurements.regions import LabelWindows

_TILE = 512  # pixels a side
_COLUMNS = 8 * _TILE  # pixels of a label image that are computed at once, so that memory does not grow with its width
_BIGTIFF_BYTES = 2**31  # bytes before compression, above which BigTIFF is used
_WAITING_BYTES = 2**25  # bytes that may wait for compression; a second thread compresses while the next tiles are drawn


def write(field: Field, path: Path) -> None:
    """Write `(H, W)` uint16, or uint32 above 65,535 nuclei; a small image in strips, which every reader supports.

    Args:
        field: The nuclei.
        path: The file.
    """
    _write(field.nuclei, field.source.pixel_size, path)


def write_cells(field: Field, path: Path) -> None:
    """Write the label image of the cells like that of the nuclei, with the same numbers.

    Args:
        field: The nuclei, with cells.
        path: The file.

    Raises:
        InputError: There are no cells.
    """
    if field.cells is None:
        raise InputError(f"{field.source.name}: has no cells; say by how much nuclei grow to cells (--expand).")
    _write(field.cells, field.source.pixel_size, path)


def _write(nuclei: LabelWindows, pixel_size: tuple[float, float] | None, path: Path) -> None:
    dtype = np.dtype(np.uint16 if len(nuclei) <= np.iinfo(np.uint16).max else np.uint32)
    height, width = nuclei.shape
    options: dict[str, Any] = {
        "photometric": "minisblack",
        "compression": "zlib",
        "metadata": None,
        "software": "nucseg",
    }
    if pixel_size:
        rows, columns = pixel_size
        options |= {"resolution": (1e4 / columns, 1e4 / rows), "resolutionunit": "CENTIMETER"}
    with atomic_file(path) as temporary:
        if max(height, width) <= 2 * _TILE:
            labels = nuclei.labels(Window.whole(nuclei.shape)).astype(dtype)
            tifffile.imwrite(temporary, labels, **options)
        else:
            tifffile.imwrite(
                temporary,
                _tiles(nuclei, dtype),
                shape=nuclei.shape,
                dtype=dtype,
                tile=(_TILE, _TILE),
                bigtiff=height * width * dtype.itemsize > _BIGTIFF_BYTES,
                maxworkers=2,
                buffersize=_WAITING_BYTES,
                **options,
            )


def _tiles(nuclei: LabelWindows, dtype: np.dtype) -> Iterator[NDArray]:
    height, width = nuclei.shape
    for top in range(0, height, _TILE):
        for left in range(0, width, _COLUMNS):
            part = nuclei.labels(Window(top, left, min(top + _TILE, height), min(left + _COLUMNS, width)))
            for start in range(0, part.shape[1], _TILE):
                tile = np.zeros((_TILE, _TILE), dtype)
                piece = part[:, start : start + _TILE]
                tile[: piece.shape[0], : piece.shape[1]] = piece
                yield tile
