"""The nuclei of one image, with all that is measured of them."""

from dataclasses import dataclass
from functools import cached_property

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
    """

    nuclei: StitchedLabels
    source: ImageSource
    name: str = "image"
    channels: tuple[MeasuredChannel, ...] = ()
    expansion: float = 0.0

    @property
    def spacing(self) -> tuple[float, float]:
        """The distances between rows and between columns, see `spacing_of`."""
        return spacing_of(self.source.pixel_size)

    @cached_property
    def cells(self) -> Cells | None:
        """The cells, or None where nuclei do not grow."""
        return Cells(self.nuclei, self.expansion, self.spacing) if self.expansion else None
