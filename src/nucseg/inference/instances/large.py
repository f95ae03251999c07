"""Large nuclei that a network misses beside small ones: smaller scales show them."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import relabel_sequential

from nucseg.core.types import Instances

_SMALLEST = 60.0  # pixels: narrower nuclei are found at full size
_SAME = 0.5  # IoU of two outlines of the same nucleus
_MOSTLY = 0.5  # of a nucleus


def add_large(found: Instances, at: Callable[[float], Instances], score: float, largest: float) -> Instances:
    """Add the large nuclei that only smaller scales show, in the place of the pieces that were found of them.

    A nucleus is added if half and a quarter of the size show the same one: dirt and groups look different from each
    distance. And if full size shows neither this nucleus nor others that cover half of it, which may be a group.

    Args:
        found: The nuclei found at full size, perhaps with weak ones.
        at: Returns what is found at a scale, resized to the image, without weak ones; called with 0.25 and, if that
            shows a nucleus that is missing, with 0.5.
        score: The score from which a nucleus is not weak.
        largest: Pixels: the diameter of the largest nuclei that the model knows.

    Returns:
        All nuclei by decreasing score; `found` itself if none is missing.
    """
    sure = found.above(score).labels
    quarter = at(0.25)
    if not any(_missing(quarter, sure, largest)):
        return found
    half = at(0.5)
    labels, scores = found.labels.copy(), list(found.scores)
    for number, pixels in _missing(half, sure, largest):
        if _overlaps(pixels, quarter.labels)[1].max() >= _SAME:
            pieces = np.flatnonzero(_overlaps(pixels, labels)[0] >= _MOSTLY)
            labels[np.isin(labels, pieces)] = 0
            scores.append(half.scores[number - 1])
            labels[pixels & (labels == 0)] = len(scores)
    if len(scores) == len(found):
        return found
    present = np.unique(labels[labels > 0])
    return Instances(relabel_sequential(labels)[0], np.array(scores, np.float32)[present - 1]).by_score()


def _missing(seen: Instances, sure: NDArray[np.int32], largest: float) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield number and pixels of each large nucleus of a smaller scale that full size does not show."""
    diameters = 2 * np.sqrt(seen.areas / np.pi)
    for number in np.flatnonzero((diameters >= _SMALLEST) & (diameters / 2 <= largest)) + 1:
        pixels = seen.labels == number
        covered = np.count_nonzero(sure[pixels]) / np.count_nonzero(pixels)
        if covered < _MOSTLY and _overlaps(pixels, sure)[1].max() < _SAME:
            yield int(number), pixels


def _overlaps(pixels: NDArray[np.bool_], labels: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of each nucleus that lies in some pixels, and the IoU of both, by label; 0 for background."""
    areas = np.bincount(labels.ravel())
    inside = np.bincount(labels[pixels], minlength=len(areas))
    inside[0] = 0
    return inside / np.maximum(areas, 1), inside / (areas + np.count_nonzero(pixels) - inside)
