"""Matching of predicted and true nuclei."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import ConfigError
from nucseg.metrics.instances.overlap import Overlaps

THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""The ten IoU thresholds of the Data Science Bowl 2018 and of COCO: 0.50, 0.55, ..., 0.95."""


@dataclass(frozen=True)
class Matches:
    """M pairs of nuclei; no nucleus is in two of them.

    Attributes:
        true_index: `(M,)` int64, index into `Overlaps.true_labels`.
        pred_index: `(M,)` int64, index into `Overlaps.pred_labels`.
        iou: `(M,)` float64.
    """

    true_index: NDArray[np.int64]
    pred_index: NDArray[np.int64]
    iou: NDArray[np.float64]


def match(found: Overlaps, threshold: float = 0.5, scores: NDArray[np.floating] | None = None) -> Matches:
    """Match one-to-one so that as many pairs as possible have IoU >= `threshold`.

    Nuclei of one label image do not overlap, so from 0.5 on no assignment problem is left to solve. Two predictions
    have IoU >= 0.5 with the same true nucleus only where they are its two halves, exactly: then both IoUs are 0.5 and
    neither prediction overlaps another nucleus (the same holds with truth and prediction exchanged). Any choice
    between the halves is therefore a largest matching with the largest IoU sum (`stardist.matching` finds the same
    number), and it follows that the matches at a higher threshold are those of 0.5 with a high enough IoU.

    Args:
        found: The overlaps of one image.
        threshold: In [0.5, 1].
        scores: `(P,)`; if two predictions are the halves of a true nucleus, the one with the higher score is matched
            (the lower label on a tie), as in COCO's greedy matching by score. None: the lower label.

    Returns:
        The pairs.

    Raises:
        ConfigError: The threshold is outside [0.5, 1].
    """
    if not 0.5 <= threshold <= 1:
        raise ConfigError(f"IoU threshold {threshold}: allowed is 0.5 to 1, where a match is unique.")
    pairs = np.flatnonzero(found.iou >= threshold)
    if scores is not None:
        pairs = pairs[np.argsort(-scores[found.pred_index[pairs]], kind="stable")]
    pairs = pairs[_first_of_each(found.true_index[pairs])]
    pairs = pairs[_first_of_each(found.pred_index[pairs])]
    return Matches(found.true_index[pairs], found.pred_index[pairs], found.iou[pairs])


def _first_of_each(values: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.unique(values, return_index=True)[1]
