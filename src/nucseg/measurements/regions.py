"""The regions around nuclei: cells, into which nuclei grow without overlap, and rings of background around these."""

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from nucseg.core.window import Window
from nucseg.inference.instances.stitched import StitchedLabels

RING_GAP, RING_WIDTH = 2.0, 5.0
"""Pixels from a cell (a nucleus where there are no cells) to its ring, and from the ring's inner to its outer edge."""

_COLUMNS = 2048  # of the pieces in which a window of cells is computed, so that memory does not grow with its width


class LabelWindows(Protocol):
    """A label image that is read window by window.

    Attributes:
        shape: (rows, columns).
    """

    shape: tuple[int, int]

    def labels(self, window: Window) -> NDArray[np.int32]:
        """Return the label image of a window."""
        ...

    def __len__(self) -> int:
        """Return the largest label."""
        ...


def spacing_of(pixel_size: tuple[float, float] | None) -> tuple[float, float]:
    """Return the distances between rows and between columns, in pixels of the same area with equal sides."""
    if pixel_size is None:
        return 1.0, 1.0
    rows, columns = pixel_size
    side = math.sqrt(rows * columns)
    return rows / side, columns / side


def context(distance: float, spacing: tuple[float, float]) -> int:
    """Return the pixels around a window that decide what of it is nearer than `distance` to which nucleus."""
    return math.ceil(distance / min(spacing)) + 1


def nearest(
    labels: NDArray[np.int32], spacing: tuple[float, float]
) -> tuple[NDArray[np.float64], tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Find the nucleus that is nearest to each pixel, as `skimage.segmentation.expand_labels` does.

    Args:
        labels: Label image `(H, W)`.
        spacing: Distances between rows and between columns.

    Returns:
        The distance `(H, W)`, 0 in nuclei and infinite where there is none, and row and column of the nearest pixel of
        a nucleus.
    """
    if not labels.any():
        nowhere = np.zeros(labels.shape, np.int32)
        return np.full(labels.shape, np.inf), (nowhere, nowhere)
    distances, (rows, columns) = distance_transform_edt(labels == 0, sampling=spacing, return_indices=True)
    return distances, (rows, columns)


class Cells:
    """The label image of the cells: nuclei grown by a distance, without overlap, of the same numbers.

    Args:
        nuclei: The label image of the nuclei.
        distance: Pixels; what is nearer to two nuclei belongs to the nearer one.
        spacing: Distances between rows and between columns.

    Attributes:
        shape: (rows, columns).
    """

    def __init__(self, nuclei: StitchedLabels, distance: float, spacing: tuple[float, float]) -> None:
        self.shape = nuclei.shape
        self._nuclei = nuclei
        self._distance = distance
        self._spacing = spacing

    def __len__(self) -> int:
        return len(self._nuclei)

    def labels(self, window: Window) -> NDArray[np.int32]:
        """Compute the label image of a window, int32."""
        image = np.zeros(window.shape, np.int32)
        for left in range(window.left, window.right, _COLUMNS):
            part = Window(window.top, left, window.bottom, min(left + _COLUMNS, window.right))
            around = part.grown(context(self._distance, self._spacing), self.shape)
            distances, places = nearest(self._nuclei.obstacles.labels(around), self._spacing)
            cells = np.where(distances <= self._distance, self._nuclei.labels(around)[places], 0)
            image[part.within(window).slices] = cells[part.within(around).slices]
        return image
