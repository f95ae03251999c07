"""The scale at which a model should see an image whose nuclei are of unknown size.

A network finds what its receptive field and its training cover. Nuclei far larger than that come out in pieces, or not
at all; at half or a quarter of the resolution the same network finds them whole.
"""

import logging
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.images.geometry import resize_image, scaled_shape
from nucseg.masks.labels import diameters
from nucseg.models.segmenter import Segmenter

logger = logging.getLogger(__name__)

SCALES = (1.0, 0.5, 0.25, 0.125)
"""What is tried. Each halves the diameters, so that one of them fits."""

LARGEST = 45.0
"""Pixels: where the nuclei that are found are larger than this, on the average, a smaller scale is taken.

Half of it is still well above the smallest nuclei of the training data (BBBC038: 10 to 40 pixels), so a scale that
passes never makes them too small.
"""

_SMALLEST_SIDE = 32  # of a window at the smallest scale that is tried
_LEAST = 0.25  # of the nucleus area that another scale finds


def estimate_scale(windows: Iterable[NDArray[np.float32]], segmenter: Segmenter) -> float:
    """Choose the largest of `SCALES` at which the model finds nuclei of a size that it knows.

    At each scale the model's own threshold is used. A scale passes where the mean diameter of the nuclei, weighted by
    their areas (of equal discs; so that debris and pieces count little), is at most `LARGEST`, and where they cover,
    weighted by their scores, at least a quarter of what they cover at the best passing scale (debris between nuclei
    that are too large to be found is small enough, but covers next to nothing).

    Args:
        windows: Representative parts of one image as the network sees them at scale 1, each `(H, W, in_channels)`
            float32; or the whole image.
        segmenter: The model.

    Returns:
        The factor to resize the image by; 1 where nothing is found at any scale. The same windows give the same factor.
    """
    parts = list(windows)
    covered: dict[float, float] = {}
    found_any: list[float] = []
    for scale in SCALES:
        if scale < 1 and min(min(part.shape[:2]) for part in parts) * scale < _SMALLEST_SIDE:
            break
        found = segmenter.predict([resize_image(part, scaled_shape(part.shape, scale)) for part in parts])
        diameter, cover = _mean_diameter(found), _cover(found)
        if cover > 0:
            found_any.append(scale)
            if diameter <= LARGEST:
                covered[scale] = cover
    passing = [scale for scale, cover in covered.items() if cover >= _LEAST * max(covered.values())]
    # Where all that is found is too large even at the smallest scale, that is the nearest to what the model knows.
    chosen = max(passing) if passing else min(found_any, default=1.0)
    if chosen != 1:
        logger.info("The nuclei are large: the image is predicted at scale %g.", chosen)
    return chosen


def _mean_diameter(found: list[Instances]) -> float:
    sizes = np.concatenate([diameters(instances.labels) for instances in found])
    return float(np.average(sizes, weights=sizes**2)) if len(sizes) else 0.0


def _cover(found: list[Instances]) -> float:
    """Give the part of all pixels that nuclei cover, each weighted by its score."""
    pixels = sum(instances.labels.size for instances in found)
    return float(sum(instances.areas @ instances.scores for instances in found) / pixels)
