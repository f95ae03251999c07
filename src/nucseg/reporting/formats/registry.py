"""The formats by name. No other place lists them."""

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
    """

    suffixes: tuple[str, ...]
    writer: str


FORMATS = {
    "labels": Format((".tif",), "nucseg.reporting.formats.label_tiff:write"),
    "rle": Format((".csv",), "nucseg.reporting.formats.kaggle_rle:write"),
    "coco": Format((".json",), "nucseg.reporting.formats.coco:write"),
    "geojson": Format((".geojson",), "nucseg.reporting.formats.geojson:write"),
    "geojson_zip": Format((".geojson.zip",), "nucseg.reporting.formats.geojson:write_zip"),
    "rois": Format((".zip",), "nucseg.reporting.formats.imagej_rois:write"),
    "table": Format((".parquet", ".csv"), "nucseg.reporting.formats.table:write"),
    "cells": Format((".cells.tif",), "nucseg.reporting.formats.label_tiff:write_cells"),
    "overlay": Format((".png",), "nucseg.reporting.formats.overlay_png:write"),
    "numbers": Format((".png",), "nucseg.reporting.formats.overlay_png:write_numbered"),
    "zarr": Format((".ome.zarr",), "nucseg.reporting.formats.ome_zarr:write"),
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
    """Write the nuclei of one image in one format.

    Args:
        format_name: A name in `FORMATS`.
        field: The nuclei, the image, and its name without suffix.
        folder: Folder of the formats' folders, which are created if they are missing.

    Returns:
        The files, written completely or not at all.

    Raises:
        InputError: The format is unknown, or cannot store so large an image.
        StorageError: A file cannot be written.
    """
    paths = format_paths(folder, field.name, [format_name])
    module, _, function = FORMATS[format_name].writer.partition(":")
    getattr(import_module(module), function)(replace(field, source=_storable(field.source)), paths[0])
    return paths


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
