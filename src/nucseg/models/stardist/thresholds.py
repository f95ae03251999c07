"""The score threshold that gives the best mean AP, found exactly and without decoding anything twice."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.metrics.overlap import overlaps
from nucseg.models.segmenter import LOWEST_SCORE

_IOUS = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
_SCORES = np.arange(round(LOWEST_SCORE * 100), 96) / 100


@dataclass
class ScoreSweep:
    """Counts over validation images of what each score threshold would find.

    A threshold only takes nuclei away and never moves a pixel from one nucleus to another (`Instances.above`), so that
    candidates decoded once, at the lowest score, answer for every threshold. Pairs with IoU above 0.5 are unique, so
    that no matching is needed.
    """

    n_true: int = 0
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    pair_scores: list[NDArray[np.float32]] = field(default_factory=list)
    pair_ious: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, truth: NDArray[np.integer], candidates: Instances) -> None:
        """Count one image: its true label image `(H, W)` and what was found in it down to `LOWEST_SCORE`."""
        pairs = overlaps(truth, candidates.labels)
        unique = pairs.iou > 0.5
        self.n_true += len(pairs.true_labels)
        self.scores.append(candidates.scores)
        self.pair_scores.append(candidates.scores[pairs.pred_index[unique]])
        self.pair_ious.append(pairs.iou[unique])

    def best(self) -> tuple[float, float]:
        """Find the best score threshold.

        Returns:
            The value of `ap_mean_50_90` there (the mean over IoU 0.5, 0.6, ..., 0.9 of TP / (TP + FP + FN), pooled over
            the images; 0 where nothing was found) and the threshold, a multiple of 0.01.
        """
        scores = np.concatenate([[], *self.scores])
        pair_scores = np.concatenate([[], *self.pair_scores])
        matched = np.concatenate([[], *self.pair_ious])[:, None] >= _IOUS
        kept = _SCORES.astype(np.float32)
        n_pred = (scores >= kept[:, None]).sum(1)[:, None]
        true_positives = (pair_scores >= kept[:, None]).astype(np.int64) @ matched
        ap = (true_positives / np.maximum(n_pred + self.n_true - true_positives, 1)).mean(1)
        return float(ap.max()), float(_SCORES[ap.argmax()])
