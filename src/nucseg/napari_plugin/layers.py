"""The pixels of napari's layers as nucseg takes them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError


def place_of(layer: Any, plane: str) -> tuple[int, ...]:
    """Find the plane of a layer.

    Args:
        layer: An image or labels.
        plane: A number from 0 for each axis before rows and columns, separated by commas.

    Returns:
        Its index.

    Raises:
        InputError: A number is missing or out of range.
    """
    sizes = leading_axes(layer)
    numbers = [part.strip() for part in plane.split(",") if part.strip()]
    if len(numbers) != len(sizes) or not all(number.isdecimal() for number in numbers):
        wanted = f"give a number for each, such as {','.join('0' * len(sizes))}" if sizes else "leave the plane empty"
        raise InputError(
            f"{layer.name}: plane {plane!r} does not fit its axes before rows and columns, of the sizes {sizes}; "
            f"{wanted}."
        )
    place = tuple(map(int, numbers))
    for number, size in zip(place, sizes, strict=True):
        if number >= size:
            raise InputError(f"{layer.name}: plane {plane!r} is beyond its axes of the sizes {sizes}, counted from 0.")
    return place


def pixels_of(layer: Any, place: tuple[int, ...]) -> NDArray:
    """Return a plane of a layer: `(H, W)`, or `(H, W, 3)` or `(H, W, 4)` of an image in colour."""
    return np.asarray(_data(layer)[place])


def leading_axes(layer: Any) -> tuple[int, ...]:
    """Return the sizes of a layer's axes before rows and columns."""
    shape = tuple(map(int, _data(layer).shape))
    return shape[: -3 if getattr(layer, "rgb", False) else -2]


def _data(layer: Any) -> Any:
    """Return a layer's pixels at full resolution."""
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data
