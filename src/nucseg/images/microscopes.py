"""Files as microscopes write them (CZI, ND2, LIF), read by libraries that are installed as extras."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.content import Content
from nucseg.images.planes import ALPHA, COLOURS, Channel, choose_planes, plane_axes
from nucseg.images.scenes import Scene, choose_scene
from nucseg.images.source import ImageSource

_WHOLE_BYTES = 2**27  # a plane of up to so many bytes is read at once; a larger one window by window


@dataclass(frozen=True)
class _Reader:
    """What reads one kind of file.

    Attributes:
        extra: The extra that installs the library.
        library: Name of the library's module.
        module: Our module, with a function `open_file`.
    """

    extra: str
    library: str
    module: str


_READERS = {
    ".czi": _Reader("czi", "pylibCZIrw", "nucseg.images.czi"),
    ".nd2": _Reader("nd2", "nd2", "nucseg.images.nd2"),
    ".lif": _Reader("lif", "liffile", "nucseg.images.lif"),
}

SUFFIXES = tuple(_READERS)
"""Of the files that can be read."""


class Pixels(Protocol):
    """The pixels of a scene, which are read when they are indexed."""

    def __getitem__(self, index: tuple[Any, ...]) -> Any:
        """Return the pixels at a number or a slice along each axis, as a NumPy array does."""
        ...


@dataclass(frozen=True)
class SceneFacts:
    """One of the images in a file.

    Attributes:
        axes: Names of the axes, as `choose_planes` knows them.
        shape: Their lengths.
        dtype: Dtype of the pixels.
        pixels: The pixels.
        channels: Names of the channels; empty where the file has none.
        pixel_size: Micrometres, (row, column), or None.
    """

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    pixels: Pixels
    channels: tuple[str, ...] = ()
    pixel_size: tuple[float, float] | None = None


class MicroscopeFile(Protocol):
    """An open file.

    Attributes:
        scenes: Names of the scenes, perhaps empty.
    """

    scenes: tuple[str, ...]

    def scene(self, number: int) -> SceneFacts:
        """Return a scene."""
        ...


def is_microscope_file(path: str) -> bool:
    """Return whether a path ends like a file of a microscope."""
    return PurePosixPath(path).suffix.lower() in _READERS


def open_microscope_file(path: Path | None, name: str, scene: Scene = None) -> Content:
    """Open one scene of a file.

    Args:
        path: The file; None if it is not on this machine.
        name: Name for messages.
        scene: As in `choose_scene`.

    Raises:
        InputError: Its library is not installed, it is not on this machine, or no scene is chosen.
    """
    reader = _READERS[PurePosixPath(name).suffix.lower() or PurePosixPath(str(path)).suffix.lower()]
    if find_spec(reader.library) is None:
        raise InputError(
            f"{name}: is read by the package {reader.library}, which is not installed; install it with "
            f"pip install 'nucseg[{reader.extra}]'."
        )
    if path is None:
        raise InputError(f"{name}: files of this type are read from this machine only; copy it here first.")
    if not path.exists():
        raise InputError(f"{name}: there is no such file. Check the path.")
    file: MicroscopeFile = import_module(reader.module).open_file(path, name)
    facts = file.scene(choose_scene(scene, file.scenes, name))
    return Content(name, plane_axes(facts.axes, facts.shape), partial(_source, facts, name))


def _source(facts: SceneFacts, name: str, channel: Channel, plane: Mapping[str, int]) -> ImageSource:
    size = dict(zip(facts.axes, facts.shape, strict=True))
    samples = size.get("S", 1)
    # Samples of a pixel are the colours of a camera: all three readers declare them so.
    names = (*COLOURS, ALPHA)[:samples] if samples in (3, 4) and size.get("C", 1) == 1 else facts.channels
    planes = choose_planes(facts.axes, facts.shape, name, channel=channel, channel_names=names, plane=plane)
    read: Callable[[Window], NDArray] = partial(planes.take, facts.pixels)
    if int(np.prod(planes.shape)) * facts.dtype.itemsize <= _WHOLE_BYTES:
        image = read(Window.whole(planes.shape))
        read = partial(_part, image)
    return ImageSource(name, planes.shape, facts.dtype, read, facts.pixel_size, channels=planes.channels)


def _part(image: NDArray, window: Window) -> NDArray:
    return image[window.slices]
