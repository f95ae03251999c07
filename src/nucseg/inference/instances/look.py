"""Trial predictions at several scales, to find the one at which a model should see an image."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from nucseg.core.types import Instances
from nucseg.images.geometry import resize_image, scaled_shape
from nucseg.images.preprocessing import FittedPreprocessor
from nucseg.images.source import ImageSource, sample_windows
from nucseg.inference.instances.scale import estimate_scale
from nucseg.models.protocols import InstanceSegmenter


class ScaleLook:
    """Predicts a few windows of an image at several scales, and keeps the network's proposals.

    Args:
        model: The model.
        source: The image.
        fitted: The model's preprocessing with the statistics of the image.
        lowest: The lowest score of a proposal to keep.
    """

    def __init__(
        self, model: InstanceSegmenter, source: ImageSource, fitted: FittedPreprocessor, lowest: float
    ) -> None:
        windows = list(sample_windows(fitted.filled(source)))
        self._is_whole = len(windows) == 1 and windows[0].shape[:2] == source.shape[:2]
        self._parts = [fitted.image(window) for window in windows]
        self._model = model
        # The scale needs no weaker nuclei, but the answer may, and the proposals for a whole image are used for it.
        self._lowest = lowest if self._is_whole else model.thresholds["score"]
        self._propose = cache(self._proposals)

    def scale(self) -> float:
        """Return the scale to predict the image at; see `estimate_scale`."""
        return estimate_scale(self._found, min(min(part.shape[:2]) for part in self._parts))

    def proposals_of_all(self, scale: float) -> Mapping[int, Any]:
        """Return the proposals for the whole image at a scale, as those of tile 0; empty if only parts were seen."""
        return {0: self._propose(scale)[0]} if self._is_whole else {}

    def _proposals(self, scale: float) -> list[Any]:
        resized = [resize_image(part, scaled_shape(part.shape, scale)) for part in self._parts]
        return self._model.propose(resized, {**self._model.thresholds, "score": self._lowest})

    def _found(self, scale: float) -> list[Instances]:
        thresholds = self._model.thresholds
        shapes = [scaled_shape(part.shape, scale) for part in self._parts]
        return [
            self._model.decode(proposals, shape, thresholds).above(thresholds["score"])
            for proposals, shape in zip(self._propose(scale), shapes, strict=True)
        ]
