"""One number for a nucleus through neighbouring planes of a stack, by the overlap of its outlines."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from nucseg.core.window import Window
from nucseg.inference.instances.stitched import StitchedLabels

_ROWS = 512  # of the bands in which two planes are compared


def linked_numbers(planes: Sequence[StitchedLabels], min_iou: float) -> list[NDArray[np.int64]]:
    """Number nuclei so that those that are the same one in neighbouring planes have one number.

    Each nucleus is linked to at most one of the next plane, so that the sum of their IoU is as large as possible. What
    is missing in one plane is not bridged.

    Args:
        planes: What was found in each plane, in their order.
        min_iou: Smallest intersection over union of two outlines of one nucleus, above 0.

    Returns:
        For each plane `(N,)`, the numbers of its nuclei: 1, 2, ... in the order in which they first appear.
    """
    numbers = [np.arange(1, len(planes[0]) + 1)]
    last = len(planes[0])
    for before, after in itertools.pairwise(planes):
        linked = np.zeros(len(after), np.int64)
        earlier, later = _pairs(before, after, min_iou)
        linked[later] = numbers[-1][earlier]
        fresh = linked == 0
        linked[fresh] = np.arange(last + 1, last + 1 + fresh.sum())
        last += int(fresh.sum())
        numbers.append(linked)
    return numbers


def _pairs(before: StitchedLabels, after: StitchedLabels, min_iou: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find which nucleus of a plane is which of the next: their indices, in the same order."""
    first, second, iou = _overlaps(before, after)
    likely = iou >= min_iou
    first, second, iou = first[likely], second[likely], iou[likely]
    # Nuclei compete only with those that they are connected to by overlaps: each such group is solved on its own.
    size = len(before) + len(after)
    graph = csr_array((np.ones(len(iou)), (first, len(before) + second)), shape=(size, size))
    groups = connected_components(graph, directed=False)[1][first]
    earlier, later = [], []
    for edges in np.split(np.argsort(groups, kind="stable"), np.cumsum(np.unique(groups, return_counts=True)[1])[:-1]):
        rows, row = np.unique(first[edges], return_inverse=True)
        columns, column = np.unique(second[edges], return_inverse=True)
        gain = np.zeros((len(rows), len(columns)))
        gain[row, column] = iou[edges]
        chosen = linear_sum_assignment(gain, maximize=True)
        real = gain[chosen] > 0
        earlier.append(rows[chosen[0][real]])
        later.append(columns[chosen[1][real]])
    return np.concatenate([np.zeros(0, np.intp), *earlier]), np.concatenate([np.zeros(0, np.intp), *later])


def _overlaps(
    before: StitchedLabels, after: StitchedLabels
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Find the nuclei of two planes that share pixels: their indices, and their intersections over union."""
    shared = csr_array((len(before) + 1, len(after) + 1), dtype=np.int64)
    height, width = before.shape
    for top in range(0, height, _ROWS):
        window = Window(top, 0, min(top + _ROWS, height), width)
        labels = before.labels(window).ravel(), after.labels(window).ravel()
        shared += coo_array((np.ones(len(labels[0]), np.int64), labels), shape=shared.shape).tocsr()
    areas = shared.sum(1), shared.sum(0)
    pairs = shared[1:, 1:].tocoo()
    first, second = pairs.coords
    return first, second, pairs.data / (areas[0][first + 1] + areas[1][second + 1] - pairs.data)
