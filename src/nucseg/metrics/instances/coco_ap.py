"""COCO's mask AP: the area under the precision-recall curve over all scores, not at one score threshold."""

import numpy as np
from numpy.typing import NDArray

from nucseg.metrics.instances.matching import THRESHOLDS, match
from nucseg.metrics.instances.overlap import Overlaps
from nucseg.metrics.instances.scores import Score

_RECALLS = np.linspace(0, 1, 101)


def matched_ious(found: Overlaps, scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute for each candidate the IoU with the true nucleus that COCO's greedy matching by score assigns to it.

    Args:
        found: The overlaps of one image with all its candidates, down to the lowest score.
        scores: `(P,)`, of `found.pred_labels`.

    Returns:
        `(P,)` float64; 0 without a match. The candidate is a true positive at each threshold >= 0.5 that this value
        reaches.
    """
    ious = np.zeros(len(found.pred_labels))
    matches = match(found, scores=scores)
    ious[matches.pred_index] = matches.iou
    return ious


def coco_average_precision(scores: NDArray[np.floating], ious: NDArray[np.float64], n_true: int) -> Score:
    """Average COCO AP over IoU thresholds 0.50:0.05:0.95.

    It is computed as by `pycocotools` for one category with all areas and no limit on the number of detections:
    precision, made non-increasing in recall, is averaged over 101 recalls 0, 0.01, ..., 1.
    https://github.com/cocodataset/cocoapi/blob/master/PythonAPI/pycocotools/cocoeval.py

    Args:
        scores: `(N,)`, of the candidates of all images, image after image; of equal scores the earlier comes first.
        ious: `(N,)`, of `matched_ious`.
        n_true: True nuclei in all images.

    Returns:
        The AP; None without true nuclei.
    """
    if n_true == 0:
        return None
    true_positive = ious[np.argsort(-scores, kind="stable")] >= np.array(THRESHOLDS)[:, None]
    tp = np.cumsum(true_positive, axis=1)
    precision = tp / np.arange(1, len(scores) + 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    envelope = np.pad(envelope, ((0, 0), (0, 1)))  # 0 for a recall that is not reached
    at_recall = [
        envelope[row, np.searchsorted(recall, _RECALLS, side="left")] for row, recall in enumerate(tp / n_true)
    ]
    return float(np.mean(at_recall))
