"""The rule for which part of a file is the image; every reader follows it.

A reader names the axes of the file's content, and the channels as the file names them. Channels are the colours of one
picture only if they are named red, green and blue, and readers name them so only if the file declares that they are
colours. If anything else occurs more than once, the user has to choose; nothing is guessed or dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.naming import named_number

Channel = str | int | None
"""A channel's name or its number from 0; None takes a grey or a colour image as it is."""

COLOURS = ("red", "green", "blue")
"""What channels are called that are the colours of one picture; a fourth may be the ALPHA."""

ALPHA = "alpha"
"""What a channel is called that holds opacity and no light."""

TRANSPARENT = "a part of it is transparent; it is read as if it were not."
"""The note on an image whose ALPHA is not at its maximum everywhere."""

GREY = "grey"
"""What a single channel beside ALPHA is called."""

Stain = Literal["hematoxylin", "eosin", "dab"]

STAINS: tuple[Stain, ...] = get_args(Stain)
"""What is separated from COLOURS and chosen like a channel, in the order of scikit-image's `rgb2hed`."""

_LETTERS = dict(zip("rgba", (*COLOURS, ALPHA), strict=True))

# Axes that a channel can be chosen along: channels, samples of a pixel, pages, and an axis without a meaning.
_KINDS = {"C": "channels", "S": "channels", "I": "pages", "Q": "planes"}


NO_PLANE: Mapping[str, int] = MappingProxyType({})
"""Along no axis a plane is chosen."""


@dataclass(frozen=True)
class Planes:
    """The part of an array with named axes that makes one image.

    Attributes:
        index: For each axis a number, or the axis's name if all of it is taken.
        shape: `(H, W)` or `(H, W, C)` of the image.
        channels: Names of the channels, pages or planes that can be chosen, without ALPHA; the number of one that has
            no name of its own. One where the file holds one.
    """

    index: tuple[int | str, ...]
    shape: tuple[int, ...]
    channels: tuple[str, ...] = ("0",)

    def take(self, array: Any, window: Window) -> NDArray:
        """Read a window of the image from an array that is indexed like a NumPy array."""
        places = {"Y": window.slices[0], "X": window.slices[1]}
        part = np.asarray(array[tuple(places.get(i, slice(None)) if isinstance(i, str) else i for i in self.index)])
        kept = [axis for axis in self.index if isinstance(axis, str)]
        order = [kept.index(axis) for axis in ("Y", "X")] + [i for i, axis in enumerate(kept) if axis not in ("Y", "X")]
        part = part.transpose(order)
        return part.astype(part.dtype.newbyteorder("="), copy=False)


def choose_planes(
    axes: Sequence[str],
    shape: Sequence[int],
    name: str,
    *,
    channel: Channel = None,
    channel_names: Sequence[str] = (),
    plane: Mapping[str, int] = NO_PLANE,
) -> Planes:
    """Find the image in an array with axes such as `TCZYX`.

    Args:
        axes: A name for each axis: Y, X, C (channels), S (samples of a pixel), I (pages), Q (unknown), Z, T or another.
        shape: The length of each axis.
        name: Name of the file for messages.
        channel: The channel, page or plane to take.
        channel_names: The file's names of its channels; COLOURS, and ALPHA, if it declares that they are these.
        plane: The number to take along each of some of the `plane_axes`.

    Raises:
        InputError: There are several planes or channels and none is chosen, or the chosen one does not exist.
    """
    for letter in ("Y", "X"):
        if list(axes).count(letter) != 1:
            raise InputError(
                f"{name}: has the axes {' '.join(axes)} of {tuple(shape)}; an image has rows (Y) and columns (X)."
            )
    chosen = [None if axis in _KINDS else plane.get(axis.casefold()) for axis in axes]
    index: list[int | str] = [axis if axis in ("Y", "X") else chosen[place] or 0 for place, axis in enumerate(axes)]
    size = (shape[index.index("Y")], shape[index.index("X")])
    long = [place for place, axis in enumerate(axes) if axis not in "YX" and chosen[place] is None and shape[place] > 1]
    if len(long) > 1 or any(axes[place] not in _KINDS for place in long):
        raise InputError(f"{name}: holds {_several([(axes[place], shape[place]) for place in long])}.")
    count = shape[long[0]] if long else 1
    names = [_plain(each) for each in channel_names] if len(channel_names) == count else [""] * count
    channels = distinct_names(count, channel_names)
    if channel is not None:
        number = channel_number(channel, count, channel_names, name)
        if long:
            index[long[0]] = number
        return Planes(tuple(index), size, channels)
    if not long or names == [GREY, ALPHA]:
        return Planes(tuple(index), size, channels)
    place = long[0]
    if names not in ([*COLOURS], [*COLOURS, ALPHA]):
        raise InputError(
            f"{name}: holds {count} {_KINDS[axes[place]]} ({_called(count, channel_names)}); choose one with --channel "
            "NAME or NUMBER on the command line, channel= in Python or ?channel= of POST /tasks, or save the image to "
            "use as a separate file, grey or RGB."
        )
    index[place] = axes[place]
    return Planes(tuple(index), (*size, count), channels)


def _several(axes: Sequence[tuple[str, int]]) -> str:
    """Describe the axes among whose planes or channels the user has to choose, and how."""
    kinds = [(axis, length) for axis, length in axes if axis != "S"]  # samples are no planes
    listed = ", ".join(f"{length} {_KINDS.get(axis, f'planes along {axis}')}" for axis, length in kinds)
    along = ",".join(f"{axis.casefold()}=0" for axis, _ in kinds if axis not in _KINDS)
    if not along:
        return f"{listed}; save the one to use as a separate file, grey or RGB"
    channel = " and --channel" if any(axis in _KINDS for axis, _ in kinds) else ""
    return (
        f"{listed}; choose on the command line with --plane {along} (a number from 0, a range such as 0-4, all, max or "
        f"focus){channel}, or save the one to use as a separate file, grey or RGB"
    )


def plane_axes(axes: Sequence[str], shape: Sequence[int]) -> dict[str, int]:
    """Return the axes along which planes are chosen by number (depth, time, ...), in lower case, and their lengths."""
    return {
        axis.casefold(): length
        for axis, length in zip(axes, shape, strict=True)
        if axis not in ("Y", "X") and axis not in _KINDS
    }


def distinct_names(count: int, names: Sequence[str]) -> tuple[str, ...]:
    """Return by what each channel can be chosen: its name, or its number where it has none of its own.

    Args:
        count: How many channels there are.
        names: What they are called; not used where there are fewer or more than `count`. A last ALPHA is left out.
    """
    called = [each.strip() for each in names] if len(names) == count else [""] * count
    if count > 1 and _plain(called[-1]) == ALPHA:
        called.pop()
    plain = [each.casefold() for each in called]
    return tuple(name if name and plain.count(name.casefold()) == 1 else str(n) for n, name in enumerate(called))


def channel_number(channel: str | int, count: int, channel_names: Sequence[str], name: str) -> int:
    """Return the number, from 0, of a channel that is chosen by its name or number.

    Args:
        channel: Its name, in upper or lower case, or its number; a text that is both is taken as the name.
        count: Number of channels.
        channel_names: Their names; not used if there are fewer or more than `count`.
        name: Name of the file for messages.

    Raises:
        InputError: There is no such channel, or there are several of this name.
    """
    names = list(channel_names) if len(channel_names) == count else []
    number = named_number(channel, count, names, name, "channels")
    if number is not None:
        return number
    stains = f"; of stained tissue {', '.join(STAINS)}" if names[:3] == [*COLOURS] else ""
    called = f"{', '.join(filter(None, names))}{stains}; or " if any(names) else ""
    allowed = f"are {called}the {_numbers(count)}" if count > 1 else f"is {called}the number 0"
    raise InputError(f"{name}: has no channel {str(channel)!r}; allowed {allowed}.")


def check_channel(channel: Any) -> Channel:
    """Return a caller's channel after checking its type.

    Raises:
        InputError: It is neither a name nor a number.
    """
    if channel is None or isinstance(channel, str):
        return channel
    if not isinstance(channel, bool) and isinstance(channel, Integral):
        return int(channel)
    kind = type(channel).__name__
    raise InputError(f"channel: {channel!r} is a {kind}; allowed are its name (str), its number (int) and None.")


def _plain(name: str) -> str:
    text = name.strip().casefold()
    return _LETTERS.get(text, text)


def _called(count: int, names: Sequence[str]) -> str:
    if len(names) != count or not any(names):
        return _numbers(count)
    return ", ".join(each or str(number) for number, each in enumerate(names))


def _numbers(count: int) -> str:
    return f"numbers 0 {'and' if count == 2 else 'to'} {count - 1}"
