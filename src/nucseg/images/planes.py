"""Which plane of a file with several axes is the image."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window

_COLOUR = re.compile(r"(r|g|b|a|red|green|blue|alpha|c?\d*|channel[ :_]*\d+(:\d+)*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Planes:
    """The part of an array with named axes that makes one image.

    Attributes:
        index: For each axis a number, or the axis's letter where all of it is taken.
        shape: `(H, W)` or `(H, W, C)` of the image.
    """

    index: tuple[int | str, ...]
    shape: tuple[int, ...]

    def take(self, array: Any, window: Window) -> NDArray:
        """Read a window of the image from an array that is indexed like NumPy's."""
        places = {"Y": window.slices[0], "X": window.slices[1]}
        part = np.asarray(array[tuple(places.get(i, slice(None)) if isinstance(i, str) else i for i in self.index)])
        kept = [axis for axis in self.index if isinstance(axis, str)]
        order = [kept.index(axis) for axis in ("Y", "X")] + [i for i, axis in enumerate(kept) if axis not in "YX"]
        part = part.transpose(order)
        return part.astype(part.dtype.newbyteorder("="), copy=False)


def choose_planes(
    axes: str, shape: Sequence[int], name: str, *, channel: str | None = None, channel_names: Sequence[str] = ()
) -> Planes:
    """Find the image in an array with axes such as `TCZYX`.

    Args:
        axes: A letter for each axis: Y, X, C (channels), S (samples of a colour image), Z, T or another.
        shape: The length of each axis.
        name: What to call the file in messages.
        channel: The channel to take, by its number from 0 or its name; None takes all of a grey or a colour image.
        channel_names: What the file calls its channels.

    Raises:
        InputError: There are several planes or channels and none is chosen, or the chosen one is not there.
    """
    index: list[int | str] = [0] * len(axes)
    for letter in "YX":
        if letter not in axes:
            raise InputError(f"{name}: has the axes {axes} of {tuple(shape)}; an image has rows (Y) and columns (X).")
        index[axes.index(letter)] = letter
    long = {axis: place for place, axis in enumerate(axes) if axis not in "YX" and shape[place] > 1}
    channel_axis = next((axis for axis in "CS" if axis in long), None)
    others = [axis for axis in long if axis not in ("C", "S")]
    # An unnamed axis of three or four beside rows and columns holds colours.
    if channel_axis is None and len(others) == 1 and others[0] not in "ZT" and shape[long[others[0]]] in (3, 4):
        channel_axis = others.pop()
    if others or ("C" in long and "S" in long):
        planes = ", ".join(f"{axis} {length}" for axis, length in zip(axes, shape, strict=True))
        raise InputError(f"{name}: holds several planes ({planes}); save the one to use by itself, grey or RGB.")
    size = (shape[axes.index("Y")], shape[axes.index("X")])
    count = shape[long[channel_axis]] if channel_axis else 1
    names = list(channel_names) if len(channel_names) == count else []
    if channel is not None:
        number = _channel_number(channel, count, names, name)
        if channel_axis:
            index[long[channel_axis]] = number
        return Planes(tuple(index), size)
    if channel_axis is None:
        return Planes(tuple(index), size)
    is_colour = channel_axis == "S" or all(_COLOUR.fullmatch(each) for each in names)
    if count == 2 and channel_axis == "S":  # grey and alpha
        index[long["S"]] = 0
        return Planes(tuple(index), size)
    if count not in (3, 4) or not is_colour:
        called = ", ".join(names) if names else f"0 to {count - 1}"
        raise InputError(f"{name}: holds {count} channels ({called}); choose one with --channel NAME or NUMBER.")
    index[long[channel_axis]] = channel_axis
    return Planes(tuple(index), (*size, count))


def _channel_number(channel: str, count: int, names: Sequence[str], name: str) -> int:
    for number, each in enumerate(names):
        if each.casefold() == channel.casefold():
            return number
    if channel.isdecimal() and int(channel) < count:
        return int(channel)
    called = f"{', '.join(names)}; or " if names else ""
    raise InputError(f"{name}: has no channel {channel!r}; allowed are {called}the numbers 0 to {count - 1}.")
