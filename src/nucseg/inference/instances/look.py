"""Trial predictions at several scales, to find the one at which a model should see an image."""

import logging
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.images.geometry import resize_image, scaled_shape
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource, sample_windows
from nucseg.inference.engine import Look
from nucseg.inference.instances.large import SCALES, add_large
from nucseg.inference.instances.scale import SMALLEST_SIDE, estimate_scale
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.models.protocols import InstanceSegmenter
from nucseg.models.resized import at_scale, resize_instances
from nucseg.models.sizes import TrainedSizes

logger = logging.getLogger(__name__)

_CROP = 512  # pixels a side of what is seen of a window where all of it would take long


class ScaleLook:
    """Predicts a few windows of an image at several scales, and keeps what is found.

    Args:
        model: The model.
        source: The image.
        fitted: The model's preprocessing with the statistics of the image.
        lowest: The lowest score of a proposal to keep.
        trained: The sizes that the model's training showed; see `estimate_scale`.
        at_once: Whether what is found in a whole image may be taken as the answer.
    """

    def __init__(
        self,
        model: InstanceSegmenter,
        source: ImageSource,
        fitted: FittedPreprocessor,
        lowest: float,
        trained: TrainedSizes,
        *,
        at_once: bool,
    ) -> None:
        windows = list(sample_windows(fitted.filled(source)))
        self._is_whole = len(windows) == 1 and windows[0].shape[:2] == source.shape[:2]
        self._parts = [fitted.image(window) for window in windows]
        self._fitted_scale = fitted.scale
        self._name = source.name
        self._model, self._trained, self._is_taken = model, trained, at_once and self._is_whole
        # The scale needs no weaker nuclei, but the answer may, and what is found in a whole image is used for it.
        self._lowest = lowest if self._is_whole else model.thresholds["score"]
        middles = [_middle(part) for part in self._parts]
        self._decoded = cache(lambda scale: self._instances(self._parts, scale))
        self._decoded_middles = cache(lambda scale: self._instances(middles, scale))

    def look(self) -> Look:
        """Find the scale to predict the image at, and whether smaller ones would show more of it.

        What is found in the whole image at the scale, and at the smaller ones, is known then, weak nuclei too.
        """
        side = min(min(part.shape[:2]) for part in self._parts)
        scale = estimate_scale(
            self._found,
            side,
            self._found_in_crops,
            self._trained,
            crops_first=not self._is_whole,
            name=self._name,
        )
        smaller = SCALES if scale >= 1 and any(map(self._lacks_large, range(len(self._parts)))) else ()
        if smaller:
            scale = 1.0  # enlarged, the large ones would be lost
            logger.info("%s: there are large nuclei beside small ones: smaller scales are predicted, too.", self._name)
        # What is found in an enlarged image is drawn into the image itself.
        taken = [each for each in (scale, *smaller) if self._is_taken and each * self._fitted_scale <= 1]
        return Look(scale, smaller, {each: self._decoded(each)[0] for each in taken})

    def _found(self, scale: float) -> list[Instances]:
        return self._sure(self._decoded(scale))

    def _found_in_crops(self, scale: float) -> list[Instances]:
        """Return what is found in the middle of each part, which takes little time and memory, enlarged too."""
        return self._sure(self._decoded_middles(scale))

    def _lacks_large(self, number: int) -> bool:
        """Return whether smaller scales show large nuclei in a part, or in its middle, that full size does not."""
        seen = self._decoded if self._is_whole else self._decoded_middles
        found = seen(1.0)[number]
        shape = (found.labels.shape[0], found.labels.shape[1])
        diameters = self._trained.diameters
        if diameters is None or min(shape) * min(SCALES) < SMALLEST_SIDE:
            return False

        def at(scale: float) -> StitchedLabels:
            return StitchedLabels.of(resize_instances(seen(scale)[number], shape))

        full = StitchedLabels.of(found)
        return add_large(full, at, self._model.thresholds["score"], diameters[1]) is not full

    def _sure(self, found: Sequence[Instances]) -> list[Instances]:
        return [each.above(self._model.thresholds["score"]) for each in found]

    def _instances(self, parts: Sequence[NDArray[np.float32]], scale: float) -> list[Instances]:
        model, thresholds = self._model, at_scale(self._model.thresholds, scale * self._fitted_scale)
        resized = [resize_image(part, scaled_shape(part.shape, scale)) for part in parts]
        proposals = model.propose(resized, {**thresholds, "score": self._lowest})
        return [
            model.decode(each, (part.shape[0], part.shape[1]), thresholds)
            for each, part in zip(proposals, resized, strict=True)
        ]


def _middle(part: NDArray[np.float32]) -> NDArray[np.float32]:
    top, left = (max((side - _CROP) // 2, 0) for side in part.shape[:2])
    return part[top : top + _CROP, left : left + _CROP]
