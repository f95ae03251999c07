"""Counts of one image, which are added up over images; every pooled score follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nucseg.metrics.instances.matching import THRESHOLDS, match
from nucseg.metrics.instances.overlap import Overlaps

DIAMETERS = (0.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, np.inf)
"""Pixels: limits of the classes by which recall is counted."""


@dataclass(frozen=True)
class Counts:
    """Sums over one image or several.

    Attributes:
        n_true: True nuclei.
        n_pred: Predicted nuclei.
        tp: `(10,)` int64, matched pairs at each of `matching.THRESHOLDS`.
        iou_sum: Sum of the IoUs of the pairs matched at 0.50.
        aji_intersection: Pixels; numerator of the aggregated Jaccard index.
        aji_union: Pixels; its denominator.
        true_area: Pixels of all true nuclei.
        pred_area: Pixels of all predicted nuclei.
        common_area: Pixels that belong to any true and any predicted nucleus.
        true_by_diameter: `(D,)` int64, true nuclei between each two of `DIAMETERS`.
        found_by_diameter: `(D,)` int64, those of them that are matched at 0.50.
    """

    n_true: int
    n_pred: int
    tp: NDArray[np.int64]
    iou_sum: float
    aji_intersection: int
    aji_union: int
    true_area: int
    pred_area: int
    common_area: int
    true_by_diameter: NDArray[np.int64]
    found_by_diameter: NDArray[np.int64]


def count(found: Overlaps) -> Counts:
    """Compute the counts that the scores of one image need.

    Args:
        found: The overlaps of the image.

    Returns:
        Its counts.
    """
    matches = match(found)
    intersection, union = _aggregated_jaccard(found)
    diameters = 2 * np.sqrt(found.true_areas / np.pi)  # of the circles of equal area
    return Counts(
        n_true=len(found.true_labels),
        n_pred=len(found.pred_labels),
        tp=np.count_nonzero(matches.iou[:, None] >= THRESHOLDS, axis=0),
        iou_sum=float(matches.iou.sum()),
        aji_intersection=intersection,
        aji_union=union,
        true_area=int(found.true_areas.sum()),
        pred_area=int(found.pred_areas.sum()),
        common_area=int(found.intersection.sum()),
        true_by_diameter=np.histogram(diameters, DIAMETERS)[0],
        found_by_diameter=np.histogram(diameters[matches.true_index], DIAMETERS)[0],
    )


def pool(images: Iterable[Counts]) -> Counts:
    """Add up the counts of images.

    Args:
        images: Any number, none included.

    Returns:
        Their sum, in which every nucleus has the same weight.
    """
    by_diameter = np.zeros(len(DIAMETERS) - 1, np.int64)
    total = Counts(0, 0, np.zeros(len(THRESHOLDS), np.int64), 0.0, 0, 0, 0, 0, 0, by_diameter, by_diameter)
    for image in images:
        sums = (ours + theirs for ours, theirs in zip(vars(total).values(), vars(image).values(), strict=True))
        total = Counts(*sums)
    return total


def _aggregated_jaccard(found: Overlaps) -> tuple[int, int]:
    """Compute numerator and denominator of the AJI in pixels (Kumar et al. 2017, Algorithm 1).

    Each true nucleus is taken with the prediction of the highest IoU (the lower label on a tie; one prediction may
    serve several true nuclei, as in the paper), or alone where none overlaps it; predictions that serve none add
    their area to the denominator. https://doi.org/10.1109/TMI.2017.2677499
    """
    by_iou = np.lexsort((-found.iou, found.true_index))
    best = by_iou[np.unique(found.true_index[by_iou], return_index=True)[1]]
    alone = np.ones(len(found.true_labels), bool)
    alone[found.true_index[best]] = False
    unused = np.ones(len(found.pred_labels), bool)
    unused[found.pred_index[best]] = False
    union = found.union[best].sum() + found.true_areas[alone].sum() + found.pred_areas[unused].sum()
    return int(found.intersection[best].sum()), int(union)
