"""An image as the network sees it: preprocessed and resized, window by window."""

from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nucseg.core.placement import Placement
from nucseg.core.window import Window
from nucseg.images.geometry import needed_for, resize_image, resize_part, scaled_shape, vote_labels_part
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource
from nucseg.inference.resolution import at_level

Value = TypeVar("Value", bound=np.generic)

_ROUNDING = 2  # pixels by which the sides of a level differ from those of the resized image for rounding alone


class NetworkView:
    """Reads windows of the preprocessed and resized image.

    Args:
        source: The image.
        fitted: The preprocessing with the image's statistics.
        scale: Factor by which the preprocessed image is resized.
        level: Number of the level whose pixels are read, and on which the preprocessing was fitted; 0 is the image.

    Attributes:
        image_shape: (rows, columns) of the image.
        shape: (rows, columns) in the frame of the network.
        is_enlarged: Whether the network sees more pixels than the image has.
        scale: Factor by which the image is resized in all, also by the preprocessing.
    """

    def __init__(self, source: ImageSource, fitted: FittedPreprocessor, scale: float, level: int = 0) -> None:
        self._filled = fitted.filled(at_level(source, level))
        self.image_shape = (source.shape[0], source.shape[1])
        self.scale = fitted.scale * scale
        self._fitted = fitted
        self._prepared_shape = scaled_shape(self._filled.shape, fitted.scale)
        self.shape = scaled_shape(scaled_shape(source.shape, fitted.scale), scale)
        if level and np.abs(np.subtract(self.shape, self._prepared_shape)).max() <= _ROUNDING:
            self.shape = self._prepared_shape
        self.is_enlarged = self.shape[0] * self.shape[1] > source.shape[0] * source.shape[1]

    @cached_property
    def _whole(self) -> NDArray[np.float32]:
        prepared = self._fitted.image(self._filled.read(Window.whole(self._filled.shape)))
        return resize_image(prepared, self.shape)

    def read(self, window: Window) -> NDArray[np.float32]:
        """Read a window `(h, w, in_channels)` float32, in the frame of the network."""
        if self._fitted.scale != 1:
            # With `rescale` among the transforms the image is prepared as a whole: it cannot be cut without seams.
            return self._whole[window.slices]
        if self.shape == self._prepared_shape:
            return self._fitted.image(self._filled.read(window))
        needed = needed_for(window, self._prepared_shape, self.shape)
        part = self._fitted.image(self._filled.read(needed))
        return resize_part(part, needed, self._prepared_shape, window, self.shape)

    def restore(self, labels: NDArray[Value], window: Window) -> tuple[NDArray[Value], Window]:
        """Map values of a window of the network's frame to the frame of the image, by nearest neighbour.

        Args:
            labels: `(h, w)` or `(h, w, C)`.
            window: Their window.

        Returns:
            The values, and the window of the image that they belong to.
        """
        if self.shape == self.image_shape:
            return labels, window
        rows, top, bottom = _nearest(self.image_shape[0], self.shape[0], window.top, window.bottom)
        columns, left, right = _nearest(self.image_shape[1], self.shape[1], window.left, window.right)
        return labels[np.ix_(rows, columns)], Window(top, left, bottom, right)

    def restore_labels(self, labels: NDArray[np.int32], window: Window) -> tuple[NDArray[np.int32], Window]:
        """Map a label image of a window of the network's frame to the frame of the image, by vote.

        Args:
            labels: `(h, w)`.
            window: Its window.

        Returns:
            The label image (the given array where the frames are the same), and the window of the image that it belongs
            to.
        """
        if self.shape == self.image_shape:
            return labels, window
        place = self.place(window)
        return vote_labels_part(labels, window, self.shape, place, self.image_shape), place

    def place(self, window: Window) -> Window:
        """Return the window of the image that belongs to a window of the network's frame, and to none beside it."""
        _, top, bottom = _nearest(self.image_shape[0], self.shape[0], window.top, window.bottom)
        _, left, right = _nearest(self.image_shape[1], self.shape[1], window.left, window.right)
        return Window(top, left, bottom, right)

    def placement(self, window: Window) -> Placement:
        """Return where positions in a window of the network's frame lie in `place` of that window."""
        scale = self.image_shape[0] / self.shape[0], self.image_shape[1] / self.shape[1]
        place = self.place(window)
        return Placement(scale, (window.top * scale[0] - place.top, window.left * scale[1] - place.left))


def _nearest(length: int, other: int, start: int, stop: int) -> tuple[NDArray[np.intp], int, int]:
    """Return the pixels of an axis of `length` whose nearest of `other` are in a range, and these nearest pixels."""
    nearest = ((np.arange(length) + 0.5) * other / length).astype(np.intp)
    first, last = np.searchsorted(nearest, [start, stop])
    return nearest[first:last] - start, int(first), int(last)
