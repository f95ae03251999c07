"""What an image file holds before a channel and a plane are chosen, and the planes that a user's choice stands for."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude

from nucseg.core.checks import check_image
from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.plane_choice import ALL, FOCUS, MAX, Plane, coordinates, parse_choice
from nucseg.images.planes import COLOURS, Channel, channel_number
from nucseg.images.source import ImageSource
from nucseg.images.stains import named_stain, stained

_KEPT_BYTES = 2**27  # a maximum of up to so many bytes is computed once; a larger one window by window
_SHARPNESS = 2.0  # pixels: details finer than this are mostly noise
_ALWAYS = ("t", "z")  # axes of which a file may leave out those with a single plane


@dataclass(frozen=True)
class Stack:
    """The planes that were chosen in a file.

    Attributes:
        planes: The planes, the last axis changing fastest.
        axes: The axes along which there are several, and how many: `t` before `z`.
        notes: Remarks for the user on the choice.
    """

    planes: tuple[Plane, ...] = ((),)
    axes: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()

    def only(self, name: str) -> Plane:
        """Return the one plane.

        Raises:
            InputError: There are several; the message begins with the name of the image.
        """
        if len(self.planes) > 1:
            held = " and ".join(f"{count} planes along {axis}" for axis, count in self.axes)
            one = ",".join(f"{axis}=0" for axis, _ in self.axes)
            raise InputError(f"{name}: {held} are chosen; choose one, such as {one}.")
        return self.planes[0]


@dataclass(frozen=True)
class Content:
    """A file whose pixels are not read yet.

    Attributes:
        name: Name for messages.
        axes: The axes along which planes are chosen by number, such as `z`, and how many planes there are.
        source: Opens the image for a channel and the number of its plane along some axes.
    """

    name: str
    axes: Mapping[str, int]
    source: Callable[[Channel, Mapping[str, int]], ImageSource]

    def image(self, channel: Channel = None, plane: Plane = ()) -> ImageSource:
        """Open one plane.

        Args:
            channel: As in `choose_planes`, or one of STAINS: the image is then in colour, and its `stain` is set.
            plane: Along which axes which number, or the maximum, is taken.

        Raises:
            InputError: It is not one image, or there is no such channel or plane; the message names it.
        """
        numbers = coordinates(plane)
        for axis, number in numbers.items():
            self._check(axis, number)
        joined = [axis for axis, what in map(parse_choice, plane) if what == MAX]
        with reading(self.name):
            if joined:
                along = [{**numbers, joined[0]: number} for number in range(self._count(joined[0]))]
                source = _maximum([partial(self._opened, channel, each) for each in along])
            else:
                source = self._opened(channel, numbers)
        if 0 in source.shape or len(source.shape) not in (2, 3) or source.dtype.kind not in "buif":
            check_image(source.read(Window.whole(source.shape)), self.name)  # raises, saying why
        return source

    def _opened(self, channel: Channel, numbers: Mapping[str, int]) -> ImageSource:
        """Open a channel, or a colour image of which a stain is chosen, unless the file itself has such a channel."""
        stain = named_stain(channel)
        if stain is None:
            return self.source(channel, numbers)
        try:
            image = self.source(None, numbers)
        except InputError:  # of several channels one may be called so
            return self.source(channel, numbers)
        if stain in (name.casefold() for name in image.channels):
            return self.source(channel, numbers)
        return stained(image, stain)

    def chosen(self, choices: tuple[str, ...], channel: Channel = None) -> Stack:
        """Find the planes that a choice stands for.

        Args:
            choices: As `parse_choice` reads them.
            channel: The channel in which the sharpest plane is looked for.

        Raises:
            InputError: There is no such axis or plane; the message says which there are.
        """
        chosen = sorted(map(parse_choice, choices), key=lambda choice: (choice[0] != "t", choice[0] != "z", choice[0]))
        numbers: list[list[str]] = []
        axes = []
        for axis, what in chosen:
            count = self._count(axis)
            if isinstance(what, range):
                self._check(axis, what[-1])
            along = range(count) if what == ALL else what
            numbers.append([str(number) for number in along] if isinstance(along, range) else [along])
            axes += [(axis, len(along))] if isinstance(along, range) and len(along) > 1 else []
        names = [axis for axis, _ in chosen]
        planes = [tuple(map("=".join, zip(names, each, strict=True))) for each in itertools.product(*numbers)]
        sharp = next((axis for axis, what in chosen if what == FOCUS), None)
        if sharp is None:
            return Stack(tuple(planes), tuple(axes))
        places = [self._sharpest(plane, sharp, channel) for plane in planes]
        found = [_with(plane, sharp, place) for plane, place in zip(planes, places, strict=True)]
        several = f"{min(places)} to {sharp}={max(places)}" if min(places) < max(places) else f"{places[0]}"
        return Stack(tuple(found), tuple(axes), (f"the sharpest plane along {sharp} is used: {sharp}={several}.",))

    def _count(self, axis: str) -> int:
        if axis not in self.axes and axis not in _ALWAYS:
            held = ", ".join(f"{name} ({length})" for name, length in self.axes.items()) or "none"
            raise InputError(f"{self.name}: has no planes along {axis!r}; the axes with planes are: {held}.")
        return self.axes.get(axis, 1)

    def _check(self, axis: str, number: int) -> None:
        count = self._count(axis)
        if number >= count:
            allowed = f"are {axis}=0 to {axis}={count - 1}" if count > 1 else f"is {axis}=0"
            raise InputError(f"{self.name}: has no plane {axis}={number}; allowed {allowed}.")

    def _sharpest(self, plane: Plane, axis: str, channel: Channel) -> int:
        planes = [_with(plane, axis, number) for number in range(self._count(axis))]
        return int(np.argmax([_sharpness(self.image(channel, each)) for each in planes]))


def colour_content(name: str, source: ImageSource, levels: tuple[ImageSource, ...]) -> Content:
    """Return the content of a file that holds one picture in red, green and blue, of which a channel may be chosen.

    Args:
        name: Name for messages.
        source: The picture, `(H, W, 3)`.
        levels: Its reduced copies.
    """

    def opened(channel: Channel, plane: Mapping[str, int]) -> ImageSource:
        image = replace(source, channels=COLOURS, levels=levels)
        if channel is None:
            return image
        number = channel_number(channel, 3, COLOURS, name)
        return replace(_one(image, number), levels=tuple(_one(level, number) for level in levels))

    return Content(name, {}, opened)


def _one(image: ImageSource, number: int) -> ImageSource:
    return replace(image, shape=image.shape[:2], read=lambda window: image.read(window)[..., number])


def _with(plane: Plane, axis: str, number: int) -> Plane:
    """Put a number in the place of FOCUS."""
    return tuple(f"{axis}={number}" if each == f"{axis}={FOCUS}" else each for each in plane)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Convert any exception about a file that cannot be read to one that names the file."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no such file. Check the path.") from error
    except PermissionError as error:
        raise InputError(f"{name}: access is denied ({error}). Check its permissions, or your credentials.") from error
    except Exception as error:  # a decoder or a file system may raise any exception
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{name}: cannot be read ({why}). The file is damaged or of another format.") from error


def _maximum(planes: list[Callable[[], ImageSource]]) -> ImageSource:
    """Return the maximum of planes, of which one at a time is in memory."""
    first = planes[0]()
    whole = Window.whole(first.shape)

    def read(window: Window) -> NDArray:
        found = np.array(first.read(window))
        for plane in planes[1:]:
            np.maximum(found, plane().read(window), out=found)
        return found

    if np.prod(first.shape) * first.dtype.itemsize > _KEPT_BYTES:
        return replace(first, read=read, levels=())
    kept = cache(lambda: read(whole))
    return replace(first, read=lambda window: kept()[window.slices], levels=())


def _sharpness(source: ImageSource) -> float:
    """Compute the mean squared gradient of a plane, smoothed so that noise counts little."""
    total = 0.0
    for band in source.bands():
        grey = band.astype(np.float32) if band.ndim == 2 else band[..., :3].mean(2, dtype=np.float32)
        total += float(np.square(gaussian_gradient_magnitude(grey, _SHARPNESS), dtype=np.float64).sum())
    return total / (source.shape[0] * source.shape[1])
