"""The classes of one tile, compressed, and of all tiles as one image that is read window by window."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nucseg.core.arrays import opened_arrays, write_arrays
from nucseg.core.types import ClassPrediction
from nucseg.core.window import Window
from nucseg.images.extent import Extent

STEPS = 255
"""A probability is stored in so many steps."""


@dataclass(frozen=True)
class ClassPart:
    """What one tile found, in the frame of the image: small enough to be kept, sent between processes and saved.

    Attributes:
        window: The window of the image that the tile owns.
        classes: Class map of the window, `(h, w)` uint8, compressed.
        probabilities: Probabilities of the classes from 1 on in steps of 1/255, `(classes - 1, h, w)` uint8,
            compressed; that of class 0 is what they lack of 1.
    """

    window: Window
    classes: bytes
    probabilities: bytes

    @classmethod
    def of(cls, window: Window, probabilities: NDArray[np.float32]) -> Self:
        """Compress the probabilities `(h, w, classes)` of a window."""
        classes = probabilities.argmax(-1).astype(np.uint8)
        steps = np.rint(probabilities[..., 1:] * STEPS).astype(np.uint8).transpose(2, 0, 1)
        return cls(window, zlib.compress(classes.tobytes(), 1), zlib.compress(steps.tobytes(), 1))

    @classmethod
    def nothing(cls) -> Self:
        """Return the part of a tile that is not predicted."""
        return cls(Window(0, 0, 0, 0), zlib.compress(b""), zlib.compress(b""))

    def class_map(self) -> NDArray[np.uint8]:
        """Return the class map `(h, w)` of the window."""
        return np.frombuffer(zlib.decompress(self.classes), np.uint8).reshape(self.window.shape)

    def steps(self) -> NDArray[np.uint8]:
        """Return the probabilities `(classes - 1, h, w)` of the window, in steps of 1/255."""
        return np.frombuffer(zlib.decompress(self.probabilities), np.uint8).reshape(-1, *self.window.shape)

    def inside(self, extent: Extent) -> "ClassPart":
        """Return the part with class 0 at a probability of 1 outside of an extent of the image."""
        if not self.window:
            return self
        places = np.argwhere(np.ones(self.window.shape, bool)) + 0.5 + self.window[:2]
        held = extent.holds(places).reshape(self.window.shape)
        classes, steps = np.where(held, self.class_map(), 0), np.where(held, self.steps(), 0)
        return ClassPart(
            self.window,
            zlib.compress(classes.astype(np.uint8).tobytes(), 1),
            zlib.compress(steps.astype(np.uint8).tobytes(), 1),
        )

    def save(self, path: Path) -> None:
        """Write the file atomically.

        Raises:
            StorageError: It cannot be written.
        """
        write_arrays(
            path,
            {
                "window": self.window,
                "classes": np.frombuffer(self.classes, np.uint8),
                "probabilities": np.frombuffer(self.probabilities, np.uint8),
            },
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            OSError: The file is missing or damaged.
        """
        with opened_arrays(path) as data:
            part = cls(Window(*data["window"].tolist()), data["classes"].tobytes(), data["probabilities"].tobytes())
            part.class_map()
        return part


@dataclass(frozen=True)
class ClassMosaic:
    """The classes of a whole image that need not fit into memory.

    Attributes:
        shape: (rows, columns) of the image.
        names: Names of the classes.
        parts: What each tile found; pixels that no tile owns are of class 0.
    """

    shape: tuple[int, int]
    names: tuple[str, ...]
    parts: Sequence[ClassPart]

    def classes(self, window: Window) -> NDArray[np.uint8]:
        """Return the class map of a window, uint8."""
        image = np.zeros(window.shape, np.uint8)
        for part, common in self._touched(window):
            image[common.within(window).slices] = part.class_map()[common.within(part.window).slices]
        return image

    def labels(self, window: Window) -> NDArray[np.int32]:
        """Return the class map of a window, int32, as a label image."""
        return self.classes(window).astype(np.int32)

    def __len__(self) -> int:
        """Return the largest label."""
        return len(self.names) - 1

    def steps(self, window: Window) -> NDArray[np.uint8]:
        """Return the probabilities of the classes from 1 on, `(classes - 1, h, w)` uint8, in steps of 1/255."""
        image = np.zeros((len(self.names) - 1, *window.shape), np.uint8)
        for part, common in self._touched(window):
            inner, outer = common.within(part.window).slices, common.within(window).slices
            image[(slice(None), *outer)] = part.steps()[(slice(None), *inner)]
        return image

    def prediction(self) -> ClassPrediction:
        """Return the whole image in memory."""
        whole = Window.whole(self.shape)
        classes, steps = self.classes(whole), self.steps(whole)
        rest = np.clip(STEPS - steps.sum(0, dtype=np.int32), 0, STEPS).astype(np.uint8)
        every = np.concatenate([rest[None], steps])
        return ClassPrediction(classes, np.take_along_axis(every, classes[None].astype(np.intp), 0)[0])

    def _touched(self, window: Window) -> list[tuple[ClassPart, Window]]:
        pairs = ((part, part.window.common(window)) for part in self.parts)
        return [(part, common) for part, common in pairs if common]
