"""Nuclei linked through planes."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from nucseg.core.types import Instances
from nucseg.inference.instances.linking import linked_numbers
from nucseg.inference.instances.stitched import StitchedLabels


def plane(labels):
    labels = np.asarray(labels, np.int32)
    return StitchedLabels.of(Instances(labels, np.ones(labels.max(), np.float32)))


def numbers(*planes, min_iou=0.1):
    return [each.tolist() for each in linked_numbers([plane(each) for each in planes], min_iou)]


def test_the_sum_of_overlaps_decides_not_the_best_pair():
    before = [[1, 1, 1, 1, 1, 2, 2, 2, 0, 0]]
    after = [[2, 2, 1, 1, 1, 1, 1, 0, 0, 0]]  # 1 overlaps both, most the first; 2 overlaps only the first
    # 1-1: 3/7, 1-2: 2/5, 2-1: 2/6. Greedy: 3/7; together: 2/5 + 2/6.
    assert numbers(before, after) == [[1, 2], [2, 1]]


def test_planes_without_nuclei_break_tracks():
    one, none = [[0, 1, 1]], [[0, 0, 0]]
    assert numbers(one, one, none, one) == [[1], [1], [], [2]]
    assert numbers(none, none) == [[], []]


def test_too_little_overlap_is_another_nucleus():
    before, after = [[1, 1, 0]], [[0, 1, 1]]
    assert numbers(before, after, min_iou=1 / 3) == [[1], [1]]
    assert numbers(before, after, min_iou=0.34) == [[1], [2]]


def test_as_good_as_any_choice(monkeypatch):
    monkeypatch.setattr("nucseg.inference.instances.linking._ROWS", 7)
    rng = np.random.default_rng(3)
    blocks = [np.kron(rng.permutation(16).reshape(4, 4), np.ones((5, 5), int)) for _ in range(2)]
    before = blocks[0] + 1
    after = np.roll(blocks[1] + 1, (2, 1), (0, 1))
    found = linked_numbers([plane(before), plane(after)], 1e-9)[1]
    iou = np.zeros((16, 16))
    for one, other in itertools.product(range(16), repeat=2):
        shared = ((before == one + 1) & (after == other + 1)).sum()
        iou[one, other] = shared / (50 - shared)
    linked = sum(iou[number - 1, other] for other, number in enumerate(found) if number <= 16)
    assert linked == pytest.approx(iou[linear_sum_assignment(iou, maximize=True)].sum())
