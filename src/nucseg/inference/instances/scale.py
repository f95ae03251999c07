"""The scale at which a model should see an image whose nuclei are of unknown size.

A network finds nuclei of the sizes that its receptive field and its training cover. Much larger ones are found in
pieces, or not at all; at half or a quarter of the resolution the same network finds them whole.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.masks.labels import diameters
from nucseg.models.sizes import SPECK, TrainedSizes, mean_diameter

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

_KEPT_COVER = 0.8  # of the nucleus area at scale 1 that must be found again when it is enlarged
_REFERENCE_SCALE = 0.25  # always tried: it costs a sixteenth of the full scale
SMALLEST_SIDE = 128  # of a window at the smallest scale that is tried; a smaller empty field looks like a nucleus
_SMALLEST_COVER = 0.25  # of the nucleus area that is found at the reference scale
_FOUND_AGAIN = 0.5  # of the nucleus area at the reference scale, at twice that scale
_BY_FAR = 0.7  # what is compared with a bound may be wrong by this factor, since the middle of the windows is a part
_FEW, _SMALLEST_SHARE = 5, 0.1  # how many nuclei a smaller scale must lose to be refused
_SURELY_KNOWN = 0.9  # of the largest diameter of the training
_AS_WHOLE = 0.85  # of the diameter and of the cover of the nuclei at the smaller scale


def estimate_scale(
    find: Find,
    side: int,
    find_in_crops: Find,
    trained: TrainedSizes,
    *,
    crops_first: bool = False,
    name: str = "image",
) -> float:
    """Choose the scale at which a model finds nuclei of a size that it knows: the largest of `SCALES`, or up to 3.

    A scale passes if it meets two conditions. The mean diameter of the nuclei (of discs of equal area) is at most
    `LARGEST`; it is weighted by their areas, so that debris and pieces count little. And the area that they cover,
    weighted by their scores, is at least a quarter of that at scale 1/4, if scale 1/4 passes: debris between nuclei
    that are too large to be found is small, but covers almost nothing. Scale 1/4 does not count if less than half of
    that area is found again at twice that scale, where the nuclei would still be no larger than `LARGEST`: dirt and
    groups of small nuclei look like nuclei from afar.

    Args:
        find: Returns what the model finds at a scale, above its own threshold, always in the same windows of one image;
            called at most once per scale.
        side: Rows or columns, whichever are fewer, of the smallest window at scale 1, in pixels.
        find_in_crops: The same in the middle of the windows, which may be enlarged; called if the nuclei are small.
        trained: The sizes that the training showed.
        crops_first: Whether scale 1 is taken without a look at the windows at that scale, if what is found in their
            middle meets both conditions by far.
        name: Name of the image for messages.

    Returns:
        The factor by which to resize the image; 1 if nothing is found at any scale.
    """
    allowed = [scale for scale in SCALES if scale == 1 or side * scale >= SMALLEST_SIDE]

    @cache
    def look(scale: float) -> _Seen:
        return _seen(find(scale))

    def fits(scale: float) -> bool:
        return look(scale).cover > 0 and look(scale).mean <= LARGEST

    reference = look(_REFERENCE_SCALE).cover if _REFERENCE_SCALE in allowed and fits(_REFERENCE_SCALE) else 0.0
    if crops_first:
        middle = _seen(find_in_crops(1.0))
        is_known = trained.enlarge[0] / _BY_FAR <= middle.mean <= _BY_FAR * LARGEST
        if is_known and _BY_FAR * middle.cover >= _SMALLEST_COVER * reference:
            return 1.0
    for scale in filter(fits, allowed):
        if look(scale).cover < _SMALLEST_COVER * reference:
            reference = _confirmed(look(_REFERENCE_SCALE), look(2 * _REFERENCE_SCALE))
        if look(scale).cover >= _SMALLEST_COVER * reference:
            if scale == 1:
                return _log_scale(_enlargement(trained.enlargement(look(1.0).mean), find_in_crops), name)
            if trained.diameters and _would_lose_the_small(look(1.0), look(scale), scale, trained.diameters):
                logger.info("%s: there are small and large nuclei, so it is predicted as it is.", name)
                return 1.0
            return _log_scale(scale, name)
    # If everything found is too large even at the smallest scale, that scale is the nearest to what the model knows.
    # But what is larger than anything that the training showed is no nucleus: the light of an empty field may be round.
    seen = [scale for scale in allowed if look(scale).cover > 0]
    known = [scale for scale in seen if not trained.diameters or look(scale).mean <= trained.diameters[1]]
    if seen and not known:
        logger.info(
            "%s: all that is seen is larger than any nucleus of the model's training, so it is predicted as it is; "
            "if there are such nuclei, use --scale %g.",
            *(name, min(seen) / 2),
        )
    return _log_scale(min(known, default=1.0), name)


@dataclass(frozen=True)
class _Seen:
    """What is found at a scale: the diameters, and the fraction of all pixels that is covered."""

    diameters: NDArray[np.float64]
    cover: float

    @property
    def mean(self) -> float:
        """The mean diameter; see `mean_diameter`."""
        return mean_diameter(self.diameters)


def _seen(found: Sequence[Instances]) -> _Seen:
    return _Seen(np.concatenate([diameters(instances.labels) for instances in found]), _cover(found))


def _confirmed(reference: _Seen, closer: _Seen) -> float:
    """Return the cover at the reference scale, or at twice that scale if it should be found there, but is not."""
    is_known = 2 * reference.mean <= LARGEST
    return closer.cover if is_known and closer.cover < _FOUND_AGAIN * reference.cover else reference.cover


def _would_lose_the_small(full: _Seen, shrunk: _Seen, scale: float, trained: tuple[float, float]) -> bool:
    """Return whether a smaller scale makes a part of the nuclei too small, while full size shows the large ones whole.

    In pieces they would have another mean diameter, or cover less, than what is found at the smaller scale.
    """
    smallest, largest = trained
    lost = (full.diameters > SPECK) & (full.diameters * scale < smallest)
    return bool(
        np.count_nonzero(lost) >= max(_FEW, _SMALLEST_SHARE * len(full.diameters))
        and full.mean <= _SURELY_KNOWN * largest
        and full.mean * scale >= _AS_WHOLE * shrunk.mean
        and full.cover >= _AS_WHOLE * shrunk.cover
    )


def _enlargement(factor: float, find: Find) -> float:
    """Return a factor above 1 if what is found at scale 1 is found there, too; else 1."""
    return factor if factor == 1 or _cover(find(factor)) >= _KEPT_COVER * _cover(find(1.0)) else 1.0


def _log_scale(scale: float, name: str) -> float:
    if scale != 1:
        sizes = "large" if scale < 1 else "small"
        logger.info("%s: the nuclei are %s, so it is predicted at scale %g.", name, sizes, scale)
    return scale


def _cover(found: Sequence[Instances]) -> float:
    """Return the fraction of all pixels that nuclei cover, each weighted by its score."""
    pixels = sum(instances.labels.size for instances in found)
    return float(sum(instances.areas @ instances.scores for instances in found) / pixels)
