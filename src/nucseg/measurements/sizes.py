"""Lengths and areas that a user gives in micrometres or, with `px` behind the number, in pixels."""

import math
import re
import reprlib
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from nucseg.core.errors import ConfigError, InputError

_SIZE = re.compile(r"(\d+\.?\d*|\.\d+)\s*(px)?")


def size_text(given: Any) -> Any:
    """Return a length or an area as it is kept among options, such as `5` and `12.5px`.

    Raises:
        ValueError: It is none, or not above 0.
    """
    if given is None:
        return None
    text = str(given).strip().lower()
    found = _SIZE.fullmatch(text)
    if isinstance(given, bool) or not found or float(found[1]) <= 0:
        raise ValueError("must be a number above 0, in micrometres, or in pixels such as 12px")
    return f"{found[1]}{found[2] or ''}"


Size = Annotated[str, BeforeValidator(size_text)]
"""A length or an area, in micrometres, or in pixels with `px` behind it."""


def is_in_pixels(size: str) -> bool:
    """Return whether a size is given in pixels."""
    return size.endswith("px")


def size_value(size: str) -> float:
    """Return the number of a size."""
    return float(size.removesuffix("px"))


def length_in_pixels(size: str, pixel_size: tuple[float, float] | None, option: str, name: str) -> float:
    """Convert a length to pixels; of pixels with unequal sides, to the side of a square pixel of the same area.

    Args:
        size: From `size_text`.
        pixel_size: Micrometres, (row, column), if known.
        option: What the length was given with, for messages.
        name: What to call the image in messages.

    Raises:
        InputError: It is in micrometres, and the pixel size is unknown.
    """
    return size_value(size) / math.sqrt(_pixel_area(size, pixel_size, option, name))


def area_in_pixels(size: str, pixel_size: tuple[float, float] | None, option: str, name: str) -> float:
    """Convert an area to pixels; see `length_in_pixels`."""
    return size_value(size) / _pixel_area(size, pixel_size, option, name)


def _pixel_area(size: str, pixel_size: tuple[float, float] | None, option: str, name: str) -> float:
    if is_in_pixels(size):
        return 1.0
    if pixel_size is None:
        raise InputError(
            f"{name}: its pixel size is unknown, which {option} {size} (in micrometres) needs; give it with "
            f"--pixel-size, or give pixels, such as {option} {size}px."
        )
    return math.prod(pixel_size)


def checked_pixel_size(given: Any) -> tuple[float, float] | None:
    """Return a pixel size that a program gives as micrometres, (row, column); None if it gives none.

    Raises:
        ConfigError: It is neither a number nor two, or out of range.
    """
    if given is None:
        return None
    value = given.tolist() if isinstance(given, np.generic | np.ndarray) else given
    sides = value if isinstance(value, list | tuple) else (value, value)
    if len(sides) != 2 or not all(
        isinstance(side, int | float | np.integer | np.floating)
        and not isinstance(side, bool)
        and 0.001 <= side <= 1000
        for side in sides
    ):
        shown = " ".join(reprlib.repr(given).split())  # that of an array has several lines
        raise ConfigError(
            f"pixel_size: {shown} is not allowed; it must be a number of micrometres from 0.001 to 1000, or two, for a "
            "row and a column."
        )
    return float(sides[0]), float(sides[1])
