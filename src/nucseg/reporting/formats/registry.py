"""The formats by name. No other place lists them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.source import ImageSource
from nucseg.measurements.field import Field


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        suffixes: Of the files that are written for each image.
        writer: `module:function`, called with the field and the first file's path.
        stack: The function of the same module that is called with the fields of several planes; None if the format
            holds one plane.
    """

    suffixes: tuple[str, ...]
    writer: str
    stack: str | None = None


FORMATS = {
    "labels": Format((".tif",), "nucseg.reporting.formats.label_tiff:write", "write_stack"),
    "rle": Format((".csv",), "nucseg.reporting.formats.kaggle_rle:write"),
    "coco": Format((".json",), "nucseg.reporting.formats.coco:write"),
    "geojson": Format((".geojson",), "nucseg.reporting.formats.geojson:write", "write_stack"),
    "geojson_zip": Format((".geojson.zip",), "nucseg.reporting.formats.geojson:write_zip", "write_zipped_stack"),
    "rois": Format((".zip",), "nucseg.reporting.formats.imagej_rois:write", "write_stack"),
    "table": Format((".parquet", ".csv"), "nucseg.reporting.formats.table:write", "write_stack"),
    "cells": Format((".cells.tif",), "nucseg.reporting.formats.label_tiff:write_cells", "write_stack_of_cells"),
    "tracks": Format((".csv",), "nucseg.reporting.formats.tracks:write", "write_stack"),
    "overlay": Format((".png",), "nucseg.reporting.formats.overlay_png:write"),
    "numbers": Format((".png",), "nucseg.reporting.formats.overlay_png:write_numbered"),
    "zarr": Format((".ome.zarr",), "nucseg.reporting.formats.ome_zarr:write"),
    "zarr05": Format((".ome.zarr",), "nucseg.reporting.formats.ome_zarr:write_v05"),
    "spatialdata": Format((".zarr",), "nucseg.reporting.formats.spatialdata:write"),
}


def format_paths(folder: Path, name: str, formats: list[str]) -> list[Path]:
    """Return the files that an image's nuclei are written to: `<folder>/<format>/<name><suffix>`.

    Raises:
        InputError: A format is unknown.
    """
    unknown = [format_name for format_name in formats if format_name not in FORMATS]
    if unknown:
        raise InputError(f"format {', '.join(unknown)} is unknown; allowed are {', '.join(FORMATS)}.")
    return [
        folder / format_name / f"{name}{suffix}" for format_name in formats for suffix in FORMATS[format_name].suffixes
    ]


def write_format(format_name: str, field: Field, folder: Path) -> list[Path]:
    """Write the nuclei of one image with a single plane in one format; see `write_planes`."""
    return write_planes(format_name, [field], folder)


def write_planes(format_name: str, fields: Sequence[Field], folder: Path) -> list[Path]:
    """Write the nuclei of one image in one format.

    Args:
        format_name: A name in `FORMATS`.
        fields: The planes of the image: the nuclei, the pixels, and the image's name without suffix.
        folder: Folder of the formats' folders, which are created if they are missing.

    Returns:
        The files, written completely or not at all.

    Raises:
        InputError: The format is unknown, or cannot store so large an image, or several planes.
        StorageError: A file cannot be written.
    """
    paths = format_paths(folder, fields[0].name, [format_name])
    check_planes([format_name], len(fields), fields[0].source.name)
    storable = [replace(field, source=_storable(field.source)) for field in fields]
    about = FORMATS[format_name]
    module, _, function = about.writer.partition(":")
    if len(fields) == 1:
        getattr(import_module(module), function)(storable[0], paths[0])
    else:
        getattr(import_module(module), str(about.stack))(storable, paths[0])
    return paths


def check_planes(formats: Sequence[str], count: int, name: str) -> None:
    """Refuse formats that cannot hold the planes of an image.

    Args:
        formats: Names in `FORMATS`.
        count: Number of planes.
        name: Name of the image for messages.

    Raises:
        InputError: There are several planes, and one of the formats holds one.
    """
    lacking = [each for each in formats if FORMATS[each].stack is None] if count > 1 else []
    if lacking:
        able = ", ".join(each for each, about in FORMATS.items() if about.stack)
        raise InputError(
            f"{name}: {', '.join(lacking)} cannot hold {count} planes; choose one plane (--plane z=3), or among the "
            f"formats {able}."
        )


def _storable(source: ImageSource) -> ImageSource:
    """Convert pixels to a dtype that every format takes, without a change of their values.

    That is an integer, float32 or float64 in the machine's byte order; if NumPy has two names for a dtype, as for
    64-bit integers, the common one.
    """
    kind, size = source.dtype.kind, source.dtype.itemsize
    dtype = np.dtype(np.uint8 if kind == "b" else f"{kind}{min(max(size, 4), 8) if kind == 'f' else size}")
    return replace(source, dtype=dtype, read=partial(_read, source, dtype))


def _read(source: ImageSource, dtype: np.dtype, window: Window) -> NDArray:
    return source.read(window).astype(dtype, copy=False)
