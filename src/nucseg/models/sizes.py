"""The sizes of nuclei that a training showed, and the factor by which they ask to enlarge an image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPECK = 3.0
"""Pixels: what is smaller is noise."""

_LARGEST_FACTOR = 3.0
_STEPS = 4  # in quarters, so that another look at the image gives the same factor


@dataclass(frozen=True)
class TrainedSizes:
    """How a training resized nuclei; all in pixels.

    Attributes:
        diameters: The range of median diameters that it showed at will; None if it showed nuclei as they were.
        enlarge: Images whose nuclei have a mean diameter below the first value are enlarged, so that it is the second.
            What the default gains is measured by `python benchmarks/scales.py --split val --ways shrunk`; see
            docs/benchmarks.md.
    """

    diameters: tuple[float, float] | None = None
    enlarge: tuple[float, float] = (10.0, 20.0)

    def enlargement(self, diameter: float) -> float:
        """Return the factor by which to enlarge an image whose nuclei have a mean diameter, in quarters, 1 to 3."""
        below, wanted = self.enlarge
        if not SPECK < diameter < below:
            return 1.0
        return float(np.clip(round(_STEPS * wanted / diameter) / _STEPS, 1.0, _LARGEST_FACTOR))


def mean_diameter(diameters: NDArray[np.float64]) -> float:
    """Return the mean of diameters `(N,)`, weighted by area, so that debris counts little; 0 if there is none."""
    return float(np.average(diameters, weights=diameters**2)) if len(diameters) else 0.0
