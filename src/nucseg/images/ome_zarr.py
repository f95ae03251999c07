"""OME-Zarr images (versions 0.4 and 0.5) and plain Zarr arrays, read chunk by chunk."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from nucseg.core.errors import InputError
from nucseg.images.content import Content
from nucseg.images.places import file_system
from nucseg.images.planes import COLOURS, Channel, choose_planes, plane_axes
from nucseg.images.scenes import Scene, choose_scene
from nucseg.images.source import ImageSource, reduced_copies
from nucseg.images.tiff import unknown_unit
from nucseg.images.units import micrometres

_MOST_CHANNELS = 4  # along a last axis without a name; more may be the columns of a stack of many planes

_PURE = ["FF0000", "00FF00", "0000FF"]


def open_zarr(url: str | Path, name: str, scene: Scene = None) -> Content:
    """Open the full resolution of an OME-Zarr image, or a Zarr array.

    If the axes of an array have no names, the last two are rows and columns. Of three whose last is not longer than the
    first, the last is the channel axis if its length is at most 4; otherwise the array is refused.

    Args:
        url: Its URL, or its local folder as a `Path`.
        name: Name for messages.
        scene: As in `choose_scene`.

    Raises:
        InputError: It is not one image.
    """
    node = zarr.open(url, mode="r")
    if isinstance(node, zarr.Array):
        choose_scene(scene, [""], name)
        return _content(node, name, _array_axes(node, name))
    attributes: dict[str, Any] = dict(node.attrs)
    ome = attributes.get("ome", attributes)
    if not ome.get("multiscales"):
        raise InputError(
            f"{name}: is a Zarr group without `multiscales`, so not an OME-Zarr image. Give the path of its image."
        )
    called = [str(each.get("name", "")) for each in ome["multiscales"]]
    scales = ome["multiscales"][choose_scene(scene, called, name, kind="images")]
    level, level_notes = _full_resolution(node, scales["datasets"], name)
    given = [axis if isinstance(axis, dict) else {"name": axis} for axis in scales.get("axes", "tczyx")]
    axes = [_axis(str(axis["name"]), axis.get("type")) for axis in given]
    factors = np.ones(len(axes))
    for transform in [*level.get("coordinateTransformations", []), *scales.get("coordinateTransformations", [])]:
        factors = factors * transform.get("scale", np.ones(len(axes)))
    array: Any = node[level["path"]]
    units = [given[axes.index(axis)].get("unit") for axis in "YX" if axis in axes]
    sizes = [float(factors[axes.index(axis)]) for axis in "YX" if axis in axes]
    names = _channel_names(ome.get("omero") or {}, np.dtype(array.dtype))
    content = _content(array, name, axes, names, sizes, units, level_notes)
    copies: list[Any] = [node[each["path"]] for each in scales["datasets"] if each is not level]

    def source(channel: Channel, plane: Mapping[str, int]) -> ImageSource:
        opened = content.source(channel, plane)
        levels = []
        for copy in copies:
            if copy.ndim == array.ndim:
                planes = choose_planes(axes, copy.shape, name, channel=channel, channel_names=names, plane=plane)
                levels.append(ImageSource(name, planes.shape, np.dtype(copy.dtype), partial(planes.take, copy)))
        return replace(opened, levels=reduced_copies(levels, opened))

    return replace(content, source=source)


def _full_resolution(group: Any, levels: list[dict[str, Any]], name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Find the largest level, which is the first by the OME-Zarr specification."""
    lacking = [level["path"] for level in levels if level["path"] not in group]
    if lacking:
        raise InputError(f"{name}: lacks its resolution {', '.join(lacking)}; fetch or save it again.")
    largest = max(levels, key=lambda level: np.prod(group[level["path"]].shape))  # the first of equal ones
    if largest is levels[0]:
        return largest, ()
    return largest, (f"its resolutions are not in order of size; the largest ({largest['path']}) is read.",)


def _missing_chunks(array: Any, name: str) -> tuple[str, ...]:
    """Return a remark on chunks that are not stored: writers omit empty ones, and broken copies lack others."""
    files, folder = file_system(name)
    if "http" in files.protocol:
        return ()  # cannot be listed
    # Zarr's own `nchunks_initialized` takes time that grows with the square of their number.
    names = [key.rsplit("/", 1)[-1] for key in files.find(f"{folder}/{array.path}")]
    stored = sum(name != "zarr.json" and not name.startswith(".") for name in names)
    count = int(np.prod(np.ceil(np.divide(array.shape, array.shards or array.chunks))))
    if stored >= count:
        return ()
    return (
        f"{count - stored} of its {count} chunks are not stored and are read as {array.fill_value}; if they should not "
        "be empty, copy the image again.",
    )


def _array_axes(array: zarr.Array, name: str) -> list[str]:
    named = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if isinstance(named, list | tuple) and all(isinstance(each, str) for each in named):
        return [_axis(each) for each in named]
    channels_first = array.shape[0] < array.shape[-1]
    if array.ndim == 3 and not channels_first and array.shape[-1] > _MOST_CHANNELS:
        raise InputError(
            f"{name}: has three axes of {array.shape} without names; name them (`dimension_names`, such as z, y, x), "
            "or save the plane to use as a separate image."
        )
    guesses = {2: "YX", 3: "CYX" if channels_first else "YXC", 4: "TCYX", 5: "TCZYX"}
    if array.ndim not in guesses:
        raise InputError(f"{name}: shape {array.shape} is not an image.")
    return list(guesses[array.ndim])


def _axis(name: str, kind: object = None) -> str:
    """Return the name of an axis as `choose_planes` knows it."""
    if kind == "channel" or name.casefold() in ("c", "channel", "channels"):
        return "C"
    if kind == "time" or name.casefold() in ("t", "time"):
        return "T"
    return name.upper() if name.casefold() in ("x", "y", "z") else name


def _channel_names(omero: dict[str, Any], dtype: np.dtype) -> list[str]:
    """Return the labels of the channels; COLOURS if they are rendered as the colours of one picture.

    That means pure red, green and blue of 8 bits, over the same range of values, with labels that are only numbers or
    missing. Three stains are also shown in these colours, but each over its own range and with its name.
    """
    channels = omero.get("channels") or []
    labels = [str(each.get("label") or "") for each in channels]
    colours = [str(each.get("color", "")).upper() for each in channels]
    windows = [each.get("window") or {} for each in channels]
    ranges = {(window.get("start"), window.get("end")) for window in windows}
    same_range = len(ranges) == 1 and None not in next(iter(ranges))
    unnamed = all(label in ("", str(n), f"Channel {n}", f"Channel:0:{n}") for n, label in enumerate(labels))
    is_grey = (omero.get("rdefs") or {}).get("model") == "greyscale"
    if colours == _PURE and same_range and unnamed and not is_grey and dtype == np.uint8:
        return list(COLOURS)
    return labels


def _content(
    array: Any,
    name: str,
    axes: Sequence[str],
    names: Sequence[str] = (),
    sizes: Sequence[float] = (),
    units: Sequence[str | None] = (),
    notes: tuple[str, ...] = (),
) -> Content:
    factors = [micrometres(unit) for unit in units]
    unknown = [unknown_unit(str(unit)) for unit, factor in zip(units, factors, strict=True) if factor is None]
    scaled = [size * (factor or 0.0) for size, factor in zip(sizes, factors, strict=True)]
    pixel_size = (scaled[0], scaled[1]) if len(scaled) == 2 and min(scaled) > 0 else None
    missing = cache(lambda: _missing_chunks(array, name))

    def source(channel: Channel, plane: Mapping[str, int]) -> ImageSource:
        planes = choose_planes(axes, array.shape, name, channel=channel, channel_names=names, plane=plane)
        read = partial(planes.take, array)
        noted = (*notes, *unknown[:1], *missing())
        return ImageSource(name, planes.shape, np.dtype(array.dtype), read, pixel_size, noted, channels=planes.channels)

    return Content(name, plane_axes(axes, array.shape), source)
