"""TIFF files of any kind (OME, ImageJ, BigTIFF, any compression), read window by window where they are large."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.streams import without_file
from nucseg.core.window import Window
from nucseg.images.broken import BrokenTiles
from nucseg.images.colours import Conversion, colour_conversion, has_coarse_colours, photometric
from nucseg.images.content import Content
from nucseg.images.planes import COLOURS, Channel, Planes, channel_number, choose_planes, distinct_names, plane_axes
from nucseg.images.scanners import check_stitched, scanner_pixel_size
from nucseg.images.scenes import Scene
from nucseg.images.source import BandCache, ImageSource, reduced_copies
from nucseg.images.tiff_series import TiffImage, find_image
from nucseg.images.units import micrometres

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a TIFF, of either byte order, classic or BigTIFF."""

WHOLE_BYTES = 2**27
"""A plane of up to so many bytes is read at once; a larger one window by window."""

# Notes and errors here replace tifffile's warnings; its "missing data are zeroed" would be wrong.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_INVERTED = "0 is white in it, so its values are inverted, also those that are measured."

_LARGEST_PIXEL = 20.0  # micrometres; what is larger is the resolution of a screen or printer, not of a microscope


def open_tiff(file: BinaryIO | Path, name: str, scene: Scene = None, *, as_stored: bool = False) -> Content:
    """Open a TIFF; its pixels are read later if there are many.

    Other files of the set that it belongs to are not read.

    Args:
        file: The file, or a seekable stream; it stays open as long as the content or a source is used.
        name: Name for messages.
        scene: As in `choose_scene`.
        as_stored: Whether the values are left as stored if 0 is white or if they are indices of colours.

    Raises:
        InputError: It is not one image, is truncated, or lacks tiles or strips.
        OverlappingTilesError: It is a slide whose tiles must be stitched.
    """
    path = file if isinstance(file, Path) else None
    stream = file.open("rb") if isinstance(file, Path) else file
    # tifffile looks for the other files of a set where it is given a file, and fills with zeros what it does not find.
    tiff = tifffile.TiffFile(without_file(stream), name=path.name if path else None)
    check_stitched(tiff, name)
    image = find_image(tiff, name, scene)
    series = image.series
    _check_complete(series, name)
    ends = [np.add(part.dataoffsets, part.databytecounts).max() for part in series if part is not None]
    if max(ends) > tiff.filehandle.size:
        raise InputError(f"{name}: is truncated: it ends before its image does. Fetch or save it again.")
    opened = _Tiff(name, path, tiff, image, as_stored)
    return Content(name, plane_axes(opened.axes, opened.shape), opened.source)


@dataclass(frozen=True)
class _Tiff:
    """The image of a TIFF, of which a channel and a plane can be opened; see `open_tiff`."""

    name: str
    path: Path | None
    tiff: tifffile.TiffFile
    image: TiffImage
    as_stored: bool

    @property
    def axes(self) -> str:
        return self.image.series.get_axes(squeeze=True)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image.series.get_shape(squeeze=True)

    @cached_property
    def pixels(self) -> Any:
        """All pixels: in memory if they are few, otherwise a Zarr array."""
        series = self.image.series
        is_small = series.size * series.dtype.itemsize <= WHOLE_BYTES
        return series.asarray(squeeze=True) if is_small else _lazily_opened(series)

    def source(self, channel: Channel, plane: Mapping[str, int]) -> ImageSource:
        """Open a channel and a plane; see `Content`."""
        image, name = self.image, self.name
        series, page = image.series, image.series.keyframe
        if plane and image.is_part:
            raise InputError(
                f"{name}: holds some planes of a set of files; save the whole set as one file to choose with --plane."
            )
        channel = image.local(channel, name, self.path.parent if self.path else None)
        conversion = None if self.as_stored else colour_conversion(page, name)
        several = any(
            axis not in "YXS" and length > 1 and axis.casefold() not in plane
            for axis, length in zip(self.axes, self.shape, strict=True)
        )
        of_file, of_colours = (None, channel) if conversion and not several else (channel, None)
        planes = choose_planes(
            self.axes, self.shape, name, channel=of_file, channel_names=image.channel_names, plane=plane
        )
        dtype = np.dtype(series.dtype).newbyteorder("=")
        broken = BrokenTiles(name)
        read = self._reader(planes, dtype, broken)
        is_inverted = photometric(page) == tifffile.PHOTOMETRIC.MINISWHITE and not self.as_stored
        if is_inverted:
            read = partial(_inverted, read, planes.shape)
        pixel_size, unit_notes = _pixel_size(self.tiff, image)
        inverted = (_INVERTED,) if is_inverted else ()
        notes = (*image.notes, *inverted, *orientation_note(page.tags.valueof(274)), *unit_notes)
        channels = planes.channels
        if image.channels:  # of a set of files, in which they are numbered
            names = [own or str(number) for own, number in zip(image.channel_names, image.channels, strict=True)]
            channels = distinct_names(len(names), names)
        source = ImageSource(name, planes.shape, dtype, read, pixel_size, notes, has_coarse_colours(page), channels)
        source = replace(source, broken=broken)
        if not is_inverted:
            source = replace(source, levels=reduced_copies(_levels(series, planes, source), source))
        return _in_colour(source, conversion, of_colours) if conversion else source

    def _reader(self, planes: Planes, dtype: np.dtype, broken: BrokenTiles) -> Callable[[Window], NDArray]:
        series, path = self.image.series, self.path
        page = series.keyframe
        contiguous = series.dataoffset is not None and page.is_final and page.dataoffsets[0] % dtype.itemsize == 0
        size = int(np.prod(planes.shape)) * dtype.itemsize
        if size > WHOLE_BYTES and contiguous and path:
            stored = dtype.newbyteorder(page.parent.byteorder)
            offset, shape = series.dataoffset or 0, self.shape

            def mapped(window: Window) -> NDArray:
                # Mapped anew each time: what was read of a file that stays mapped counts as memory of the process.
                pixels: NDArray = np.memmap(path, stored, mode="r", offset=offset, shape=shape)
                return np.array(planes.take(pixels, window), dtype)

            return mapped
        one_strip = not page.is_tiled and page.rowsperstrip >= page.imagelength
        array = self.pixels
        if size <= WHOLE_BYTES or one_strip:
            image = planes.take(array, Window.whole(planes.shape))
            image = image.copy() if image.size < array.size else image  # so that the other planes are not held
            return lambda window: image[window.slices]
        take = partial(planes.take, array)
        if page.is_tiled:
            return broken.reader(take, _tile(series), _blank(planes, dtype))
        width = planes.shape[1]
        return BandCache(lambda top, bottom: take(Window(top, 0, bottom, width))).window


def _levels(series: tifffile.TiffPageSeries, planes: Planes, source: ImageSource) -> Iterator[ImageSource]:
    """Open the complete reduced copies of an image, whose pixels are read when they are needed."""
    axes = series.get_axes(squeeze=True)
    for number, level in enumerate(series.levels[1:], start=1):
        if level.get_axes(squeeze=True) != axes or level.dtype != series.dtype or _lacking(level)[0]:
            continue
        size = dict(zip(axes, level.get_shape(squeeze=True), strict=True))
        read: Any = partial(_read_level, planes, cache(partial(_lazily_opened, level)))
        shape = (size["Y"], size["X"], *planes.shape[2:])
        if source.broken and level.keyframe.is_tiled:
            read = source.broken.reader(read, _tile(level), _blank(planes, source.dtype), number)
        yield replace(source, shape=shape, read=read, notes=(), pixel_size=None)


def _read_level(planes: Planes, opened: Any, window: Window) -> NDArray:
    return planes.take(opened(), window)


def _tile(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    return series.keyframe.tilelength, series.keyframe.tilewidth


def _blank(planes: Planes, dtype: np.dtype) -> NDArray:
    """Return the pixel for what cannot be read: white in a colour image, else 0."""
    colours = planes.shape[2:]
    return np.full(colours, np.iinfo(dtype).max if colours and dtype.kind == "u" else 0, dtype)


def _lazily_opened(series: tifffile.TiffPageSeries) -> Any:
    import zarr

    return zarr.open_array(series.aszarr(level=0, squeeze=True), mode="r")


def _check_complete(series: tifffile.TiffPageSeries, name: str) -> None:
    """Refuse an image that lacks tiles or strips, as sparse files do; tifffile would fill them with zeros."""
    lacking, count = _lacking(series)
    if lacking:
        parts = "tiles" if series.keyframe.is_tiled else "strips"
        raise InputError(
            f"{name}: lacks {lacking} of its {count} {parts}; fetch it again, or save it with all of them."
        )


def _lacking(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    """Count the tiles or strips that an image lacks, and all that it should have."""
    page = series.keyframe
    bare = len(page.dataoffsets) == 1 and page.compression == tifffile.COMPRESSION.NONE  # needs no count of bytes
    held = [
        np.not_equal(part.dataoffsets, 0) & (bare | np.not_equal(part.databytecounts, 0))
        for part in series
        if part is not None
    ]
    count = sum(each.size for each in held)
    return count - sum(int(each.sum()) for each in held), count


def orientation_note(orientation: object) -> tuple[str, ...]:
    """Return the note on an orientation tag of TIFF or EXIF; 2 to 8 mean that the image is turned or mirrored."""
    if orientation not in range(2, 9):
        return ()
    return (f"its orientation tag ({orientation}) is not applied: rows and columns are as stored.",)


def _in_colour(source: ImageSource, conversion: Conversion, channel: Channel) -> ImageSource:
    levels = tuple(_in_colour(level, conversion, channel) for level in source.levels)
    coloured = replace(
        source,
        shape=(*source.shape[:2], 3),
        dtype=np.dtype(np.uint8),
        read=lambda window: conversion.apply(source.read(window)),
        notes=(*source.notes, *filter(None, [conversion.note])),
        channels=COLOURS,
        levels=levels,
    )
    if channel is None:
        return coloured
    number = channel_number(channel, 3, COLOURS, source.name)
    return replace(coloured, shape=source.shape[:2], read=lambda window: coloured.read(window)[..., number])


def _inverted(read: Any, shape: tuple[int, ...], window: Window) -> NDArray:
    """Read an image in which 0 is white."""
    image = read(window)
    if image.dtype.kind in "bui":
        return ~image  # a difference from the largest value may exceed the range of signed integers
    largest = max(read(Window(row, 0, min(row + 512, shape[0]), shape[1])).max() for row in range(0, shape[0], 512))
    return largest - image


def _pixel_size(tiff: tifffile.TiffFile, image: TiffImage) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Find the pixel size (row, column) in micrometres, if the file declares one that is plausible, and notes."""
    pixels = None if image.ome is None else image.ome.find("{*}Pixels")
    if pixels is not None:
        sizes = [_number(pixels.get(f"PhysicalSize{axis}")) for axis in "YX"]
        return _plausible(sizes, [pixels.get(f"PhysicalSize{axis}Unit", "um") for axis in "YX"])
    page = image.series.keyframe
    if declared := scanner_pixel_size(tiff, page):
        return _plausible([_number(declared)] * 2, ["um"] * 2)
    unit = (tiff.imagej_metadata or {}).get("unit") if tiff.is_imagej else None
    if unit is None:
        unit = {2: "inch", 3: "cm", 4: "mm", 5: "um"}.get(int(page.resolutionunit), "")
    columns, rows = page.get_resolution()
    return _plausible([1 / each if each else 0.0 for each in (rows, columns)], [unit] * 2)


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _plausible(sizes: list[float], units: list[str]) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    if not all(0 < size < np.inf for size in sizes):
        return None, ()
    if unknown := [unit for unit in units if micrometres(unit) is None]:
        return None, (unknown_unit(unknown[0]),)
    rows, columns = (size * (micrometres(unit) or 0.0) for size, unit in zip(sizes, units, strict=True))
    return ((rows, columns) if 0 < rows <= _LARGEST_PIXEL and 0 < columns <= _LARGEST_PIXEL else None), ()


def unknown_unit(unit: str) -> str:
    """Return the note on an unknown unit of length."""
    return f"its pixel size is in {unit!r}, an unknown unit of length; give it in micrometres with --pixel-size."
