"""OME-Zarr images (versions 0.4 and 0.5) and plain Zarr arrays, read chunk by chunk."""

from functools import partial
from typing import Any

import numpy as np
import zarr

from nucseg.core.errors import InputError
from nucseg.images.planes import choose_planes
from nucseg.images.source import ImageSource
from nucseg.images.tiff import MICROMETRES


def open_zarr(url: str, name: str, channel: str | None = None) -> ImageSource:
    """Open the full resolution of an OME-Zarr image, or a Zarr array whose last axes are rows and columns.

    Args:
        url: Its folder or URL.
        name: What to call it in messages.
        channel: As in `choose_planes`.

    Raises:
        InputError: It is not an image.
    """
    node = zarr.open(url, mode="r")
    if isinstance(node, zarr.Array):
        guesses = {2: "YX", 3: "CYX" if node.shape[0] < node.shape[-1] else "YXC", 4: "TCYX", 5: "TCZYX"}
        if node.ndim not in guesses:
            raise InputError(f"{name}: shape {node.shape} is not an image.")
        return _source(node, name, guesses[node.ndim], channel, [], None)
    attributes: dict[str, Any] = dict(node.attrs)
    ome = attributes.get("ome", attributes)
    if not ome.get("multiscales"):
        raise InputError(f"{name}: is a Zarr group without `multiscales`: not an OME-Zarr image. Give the image in it.")
    scales = ome["multiscales"][0]
    level = scales["datasets"][0]
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in scales.get("axes", "tczyx")]
    letters = "".join(axis["name"].upper() for axis in axes)
    names = [str(each.get("label", "")) for each in ome.get("omero", {}).get("channels", [])]
    factors = np.ones(len(axes))
    for transform in [*level.get("coordinateTransformations", []), *scales.get("coordinateTransformations", [])]:
        factors = factors * transform.get("scale", np.ones(len(axes)))
    units = [MICROMETRES.get(axis.get("unit", ""), 0.0) for axis in axes]
    sizes = [float(factors[letters.index(axis)] * units[letters.index(axis)]) for axis in "YX" if axis in letters]
    pixel_size = (sizes[0], sizes[1]) if len(sizes) == 2 and min(sizes) > 0 else None
    return _source(node[level["path"]], name, letters, channel, names, pixel_size)


def _source(
    array: Any, name: str, axes: str, channel: str | None, names: list[str], pixel_size: tuple[float, float] | None
) -> ImageSource:
    planes = choose_planes(axes, array.shape, name, channel=channel, channel_names=names)
    return ImageSource(name, planes.shape, np.dtype(array.dtype), partial(planes.take, array), pixel_size)
