"""Trial predictions at several scales, to find the one at which a model should see an image."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.images.geometry import resize_image, scaled_shape, vote_labels_part
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource, sample_windows
from nucseg.inference.instances.large import add_large
from nucseg.inference.instances.scale import SMALLEST_SIDE, estimate_scale
from nucseg.models.protocols import InstanceSegmenter

logger = logging.getLogger(__name__)

_CROP = 512  # pixels a side of what is seen of a window where all of it would take long


class ScaleLook:
    """Predicts a few windows of an image at several scales, and keeps what is found.

    Args:
        model: The model.
        source: The image.
        fitted: The model's preprocessing with the statistics of the image.
        lowest: The lowest score of a proposal to keep.
        trained: The range of diameters that the model's training showed; see `estimate_scale`.
        at_once: Whether what is found in a whole image may be taken as the answer.
    """

    def __init__(
        self,
        model: InstanceSegmenter,
        source: ImageSource,
        fitted: FittedPreprocessor,
        lowest: float,
        trained: tuple[float, float] | None = None,
        *,
        at_once: bool,
    ) -> None:
        windows = list(sample_windows(fitted.filled(source)))
        self._is_whole = len(windows) == 1 and windows[0].shape[:2] == source.shape[:2]
        self._parts = [fitted.image(window) for window in windows]
        self._model, self._trained, self._is_taken = model, trained, at_once and self._is_whole
        # The scale needs no weaker nuclei, but the answer may, and what is found in a whole image is used for it.
        self._lowest = lowest if self._is_whole else model.thresholds["score"]
        middles = [_middle(part) for part in self._parts]
        self._decoded = cache(lambda scale: self._instances(self._parts, scale))
        self._decoded_middles = cache(lambda scale: self._instances(middles, scale))

    def scale(self) -> float:
        """Return the scale to predict the image at; see `estimate_scale`."""
        side = min(min(part.shape[:2]) for part in self._parts)
        # What is found in the whole image at full size is the prediction, if that is the scale.
        scale = estimate_scale(self._found, side, self._found_in_crops, self._trained, crops_first=not self._is_whole)
        if scale == 1 and not self._is_taken and any(map(self._lacks_large, range(len(self._parts)))):
            logger.warning(
                "Large nuclei beside small ones are found at half the size only, but a large image, or a part of one, "
                "is predicted at one scale: for the large ones, predict it again with --scale 0.5."
            )
        return scale

    def found_in_all(self, scale: float) -> Mapping[int, Instances]:
        """Return the nuclei at a scale, weak ones too, as those of tile 0; empty if they are no answer.

        At full size, large nuclei that only smaller scales show are added; see `add_large`.
        """
        if not self._is_taken or scale > 1:
            return {}
        found = self._decoded(scale)[0]
        if scale == 1 and (both := self._with_large(found, self._found, 0)) is not found:
            logger.info("Large nuclei that are found at half the size only are added.")
            found = both
        return {0: found}

    def _found(self, scale: float) -> list[Instances]:
        return self._sure(self._decoded(scale))

    def _found_in_crops(self, scale: float) -> list[Instances]:
        """Return what is found in the middle of each part, which takes little time and memory, enlarged too."""
        return self._sure(self._decoded_middles(scale))

    def _lacks_large(self, number: int) -> bool:
        """Return whether the middle of a part shows large nuclei at smaller scales only."""
        found = self._decoded_middles(1.0)[number]
        return self._with_large(found, self._found_in_crops, number) is not found

    def _with_large(self, found: Instances, seen: Callable[[float], Sequence[Instances]], number: int) -> Instances:
        """Add the large nuclei to what is found of a part at full size; `seen` returns what a scale shows of all."""
        shape = (found.labels.shape[0], found.labels.shape[1])
        if self._trained is None or min(shape) * 0.25 < SMALLEST_SIDE:
            return found

        def at(scale: float) -> Instances:
            return _resized(seen(scale)[number], shape)

        return add_large(found, at, self._model.thresholds["score"], self._trained[1])

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


def _resized(found: Instances, shape: tuple[int, int]) -> Instances:
    whole, new = Window.whole(found.labels.shape), Window.whole(shape)
    return Instances(vote_labels_part(found.labels, whole, whole.shape, new, shape), found.scores)


def _middle(part: NDArray[np.float32]) -> NDArray[np.float32]:
    top, left = (max((side - _CROP) // 2, 0) for side in part.shape[:2])
    return part[top : top + _CROP, left : left + _CROP]
