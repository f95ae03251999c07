"""Training targets of one patch, in arrays whose shapes do not depend on its nuclei."""

import numpy as np
from keras import ops
from numpy.typing import NDArray

from nucseg.masks.boxes import boxes
from nucseg.masks.labels import keep_largest_nuclei, relabel
from nucseg.models.mask_rcnn.boxes import pairwise_iou
from nucseg.models.mask_rcnn.config import MaskRCNNConfig
from nucseg.models.mask_rcnn.network import IGNORED_ANCHOR, NEGATIVE_ANCHOR
from nucseg.models.mask_rcnn.sampling import IGNORED, POSITIVE, match


def make_targets(
    labels: NDArray[np.int32], anchors: NDArray[np.float32], config: MaskRCNNConfig
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Compute the targets of one patch.

    Args:
        labels: `(h, w)` int32; 0 is background, gaps are allowed.
        anchors: `(A, 4)` for a patch of that size.
        config: Overlaps of the first stage, and the maximum number of nuclei.

    Returns:
        The true boxes `(max_nuclei, 4)` float32, zeros if there is none; the label image `(h, w)` int32, whose label k
        belongs to box k - 1; and for each anchor `(A,)` int32 its true box, `NEGATIVE_ANCHOR` or `IGNORED_ANCHOR`.
    """
    labels = keep_largest_nuclei(relabel(labels), config.max_nuclei)
    found = boxes(labels)
    padded = np.zeros((config.max_nuclei, 4), np.float32)
    padded[: len(found)] = found
    if not len(found):
        return padded, labels, np.full(len(anchors), NEGATIVE_ANCHOR, np.int32)
    matches, kinds = match(pairwise_iou(found, anchors), config.rpn_low, config.rpn_high, force=True)
    matches, kinds = ops.convert_to_numpy(matches), ops.convert_to_numpy(kinds)
    others = np.where(kinds == IGNORED, IGNORED_ANCHOR, NEGATIVE_ANCHOR)
    return padded, labels, np.where(kinds == POSITIVE, matches, others).astype(np.int32)
