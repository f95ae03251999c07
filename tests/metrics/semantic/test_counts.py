"""Counts against what is counted pixel by pixel."""

import numpy as np
import pytest
from skimage.measure import label

from nucseg.core.types import VOID
from nucseg.metrics.semantic.counts import Hits, boundary_hits, confusion_matrix, object_hits


@pytest.fixture(params=range(3))
def pair(request):
    rng = np.random.default_rng(request.param)
    truth, predicted = (np.kron(rng.integers(0, 4, (8, 9)), np.ones((3, 3), int)).astype(np.uint8) for _ in range(2))
    predicted[rng.random(predicted.shape) < 0.7] = 0
    truth[rng.random(truth.shape) < 0.1] = VOID
    return truth, predicted


def test_confusion(pair):
    truth, predicted = pair
    expected = [[((truth == row) & (predicted == column)).sum() for column in range(4)] for row in range(4)]
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, 4), expected)


def boundary(classes, number, known):
    found = []
    for row, column in np.argwhere((classes == number) & known):
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            inside = 0 <= r < classes.shape[0] and 0 <= c < classes.shape[1]
            if inside and known[r, c] and classes[r, c] != number:
                found.append((row, column))
                break
    return np.array(found).reshape(-1, 2)


@pytest.mark.parametrize("distance", [0, 1, 2.5])
def test_boundaries(pair, distance):
    truth, predicted = pair
    known = truth != VOID
    for number in range(4):
        one, two = (boundary(each, number, known) for each in pair)
        apart = np.hypot(*(one[:, None] - two[None]).transpose(2, 0, 1))
        expected = Hits(
            len(one),
            int((apart.min(1, initial=np.inf) <= distance).sum()),
            len(two),
            int((apart.min(0, initial=np.inf) <= distance).sum()),
        )
        assert boundary_hits(truth, predicted, number, distance) == expected


@pytest.mark.parametrize("overlap", [0.0, 0.4])
def test_objects(pair, overlap):
    truth, predicted = pair
    known = truth != VOID

    def shared(mask, other):
        objects = label(mask, connectivity=2)
        each = [other[objects == number] for number in range(1, objects.max() + 1)]
        return len(each), sum(bool(inside.any()) and inside.mean() > overlap for inside in each)

    for number in range(1, 4):
        one, two = truth == number, (predicted == number) & known
        expected = Hits(*shared(one, two), *shared(two, one))
        assert object_hits(truth, predicted, number, overlap) == expected


def test_a_mark_beside_a_speck():
    truth, predicted = np.zeros((2, 9, 9), np.uint8)
    truth[1:4, 1:4] = 1
    truth[6:8, 6:8] = 1  # missed
    predicted[3, 3] = 1  # touches
    predicted[0, 8] = 1  # a speck
    assert object_hits(truth, predicted, 1, 0.0) == Hits(2, 1, 2, 1)
    truth[0, 8] = VOID
    assert object_hits(truth, predicted, 1, 0.0) == Hits(2, 1, 1, 1)
