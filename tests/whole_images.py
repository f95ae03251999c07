"""Predicting whole images with a model alone: what `Predictor` does, without preprocessing, scale and tiles."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.models.protocols import InstanceSegmenter, lowest_score


def predict_whole(
    model: InstanceSegmenter, images: Sequence[NDArray[np.float32]], score_threshold: float | None = None
) -> list[Instances]:
    """Find the nuclei of preprocessed images; None takes the model's own threshold."""
    own = model.thresholds["score"]
    threshold = own if score_threshold is None else score_threshold
    proposals = model.propose(images, {**model.thresholds, "score": lowest_score(own, score_threshold)})
    return [
        model.decode(found, (image.shape[0], image.shape[1]), model.thresholds).above(threshold)
        for image, found in zip(images, proposals, strict=True)
    ]
