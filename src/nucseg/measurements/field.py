"""The nuclei of one image, with all that is measured of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nucseg.images.plane_choice import Plane
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.regions import Cells, spacing_of


@dataclass(frozen=True)
class MeasuredChannel:
    """A channel whose intensities are measured.

    Attributes:
        name: What its columns are called by.
        source: Its pixels, `(H, W)` like the label image.
    """

    name: str
    source: ImageSource


@dataclass(frozen=True)
class Field:
    """The nuclei of one image.

    Attributes:
        nuclei: The nuclei found.
        source: The image that they were found in.
        name: What the results are called.
        channels: What is measured; without any, the image itself, and only in the nuclei.
        expansion: Pixels by which nuclei grow to cells; 0 for no cells.
        plane: The plane of a stack.
        axes: The axes along which the stack has several planes, and how many.
        numbers: `(N,)`, the number of each nucleus among those of all planes; None counts them from 1.
    """

    nuclei: StitchedLabels
    source: ImageSource
    name: str = "image"
    channels: tuple[MeasuredChannel, ...] = ()
    expansion: float = 0.0
    plane: Plane = ()
    axes: tuple[tuple[str, int], ...] = ()
    numbers: NDArray[np.int64] | None = None

    def numbered(self, labels: NDArray[np.int32]) -> NDArray:
        """Return labels of nuclei or cells of this plane as numbers among those of all planes; 0 stays 0."""
        return labels if self.numbers is None else np.concatenate([[0], self.numbers])[labels]

    @property
    def spacing(self) -> tuple[float, float]:
        """The distances between rows and between columns, see `spacing_of`."""
        return spacing_of(self.source.pixel_size)

    @cached_property
    def cells(self) -> Cells | None:
        """The cells, or None where nuclei do not grow."""
        return Cells(self.nuclei, self.expansion, self.spacing) if self.expansion else None
