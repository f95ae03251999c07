"""TIFF files of any kind (OME, ImageJ, BigTIFF, any compression), read window by window where they are large."""

import re
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree as ET

import numpy as np
import tifffile
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.planes import Planes, choose_planes
from nucseg.images.source import BandCache, ImageSource

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a TIFF, of either byte order, classic or BigTIFF."""

WHOLE_BYTES = 2**27
"""A plane of up to so many bytes is read at once; a larger one window by window."""

MICROMETRES = {
    "m": 1e6,
    "cm": 1e4,
    "mm": 1e3,
    "nm": 1e-3,
    "pm": 1e-6,
    "inch": 25400.0,
    **dict.fromkeys(("micron", "microns", "um", "\u00b5m", "\u03bcm", "\\u00B5m", "micrometer", "micrometre"), 1.0),
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    "nanometer": 1e-3,
}
"""Micrometres of each unit of length, as the formats spell it."""

_LARGEST_PIXEL = 20.0  # micrometres; what is larger is the resolution of a screen or printer, not of a microscope


def open_tiff(file: BinaryIO | Path, name: str, channel: str | None = None, *, as_stored: bool = False) -> ImageSource:
    """Open a TIFF as an image; its pixels are read later where there are many.

    Args:
        file: The file, or a stream that can be sought; it stays open as long as the source is used.
        name: What to call it in messages.
        channel: As in `choose_planes`.
        as_stored: Whether an image whose 0 is white is left as it is.

    Raises:
        InputError: It is not one image, or ends before its image does.
    """
    tiff = tifffile.TiffFile(file)
    first, *others = tiff.series
    page = first.keyframe
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        raise InputError(f"{name}: holds CMYK colours; convert it to RGB.")
    if any(other.size >= first.size for other in others):
        raise InputError(f"{name}: holds {len(tiff.series)} images; save the one to use by itself.")
    ends = [np.add(part.dataoffsets, part.databytecounts).max() for part in first.pages if part is not None]
    if max(ends) > tiff.filehandle.size:
        raise InputError(f"{name}: ends before its image does. Fetch or save it again.")
    axes, shape = first.get_axes(squeeze=True), first.get_shape(squeeze=True)
    planes = choose_planes(axes, shape, name, channel=channel, channel_names=_channel_names(tiff))
    dtype = np.dtype(first.dtype).newbyteorder("=")
    read = _reader(tiff, planes, dtype)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and not as_stored:
        read = partial(_inverted, read, planes.shape)
    return ImageSource(name, planes.shape, dtype, read, _pixel_size(tiff))


def _reader(tiff: tifffile.TiffFile, planes: Planes, dtype: np.dtype) -> Any:
    series = tiff.series[0]
    page = series.keyframe
    contiguous = series.dataoffset is not None and page.is_memmappable and Path(tiff.filehandle.path).is_file()
    size = int(np.prod(planes.shape)) * dtype.itemsize
    if size > WHOLE_BYTES and contiguous:
        path, stored = Path(tiff.filehandle.path), dtype.newbyteorder(tiff.byteorder)
        offset, shape = series.dataoffset or 0, series.get_shape(squeeze=True)

        def mapped(window: Window) -> NDArray:
            # Mapped anew each time: what was read of a file that stays mapped counts as memory of the process.
            pixels: NDArray = np.memmap(path, stored, mode="r", offset=offset, shape=shape)
            return np.array(planes.take(pixels, window), dtype)

        return mapped
    one_strip = not page.is_tiled and page.rowsperstrip >= page.imagelength
    array: Any
    if series.size * dtype.itemsize <= WHOLE_BYTES:
        array = series.asarray(squeeze=True)
    else:
        import zarr

        array = zarr.open_array(series.aszarr(level=0, squeeze=True), mode="r")
    if size <= WHOLE_BYTES or one_strip:
        image = planes.take(array, Window.whole(planes.shape))
        return lambda window: image[window.slices]
    take = partial(planes.take, array)
    if page.is_tiled:
        return take
    width = planes.shape[1]
    return BandCache(lambda top, bottom: take(Window(top, 0, bottom, width))).window


def _inverted(read: Any, shape: tuple[int, ...], window: Window) -> NDArray:
    """Read an image whose 0 is white."""
    image = read(window)
    if image.dtype.kind in "bu":
        return ~image
    largest = max(read(Window(row, 0, min(row + 512, shape[0]), shape[1])).max() for row in range(0, shape[0], 512))
    return largest - image


def _channel_names(tiff: tifffile.TiffFile) -> list[str]:
    if tiff.is_ome:
        return [element.get("Name", "") for element in _ome(tiff, "Channel")]
    labels = (tiff.imagej_metadata or {}).get("Labels") or []
    return [str(label) for label in labels]


def _ome(tiff: tifffile.TiffFile, tag: str) -> list[ET.Element]:
    """Find the elements of a name in the description of the first image."""
    root = ET.fromstring(tiff.ome_metadata or "<OME/>")
    image = root.find("{*}Image")
    return [] if image is None else image.findall(f".//{{*}}{tag}")


def _pixel_size(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """Find the pixel size (row, column) in micrometres, if the file says one that a microscope can have."""
    if tiff.is_ome and (pixels := _ome(tiff, "Pixels")):
        sizes = [
            float(pixels[0].get(f"PhysicalSize{axis}", 0)) * _unit(pixels[0].get(f"PhysicalSize{axis}Unit", "\u00b5m"))
            for axis in "YX"
        ]
        return _plausible(sizes)
    page = tiff.pages.first
    unit = (tiff.imagej_metadata or {}).get("unit") if tiff.is_imagej else None
    if unit is None:
        unit = {2: "inch", 3: "cm"}.get(int(page.resolutionunit), "")
    if (match := re.search(r"\bMPP ?= ?([\d.]+)", page.description)) and tiff.is_svs:
        return _plausible([float(match[1])] * 2)
    columns, rows = page.get_resolution()
    return _plausible([_unit(unit) / each if each else 0.0 for each in (rows, columns)])


def _unit(name: str) -> float:
    return MICROMETRES.get(str(name).strip(), 0.0)


def _plausible(sizes: list[float]) -> tuple[float, float] | None:
    return (sizes[0], sizes[1]) if all(0 < size <= _LARGEST_PIXEL for size in sizes) else None
