"""Where an image that was resized lies in the pixels into which nuclei are drawn."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform


@dataclass(frozen=True)
class Placement:
    """Maps positions in a resized image to those in the image, or in a window of it: `scale * position + offset`.

    Attributes:
        scale: (rows, columns): pixels of the image per pixel of the resized one.
        offset: (row, column) of the resized image's first corner.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def between(cls, resized: tuple[int, ...], shape: tuple[int, ...]) -> Self:
        """Return where a whole resized image lies in the image, given the shapes of both."""
        return cls((shape[0] / resized[0], shape[1] / resized[1]))

    def area(self, pixels: float) -> float:
        """Return an area of the resized image in pixels of the image."""
        return round(pixels * self.scale[0] * self.scale[1], 6)  # what is an integer stays one

    def corners(self, positions: NDArray[np.floating]) -> NDArray[np.float32]:
        """Map `(..., 2)` or, for boxes, `(..., 4)` positions (row, column) of pixel corners, which are integers."""
        repeats = positions.shape[-1] // 2
        return (positions * np.tile(self.scale, repeats) + np.tile(self.offset, repeats)).astype(np.float32)

    def centers(self, positions: NDArray) -> NDArray[np.float64]:
        """Map `(..., 2)` positions (row, column) of pixel centres, which are integers."""
        mapped: NDArray[np.float64] = (positions + 0.5) * self.scale + self.offset - 0.5
        return mapped

    def resampled(self, values: NDArray, shape: tuple[int, int]) -> NDArray:
        """Interpolate the values of the resized image `(h, w)` bilinearly at the pixels of the image, of `shape`.

        Beyond the centres of the outermost pixels their values are extended.
        """
        if self == SAME and values.shape == shape:
            return values
        first = 0.5 / np.array(self.scale) - np.divide(self.offset, self.scale) - 0.5
        return affine_transform(
            values.astype(np.float32), 1 / np.array(self.scale), first, output_shape=shape, order=1, mode="nearest"
        )


SAME = Placement()
"""The image itself."""
