"""Label image as TIFF: tiled, zlib-compressed, BigTIFF if it is large, with the pixel size."""

import math
from collections.abc import Callable, Iterator, Sequence
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

LARGEST_IN_STRIPS = 1024
"""Pixels a side up to which an image is written in strips, which every reader supports."""

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
    _write(_cells(field), field.source.pixel_size, path)


def write_stack(fields: Sequence[Field], path: Path) -> None:
    """Write `([T, ][Z, ]H, W)`, with the names of the axes: for ImageJ, or as OME-TIFF where that cannot hold it.

    Args:
        fields: The planes with their nuclei, the last axis changing fastest.
        path: The file.
    """
    _write_stack(fields, [field.nuclei for field in fields], path)


def write_stack_of_cells(fields: Sequence[Field], path: Path) -> None:
    """Write the label images of the cells like those of the nuclei, with the same numbers.

    Args:
        fields: The planes with their nuclei, with cells.
        path: The file.
    """
    _write_stack(fields, [_cells(field) for field in fields], path)


def _cells(field: Field) -> LabelWindows:
    if field.cells is None:
        raise InputError(f"{field.source.name}: has no cells; say by how much nuclei grow to cells (--expand).")
    return field.cells


def _write_stack(fields: Sequence[Field], labels: Sequence[LabelWindows], path: Path) -> None:
    dtype = _dtype(max(int(field.numbers.max(initial=0)) for field in fields if field.numbers is not None))
    first = fields[0]
    shape = (*(count for _, count in first.axes), *first.nuclei.shape)
    axes = "".join(axis.upper() for axis, _ in first.axes) + "YX"
    options = shared_options(first.source.pixel_size)
    whole = Window.whole(first.nuclei.shape)
    planes = (field.numbered(each.labels(whole)).astype(dtype) for field, each in zip(fields, labels, strict=True))
    with atomic_file(path) as temporary:
        if dtype == np.uint16 and math.prod(shape) * dtype.itemsize < _BIGTIFF_BYTES:
            options |= {"imagej": True, "metadata": {"axes": axes}}
        else:
            size = first.source.pixel_size
            physical = {"PhysicalSizeY": size[0], "PhysicalSizeX": size[1]} if size else {}
            options |= {"ome": True, "bigtiff": True, "metadata": {"axes": axes, **physical}}
        tifffile.imwrite(
            temporary, planes, shape=shape, dtype=dtype, maxworkers=2, buffersize=_WAITING_BYTES, **options
        )


def _dtype(largest: int) -> np.dtype:
    return np.dtype(np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32)


def shared_options(pixel_size: tuple[float, float] | None, photometric: str = "minisblack") -> dict[str, Any]:
    """Return what every TIFF is written with.

    Args:
        pixel_size: Micrometres of rows and columns, or None.
        photometric: What a value stands for.
    """
    options: dict[str, Any] = {"photometric": photometric, "compression": "zlib", "software": "nucseg"}
    if pixel_size:
        rows, columns = pixel_size
        options |= {"resolution": (1e4 / columns, 1e4 / rows), "resolutionunit": "CENTIMETER"}
    return options


def _write(nuclei: LabelWindows, pixel_size: tuple[float, float] | None, path: Path) -> None:
    dtype = _dtype(len(nuclei))
    height, width = nuclei.shape
    options = {**shared_options(pixel_size), "metadata": None}
    with atomic_file(path) as temporary:
        if max(height, width) <= LARGEST_IN_STRIPS:
            labels = nuclei.labels(Window.whole(nuclei.shape)).astype(dtype)
            tifffile.imwrite(temporary, labels, **options)
        else:
            tifffile.imwrite(
                temporary,
                tiles(nuclei.labels, nuclei.shape, dtype),
                shape=nuclei.shape,
                dtype=dtype,
                **tiled_options(height * width * dtype.itemsize),
                **options,
            )


def tiled_options(size: int) -> dict[str, Any]:
    """Return what a tiled TIFF of some bytes before compression is written with."""
    return {
        "tile": (_TILE, _TILE),
        "bigtiff": size > _BIGTIFF_BYTES,
        "maxworkers": 2,
        "buffersize": _WAITING_BYTES,
    }


def tiles(read: Callable[[Window], NDArray], shape: tuple[int, int], dtype: np.dtype) -> Iterator[NDArray]:
    """Yield the tiles of an image `(H, W)` that is read window by window, in the order in which a TIFF holds them."""
    height, width = shape
    for top in range(0, height, _TILE):
        for left in range(0, width, _COLUMNS):
            part = read(Window(top, left, min(top + _TILE, height), min(left + _COLUMNS, width)))
            for start in range(0, part.shape[1], _TILE):
                tile = np.zeros((_TILE, _TILE), dtype)
                piece = part[:, start : start + _TILE]
                tile[: piece.shape[0], : piece.shape[1]] = piece
                yield tile
