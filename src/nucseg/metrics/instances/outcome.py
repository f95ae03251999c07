"""Errors by kind: which nuclei were missed, extra, merged or split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nucseg.metrics.instances.matching import match
from nucseg.metrics.instances.overlap import Overlaps


@dataclass(frozen=True)
class Outcome:
    """The errors of one image by kind; a nucleus is in at most one list, and in none if it is right.

    Attributes:
        missed: True labels without a match that no merge or split explains.
        extra: Predicted labels without a match that no merge or split explains.
        merged: Predicted labels that cover two or more true nuclei (more than half of each).
        split: True labels in which two or more predictions lie (with more than half of each).
    """

    missed: NDArray[np.int64]
    extra: NDArray[np.int64]
    merged: NDArray[np.int64]
    split: NDArray[np.int64]


def outcome(found: Overlaps) -> Outcome:
    """Sort the errors of one image by kind.

    A match is one-to-one with IoU >= 0.5. A merged prediction or a split nucleus may have a match, if its larger part
    fits, but is still an error.

    Args:
        found: The overlaps of its true and predicted nuclei.

    Returns:
        Labels of the nuclei in error, as they are in the label images.
    """
    n_true, n_pred = len(found.true_labels), len(found.pred_labels)
    covers = 2 * found.intersection > found.true_areas[found.true_index]  # most of the true nucleus
    inside = 2 * found.intersection > found.pred_areas[found.pred_index]  # most of the prediction
    merged = np.bincount(found.pred_index[covers], minlength=n_pred) >= 2
    split = np.bincount(found.true_index[inside], minlength=n_true) >= 2

    matches = match(found)
    missed, extra = ~split, ~merged
    missed[matches.true_index] = False
    missed[found.true_index[covers & merged[found.pred_index]]] = False
    extra[matches.pred_index] = False
    extra[found.pred_index[inside & split[found.true_index]]] = False
    return Outcome(
        missed=found.true_labels[missed],
        extra=found.pred_labels[extra],
        merged=found.pred_labels[merged],
        split=found.true_labels[split],
    )
