"""Trial predictions at several scales, to find the one at which a model should see an image."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.images.geometry import resize_image, scaled_shape
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource, sample_windows
from nucseg.inference.instances.scale import estimate_scale
from nucseg.models.protocols import InstanceSegmenter

_CROP = 512  # pixels a side of what is seen of a window where all of it would take long


class ScaleLook:
    """Predicts a few windows of an image at several scales, and keeps what is found.

    Args:
        model: The model.
        source: The image.
        fitted: The model's preprocessing with the statistics of the image.
        lowest: The lowest score of a proposal to keep.
        trained: The range of diameters that the model's training showed; see `estimate_scale`.
    """

    def __init__(
        self,
        model: InstanceSegmenter,
        source: ImageSource,
        fitted: FittedPreprocessor,
        lowest: float,
        trained: tuple[float, float] | None = None,
    ) -> None:
        windows = list(sample_windows(fitted.filled(source)))
        self._is_whole = len(windows) == 1 and windows[0].shape[:2] == source.shape[:2]
        self._parts = [fitted.image(window) for window in windows]
        self._model, self._trained = model, trained
        # The scale needs no weaker nuclei, but the answer may, and what is found in a whole image is used for it.
        self._lowest = lowest if self._is_whole else model.thresholds["score"]
        self._decoded = cache(lambda scale: self._instances(self._parts, scale))

    def scale(self) -> float:
        """Return the scale to predict the image at; see `estimate_scale`."""
        side = min(min(part.shape[:2]) for part in self._parts)
        # What is found in the whole image at full size is the prediction, if that is the scale.
        return estimate_scale(self._found, side, self._found_in_crops, self._trained, crops_first=not self._is_whole)

    def found_in_all(self, scale: float) -> Mapping[int, Instances]:
        """Return the nuclei at a scale, weak ones too, as those of tile 0; empty if only parts were seen."""
        return {0: self._decoded(scale)[0]} if self._is_whole and scale <= 1 else {}

    def _found(self, scale: float) -> list[Instances]:
        return self._sure(self._decoded(scale))

    def _found_in_crops(self, scale: float) -> list[Instances]:
        """Return what is found in the middle of each part, which takes little time and memory, enlarged too."""
        return self._sure(self._instances([_middle(part) for part in self._parts], scale))

    def _sure(self, found: Sequence[Instances]) -> list[Instances]:
        return [each.above(self._model.thresholds["score"]) for each in found]

    def _instances(self, parts: Sequence[NDArray[np.float32]], scale: float) -> list[Instances]:
        model = self._model
        resized = [resize_image(part, scaled_shape(part.shape, scale)) for part in parts]
        proposals = model.propose(resized, {**model.thresholds, "score": self._lowest})
        return [
            model.decode(each, (part.shape[0], part.shape[1]), model.thresholds)
            for each, part in zip(proposals, resized, strict=True)
        ]


def _middle(part: NDArray[np.float32]) -> NDArray[np.float32]:
    top, left = (max((side - _CROP) // 2, 0) for side in part.shape[:2])
    return part[top : top + _CROP, left : left + _CROP]
