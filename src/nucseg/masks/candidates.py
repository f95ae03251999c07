"""The candidates of one image as a record, which the evaluation keeps between prediction and scoring."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nucseg.core.errors import InputError
from nucseg.core.types import Instances, Sample
from nucseg.masks.rle import coco_decode, coco_encode


def candidates_record(sample: Sample, candidates: Instances, score_threshold: float) -> dict[str, Any]:
    """Create the record of what a model found in one image; every metric and export is computed from it.

    Args:
        sample: The image's row of the manifest.
        candidates: The nuclei down to a low score, `(H, W)`.
        score_threshold: The model's own threshold; candidates at or above it are its prediction.

    Returns:
        `image_id`, `dataset`, `size` (`[H, W]`), `score_threshold`, `scores` and `masks` (compressed COCO RLE).
        JSON types only; `candidates_from_record` restores the same labels and scores.
    """
    return {
        "image_id": sample.image_id,
        "dataset": sample.dataset,
        "size": list(candidates.labels.shape),
        "score_threshold": float(score_threshold),
        "scores": candidates.scores.tolist(),
        "masks": coco_encode(candidates.labels),
    }


def candidates_from_record(record: Mapping[str, Any]) -> tuple[Instances, float]:
    """Read what `candidates_record` created.

    Args:
        record: The record of one image.

    Returns:
        The candidates and the model's score threshold.

    Raises:
        InputError: The record was not created by `candidates_record`.
    """
    try:
        height, width = record["size"]
        labels = coco_decode(record["masks"], (height, width))
        return Instances(labels, np.asarray(record["scores"], np.float32)), float(record["score_threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the record of {record.get('image_id', 'an image')} is damaged ({error!r}); run model_evaluation again."
        ) from error
