"""Overlaps of true and predicted nuclei: the one pass over the pixels behind every score."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nucseg.core.checks import check_label_image
from nucseg.core.errors import InputError

_LABEL_BITS = 31  # label images are int32, so that two labels fit into one int64


@dataclass(frozen=True)
class Overlaps:
    """The overlap matrix of T true and P predicted nuclei, kept sparse: K pairs that share at least one pixel.

    Attributes:
        true_labels: `(T,)` int64, ascending: the labels in the true label image.
        pred_labels: `(P,)` int64, ascending: the labels in the predicted one.
        true_areas: `(T,)` int64, pixels.
        pred_areas: `(P,)` int64, pixels.
        true_index: `(K,)` int64, index into `true_labels` of each pair; pairs ascend by it, then by `pred_index`.
        pred_index: `(K,)` int64, index into `pred_labels`.
        intersection: `(K,)` int64, pixels, at least 1.
    """

    true_labels: NDArray[np.int64]
    pred_labels: NDArray[np.int64]
    true_areas: NDArray[np.int64]
    pred_areas: NDArray[np.int64]
    true_index: NDArray[np.int64]
    pred_index: NDArray[np.int64]
    intersection: NDArray[np.int64]

    @cached_property
    def union(self) -> NDArray[np.int64]:
        """Pixels in either nucleus of each pair, `(K,)` int64."""
        return self.true_areas[self.true_index] + self.pred_areas[self.pred_index] - self.intersection

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair, `(K,)` float64 in (0, 1]."""
        return self.intersection / self.union

    def where_pred(self, keep: NDArray[np.bool_]) -> "Overlaps":
        """Select some of the predicted nuclei.

        Args:
            keep: `(P,)` bool, False for nuclei to leave out.

        Returns:
            The overlaps as if the nuclei left out had been background.
        """
        pairs = keep[self.pred_index]
        return Overlaps(
            true_labels=self.true_labels,
            pred_labels=self.pred_labels[keep],
            true_areas=self.true_areas,
            pred_areas=self.pred_areas[keep],
            true_index=self.true_index[pairs],
            pred_index=(np.cumsum(keep) - 1)[self.pred_index[pairs]],
            intersection=self.intersection[pairs],
        )


def overlaps(truth: NDArray[np.integer], pred: NDArray[np.integer]) -> Overlaps:
    """Count the pixels that each true and each predicted nucleus share.

    It sorts runs of equal pixels, which are far fewer than pixels. So memory grows with the pairs that overlap, not
    with T times P, and labels may have gaps.

    Args:
        truth: Label image `(H, W)`, any integer dtype; 0 is background; labels below 2**31, gaps allowed.
        pred: Label image `(H, W)` of the same shape.

    Returns:
        Areas of all nuclei and the pixels of all pairs that overlap.

    Raises:
        InputError: The shapes differ, or one is not a label image.
    """
    check_label_image(truth, "true label image")
    check_label_image(pred, "predicted label image")
    if truth.shape != pred.shape:
        raise InputError(
            f"the predicted label image is {pred.shape} and the true one {truth.shape}; "
            "they must have the same (rows, columns): map the prediction back to the frame of the original image."
        )
    true_flat, pred_flat = truth.ravel(), pred.ravel()
    changes = (true_flat[1:] != true_flat[:-1]) | (pred_flat[1:] != pred_flat[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    true_of_run, pred_of_run = true_flat[starts].astype(np.int64), pred_flat[starts].astype(np.int64)
    if max(true_of_run.max(), pred_of_run.max()) >> _LABEL_BITS:
        raise InputError(f"a label is 2**{_LABEL_BITS} or more; renumber the nuclei from 1.")

    pair_of_run = (true_of_run << _LABEL_BITS) | pred_of_run
    order = np.argsort(pair_of_run)
    pairs, first = np.unique(pair_of_run[order], return_index=True)
    pixels = np.add.reduceat(np.diff(starts, append=true_flat.size)[order], first)

    true_of_pair, pred_of_pair = pairs >> _LABEL_BITS, pairs & ((1 << _LABEL_BITS) - 1)
    true_labels, true_areas, true_index = _areas(true_of_pair, pixels)
    pred_labels, pred_areas, pred_index = _areas(pred_of_pair, pixels)
    both = (true_of_pair > 0) & (pred_of_pair > 0)
    return Overlaps(
        true_labels=true_labels,
        pred_labels=pred_labels,
        true_areas=true_areas,
        pred_areas=pred_areas,
        true_index=true_index[both],
        pred_index=pred_index[both],
        intersection=pixels[both],
    )


def _areas(
    labels: NDArray[np.int64], pixels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the labels other than 0, their areas, and the index of each entry's label (-1 for background)."""
    present, index = np.unique(np.append(labels, 0), return_inverse=True)  # background may be absent
    areas = np.bincount(index[:-1], weights=pixels, minlength=len(present)).astype(np.int64)
    return present[1:], areas[1:], index[:-1] - 1
