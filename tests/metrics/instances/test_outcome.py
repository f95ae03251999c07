import numpy as np

from nucseg.metrics.instances.outcome import outcome
from nucseg.metrics.instances.overlap import overlaps


def lists(truth, pred):
    found = outcome(overlaps(np.array([truth]), np.array([pred])))
    return {kind: labels.tolist() for kind, labels in vars(found).items()}


def test_each_kind_of_error():
    #        fits | missed | extra | merged     | split
    truth = [4, 4, 0, 5, 5, 0, 0, 0, 6, 6, 0, 7, 7, 0, 8, 8, 8, 8]
    pred = [9, 9, 0, 0, 0, 0, 3, 0, 2, 2, 2, 2, 2, 0, 1, 1, 5, 5]
    assert lists(truth, pred) == {"missed": [5], "extra": [3], "merged": [2], "split": [8]}


def test_a_match_does_not_hide_a_merge_or_a_split():
    assert lists([1] * 9 + [2], [1] * 10) == {"missed": [], "extra": [], "merged": [1], "split": []}
    assert lists([1] * 10, [1] * 9 + [2]) == {"missed": [], "extra": [], "merged": [], "split": [1]}


def test_a_merge_or_a_split_explains_only_what_belongs_to_it():
    merge = lists([1, 1, 2, 2, 3, 3, 3], [1, 1, 1, 1, 1, 0, 0])  # touches 3 and does not cover it
    assert merge == {"missed": [3], "extra": [], "merged": [1], "split": []}
    split = lists([1, 1, 1, 1, 1, 0, 0], [1, 1, 2, 2, 3, 3, 3])  # 3 touches the split nucleus and lies beside it
    assert split == {"missed": [], "extra": [3], "merged": [], "split": [1]}


def test_a_prediction_off_its_nucleus_is_both_missed_and_extra():
    assert lists([1, 1, 1, 1, 0, 0], [0, 0, 0, 2, 2, 2]) == {"missed": [1], "extra": [2], "merged": [], "split": []}


def test_nothing_and_nothing_found():
    empty = {"missed": [], "extra": [], "merged": [], "split": []}
    assert lists([0, 0], [0, 0]) == empty
    assert lists([1, 0], [0, 0]) == empty | {"missed": [1]}
    assert lists([0, 0], [0, 1]) == empty | {"extra": [1]}
