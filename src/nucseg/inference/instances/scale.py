"""The scale at which a model should see an image whose nuclei are of unknown size.

A network finds nuclei of the sizes that its receptive field and its training cover. Much larger ones are found in
pieces, or not at all; at half or a quarter of the resolution the same network finds them whole.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from nucseg.core.types import Instances
from nucseg.masks.labels import diameters

logger = logging.getLogger(__name__)

Find = Callable[[float], Sequence[Instances]]
"""Returns what a model finds at a scale, above its own threshold, in each of some windows."""

SCALES = (1.0, 0.5, 0.25, 0.125)
"""What is tried. Each halves the diameters, so that one of them fits."""

LARGEST = 60.0
"""Pixels: where the nuclei that are found are larger than this, on the average, a smaller scale is taken.

Half of it is still well above the smallest nuclei of the training data (BBBC038: 10 to 40 pixels), so a scale that
passes never makes them too small. Anything from 55 to 70 does as well on enlarged validation images.
"""

SMALLEST = 10.0
"""Pixels: where the nuclei that are found are smaller than this, on the average, a larger scale is tried.

What it gains is measured by `python benchmarks/scales.py --split val --ways shrunk`; see docs/benchmarks.md.
"""

_SPECK = 3.0  # pixels: what is smaller is noise
_WANTED = 20.0  # pixels that small nuclei are enlarged to, by a whole factor
_LARGEST_FACTOR = 3
_KEPT_COVER = 0.8  # of the nucleus area at scale 1 that must be found again when it is enlarged
_REFERENCE_SCALE = 0.25  # always tried: it costs a sixteenth of the full scale
_SMALLEST_SIDE = 128  # of a window at the smallest scale that is tried; a smaller empty field looks like a nucleus
_SMALLEST_COVER = 0.25  # of the nucleus area that is found at the reference scale


def estimate_scale(find: Find, side: int, find_in_crops: Find) -> float:
    """Choose the scale at which a model finds nuclei of a size that it knows: the largest of `SCALES`, or 2 or 3.

    A scale passes if it meets two conditions. The mean diameter of the nuclei (of discs of equal area) is at most
    `LARGEST`; it is weighted by their areas, so that debris and pieces count little. And the area that they cover,
    weighted by their scores, is at least a quarter of that at scale 1/4, if scale 1/4 passes: debris between nuclei
    that are too large to be found is small, but covers almost nothing.

    Args:
        find: Returns what the model finds at a scale, above its own threshold, always in the same windows of one image;
            called at most once per scale.
        side: Rows or columns, whichever are fewer, of the smallest window at scale 1, in pixels.
        find_in_crops: The same in smaller windows, which may be enlarged; called only if the nuclei are small.

    Returns:
        The factor by which to resize the image; 1 if nothing is found at any scale.
    """
    allowed = [scale for scale in SCALES if scale == 1 or side * scale >= _SMALLEST_SIDE]

    @cache
    def look(scale: float) -> tuple[float, float]:
        found = find(scale)
        return _mean_diameter(found), _cover(found)

    def fits(scale: float) -> bool:
        diameter, cover = look(scale)
        return cover > 0 and diameter <= LARGEST

    reference = look(_REFERENCE_SCALE)[1] if _REFERENCE_SCALE in allowed and fits(_REFERENCE_SCALE) else 0.0
    for scale in allowed:
        if fits(scale) and look(scale)[1] >= _SMALLEST_COVER * reference:
            return _log_scale(_enlargement(look(1.0)[0], find_in_crops) if scale == 1 else scale)
    # If everything found is too large even at the smallest scale, that scale is the nearest to what the model knows.
    return _log_scale(min((scale for scale in allowed if look(scale)[1] > 0), default=1.0))


def _enlargement(diameter: float, find: Find) -> float:
    """Return the factor that brings small nuclei near to `_WANTED`, if what is found at scale 1 is found there, too."""
    if not _SPECK < diameter < SMALLEST:
        return 1.0
    factor = float(min(round(_WANTED / diameter), _LARGEST_FACTOR))
    return factor if _cover(find(factor)) >= _KEPT_COVER * _cover(find(1.0)) else 1.0


def _log_scale(scale: float) -> float:
    if scale != 1:
        sizes = "large" if scale < 1 else "small"
        logger.info("The nuclei are %s, so the image is predicted at scale %g.", sizes, scale)
    return scale


def _mean_diameter(found: Sequence[Instances]) -> float:
    sizes = np.concatenate([diameters(instances.labels) for instances in found])
    return float(np.average(sizes, weights=sizes**2)) if len(sizes) else 0.0


def _cover(found: Sequence[Instances]) -> float:
    """Return the fraction of all pixels that nuclei cover, each weighted by its score."""
    pixels = sum(instances.labels.size for instances in found)
    return float(sum(instances.areas @ instances.scores for instances in found) / pixels)
