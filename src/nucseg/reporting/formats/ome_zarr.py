"""OME-Zarr 0.4 and 0.5: the image and, in its group `labels`, the nuclei; both as pyramids."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray

from nucseg.core.files import atomic_folder
from nucseg.core.window import Window
from nucseg.images.planes import ALPHA, COLOURS
from nucseg.images.source import ImageSource
from nucseg.measurements.field import Field

LABELS = "nuclei"
"""The name of the label image in the group `labels`."""

_CHUNK = 1024  # pixels a side
_LAST_LEVEL_SIDE = 512  # pixels of the longer side of the pyramid's last level

Version = Literal["0.4", "0.5"]
"""The versions of OME-Zarr that are written."""


def write(field: Field, path: Path) -> None:
    """Write a folder of version 0.4 (Zarr 2), which napari, Fiji and QuPath open.

    Source: https://ngff.openmicroscopy.org/0.4/

    Args:
        field: The nuclei, and the image; its pixels are copied into the folder, so that the nuclei can be seen on it.
        path: The folder.
    """
    _write(field, path, "0.4")


def write_v05(field: Field, path: Path) -> None:
    """Write a folder of version 0.5 (Zarr 3), which fewer programs open.

    Source: https://ngff.openmicroscopy.org/0.5/

    Args:
        field: As of `write`.
        path: The folder.
    """
    _write(field, path, "0.5")


def _write(field: Field, path: Path, version: Version) -> None:
    source = field.source
    with atomic_folder(path) as temporary:
        root = zarr.open_group(temporary, mode="w", zarr_format=2 if version == "0.4" else 3)
        write_image(root, source, field.name, version)
        group = root.create_group("labels")
        describe(group, version, labels=[LABELS])
        labels = group.create_group(LABELS)
        write_labels(labels, field, version, LABELS)


def write_image(group: zarr.Group, source: ImageSource, name: str, version: Version) -> None:
    """Write the image as a pyramid into a group.

    Args:
        group: Of the Zarr format that belongs to the version.
        source: The image.
        name: Its name.
        version: The version of OME-Zarr.
    """
    is_colour = len(source.shape) == 3

    def pixels(window: Window) -> NDArray:
        part = source.read(window)
        return np.moveaxis(part, -1, 0) if is_colour else part

    axes = ([{"name": "c", "type": "channel"}] if is_colour else []) + label_axes(source)
    shape = (*source.shape[2:], *source.shape[:2])
    levels = _write_pyramid(group, pixels, shape, source.dtype, _mean, axes)
    about: dict[str, Any] = {"multiscales": [_multiscales(name, axes, levels, source, version)]}
    if is_colour:
        colours = ("FF0000", "00FF00", "0000FF", "FFFFFF")
        window = _display_range(source.dtype)
        about["omero"] = {
            "channels": [
                {"label": label, "color": colour, "window": window}
                for label, colour in zip((*COLOURS, ALPHA)[: source.shape[2]], colours, strict=False)
            ]
        }
    describe(group, version, **about)


def write_labels(group: zarr.Group, field: Field, version: Version, name: str) -> None:
    """Write the label image of the nuclei as a pyramid into a group.

    Args:
        group: As of `write_image`.
        field: The nuclei and the image.
        version: The version of OME-Zarr.
        name: The name of the label image.
    """
    levels, axes = write_label_pyramid(group, field), label_axes(field.source)
    facts = {"version": version} if version == "0.4" else {}
    describe(
        group,
        version,
        multiscales=[_multiscales(name, axes, levels, field.source, version)],
        **{"image-label": {**facts, "source": {"image": "../../"}}},
    )


def write_label_pyramid(group: zarr.Group, field: Field) -> list[tuple[int, int]]:
    """Write the label image of the nuclei and its reduced copies, without metadata; return the size of each level."""
    nuclei = field.nuclei
    dtype = np.dtype(np.uint16 if len(nuclei) <= np.iinfo(np.uint16).max else np.uint32)

    def read(window: Window) -> NDArray:
        return nuclei.labels(window).astype(dtype)

    return _write_pyramid(group, read, nuclei.shape, dtype, _every, label_axes(None))


def describe(group: zarr.Group, version: Version, **about: Any) -> None:
    """Write OME-Zarr's metadata of a group where the version has them."""
    group.attrs.update(about if version == "0.4" else {"ome": {"version": version, **about}})


def _write_pyramid(
    group: Any,
    read: Callable[[Window], NDArray],
    shape: tuple[int, ...],
    dtype: np.dtype,
    halve: Callable[[NDArray], NDArray],
    axes: list[dict[str, str]],
) -> list[tuple[int, int]]:
    """Write levels `0`, `1`, ..., each half the size of the one before; return the (rows, columns) of each."""
    sizes = [(shape[-2], shape[-1])]
    while max(sizes[-1]) > _LAST_LEVEL_SIDE:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    layout: dict[str, Any] = {"dimension_names": [axis["name"] for axis in axes]}
    if group.metadata.zarr_format == 2:
        layout = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    for level, size in enumerate(sizes):
        chunks = (*shape[:-2], min(_CHUNK, size[0]), min(_CHUNK, size[1]))
        array = group.create_array(
            str(level),
            shape=(*shape[:-2], *size),
            chunks=chunks,
            dtype=dtype,
            **layout,
        )
        finer = group[str(level - 1)] if level else None
        for top, left in itertools.product(range(0, size[0], _CHUNK), range(0, size[1], _CHUNK)):
            window = Window(top, left, min(top + _CHUNK, size[0]), min(left + _CHUNK, size[1]))
            if finer is None:
                part = read(window)
            else:
                part = halve(finer[..., 2 * top : 2 * window.bottom, 2 * left : 2 * window.right])
            array[..., window.top : window.bottom, window.left : window.right] = part
    return sizes


def _every(labels: NDArray) -> NDArray:
    return labels[..., ::2, ::2]


def _mean(image: NDArray) -> NDArray:
    """Average blocks of two by two pixels; a last odd row or column counts twice."""
    padding = [(0, 0)] * (image.ndim - 2) + [(0, side % 2) for side in image.shape[-2:]]
    even = np.pad(image, padding, mode="edge").astype(np.float64)
    mean = (even[..., ::2, ::2] + even[..., 1::2, ::2] + even[..., ::2, 1::2] + even[..., 1::2, 1::2]) / 4
    return (mean if image.dtype.kind == "f" else np.rint(mean)).astype(image.dtype)


def label_axes(source: ImageSource | None) -> list[dict[str, str]]:
    """Return the axes of rows and columns, in micrometres if the pixel size of an image is known."""
    unit = {"unit": "micrometer"} if source and source.pixel_size else {}
    return [{"name": axis, "type": "space", **unit} for axis in "yx"]


def _multiscales(
    name: str, axes: list[dict[str, str]], levels: list[tuple[int, int]], source: ImageSource, version: Version
) -> dict[str, Any]:
    rows, columns = source.pixel_size or (1.0, 1.0)
    leading = [1.0] * (len(axes) - 2)
    return {
        **({"version": version} if version == "0.4" else {}),  # of the whole group, from 0.5 on
        "name": name,
        "axes": axes,
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [*leading, rows * 2**level, columns * 2**level]}
                ],
            }
            for level in range(len(levels))
        ],
    }


def _display_range(dtype: np.dtype) -> dict[str, float]:
    largest = float(np.iinfo(dtype).max) if dtype.kind in "ui" else 1.0
    return {"min": 0.0, "max": largest, "start": 0.0, "end": largest}
