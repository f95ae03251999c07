"""What was found in the test split, as records: our own, Kaggle's submission, COCO results."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nucseg.core.errors import InputError
from nucseg.core.types import Instances, Sample
from nucseg.masks.boxes import boxes
from nucseg.masks.rle import coco_decode, coco_encode, kaggle_encode

NUCLEUS_CATEGORY = 1
"""COCO's `category_id` of a nucleus, the only category."""


def submission_rows(image_id: str, found: Instances) -> list[dict[str, str]]:
    """Make the rows of one image in the submission of the Data Science Bowl 2018.

    Source: https://www.kaggle.com/c/data-science-bowl-2018/overview/evaluation

    Args:
        image_id: What goes into `ImageId`.
        found: The nuclei, thresholded.

    Returns:
        One row a nucleus, `ImageId` and `EncodedPixels`; one row with an empty mask where nothing was found.
    """
    masks = [mask for mask in kaggle_encode(found.labels) if mask] or [""]
    return [{"ImageId": image_id, "EncodedPixels": mask} for mask in masks]


def coco_results(image_id: str | int, found: Instances) -> list[dict[str, Any]]:
    """Make the entries of one image in a COCO results file.

    Source: https://cocodataset.org/#format-results

    Args:
        image_id: That of the image in the ground truth's file.
        found: The nuclei, thresholded or not.

    Returns:
        One entry a nucleus: `image_id`, `category_id` (1), `segmentation` (compressed RLE), `bbox`
        (`[x, y, width, height]` in pixels) and `score`. JSON types only.
    """
    corners = boxes(found.labels).astype(float)
    return [
        {
            "image_id": image_id,
            "category_id": NUCLEUS_CATEGORY,
            "segmentation": mask,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "score": score,
        }
        for mask, (y0, x0, y1, x1), score in zip(
            coco_encode(found.labels), corners.tolist(), found.scores.tolist(), strict=True
        )
    ]


def candidates_record(sample: Sample, candidates: Instances, score_threshold: float) -> dict[str, Any]:
    """Make the record of everything a model found in one image, from which every metric and export is computed.

    Args:
        sample: The image's row of the manifest.
        candidates: The nuclei down to a low score, `(H, W)`.
        score_threshold: The model's own; candidates from there up are its prediction.

    Returns:
        `image_id`, `dataset`, `size` (`[H, W]`), `score_threshold`, `scores` and `masks` (compressed COCO RLE).
        JSON types only; `candidates_from_record` gives the same labels and scores back.
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
    """Read what `candidates_record` made.

    Args:
        record: The record of one image.

    Returns:
        The candidates and the model's score threshold.

    Raises:
        InputError: The record is not one of `candidates_record`.
    """
    try:
        height, width = record["size"]
        labels = coco_decode(record["masks"], (height, width))
        return Instances(labels, np.asarray(record["scores"], np.float32)), float(record["score_threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the record of {record.get('image_id', 'an image')} is damaged ({error!r}); run model_evaluation again."
        ) from error
