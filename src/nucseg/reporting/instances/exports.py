"""The nuclei found in the test split in other tools' formats: Kaggle's submission, COCO results."""

from typing import Any

from nucseg.core.types import Instances
from nucseg.masks.boxes import boxes
from nucseg.masks.rle import coco_encode, kaggle_encode

NUCLEUS_CATEGORY = 1
"""COCO's `category_id` of a nucleus, the only category."""


def submission_rows(image_id: str, found: Instances) -> list[dict[str, str]]:
    """Create the rows of one image in the submission of the Data Science Bowl 2018.

    Source: https://www.kaggle.com/c/data-science-bowl-2018/overview/evaluation

    Args:
        image_id: Value of `ImageId`.
        found: The nuclei, thresholded.

    Returns:
        One row per nucleus, `ImageId` and `EncodedPixels`; one row with an empty mask where nothing was found.
    """
    masks = [mask for mask in kaggle_encode(found.labels) if mask] or [""]
    return [{"ImageId": image_id, "EncodedPixels": mask} for mask in masks]


def coco_results(image_id: str | int, found: Instances) -> list[dict[str, Any]]:
    """Create the entries of one image in a COCO results file.

    Source: https://cocodataset.org/#format-results

    Args:
        image_id: The image's id in the file of the ground truth.
        found: The nuclei, thresholded or not.

    Returns:
        One entry per nucleus: `image_id`, `category_id` (1), `segmentation` (compressed RLE), `bbox` (`[x, y, width,
        height]` in pixels) and `score`. JSON types only.
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
