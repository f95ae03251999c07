import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from nucseg.models.mask_rcnn.boxes import pairwise_iou
from nucseg.models.mask_rcnn.proposals import best_of_cells, first_kept, kept_boxes, propose, select, suppress

ANCHORS = np.array([[0, 0, 8, 8], [0, 8, 8, 16], [8, 0, 16, 8], [8, 8, 16, 16]], np.float32)
CODES = np.zeros((1, 4, 4), np.float32)
OBJECTNESS = np.array([0.9, 0.2, 0.5, 0.3], np.float32)
LOGITS = np.log(OBJECTNESS / (1 - OBJECTNESS))


def selected(**changes):
    limits = {"lowest": 0.0, "before": 4, "after": 4, "nms_iou": 0.7} | changes
    return select(LOGITS, CODES[0], ANCHORS, (16, 16), **limits)


def test_the_best_come_first():
    boxes, there = propose(LOGITS[None], CODES, ANCHORS, (16, 16), before=6, after=5, nms_iou=0.7)
    assert ops.convert_to_numpy(there).tolist() == [[True, True, True, True, False]]
    np.testing.assert_allclose(ops.convert_to_numpy(boxes)[0], [*ANCHORS[[0, 2, 3, 1]], [0, 0, 0, 0]], atol=1e-5)


def test_one_anchor_of_each_cell_is_left():
    logits = np.array([[1.0, 3.0, 2.0, -1.0, -3.0, -2.0], [0.0, 0.0, -1.0, 5.0, 6.0, 7.0]], np.float32)
    expected = np.where([[0, 1, 0, 1, 0, 0], [1, 1, 0, 0, 0, 1]], logits, -1e9)
    np.testing.assert_array_equal(ops.convert_to_numpy(best_of_cells(logits, 3)), expected)


def test_prediction_selects_the_same():
    np.testing.assert_allclose(selected(), ANCHORS[[0, 2, 3, 1]], atol=1e-5)


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"lowest": 0.25}, [0, 2, 3]),
        ({"lowest": 0.95}, []),
        ({"before": 3}, [0, 2, 3]),
        ({"after": 1}, [0]),
        ({"nms_iou": 0.0}, [0, 2, 3, 1]),  # side by side: they do not overlap
    ],
)
def test_what_is_no_proposal(changes, expected):
    np.testing.assert_allclose(selected(**changes), ANCHORS[expected], atol=1e-5)


def greedy(boxes, valid, threshold):
    """The rule as it is written: from the best on, keep what no kept one overlaps."""
    iou = ops.convert_to_numpy(pairwise_iou(boxes, boxes))
    keep = np.zeros(len(boxes), bool)
    for number in np.flatnonzero(valid):
        keep[number] = not (iou[number, keep] > threshold).any()
    return keep


@given(seed=st.integers(0, 2**32 - 1), threshold=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_the_suppression_is_the_greedy_rule(seed, threshold):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (2, 60, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 25, (2, 60, 2))], -1).astype(np.float32)
    valid = rng.random((2, 60)) < 0.9
    found = ops.convert_to_numpy(suppress(boxes, valid, threshold))
    for number in range(2):
        np.testing.assert_array_equal(found[number], greedy(boxes[number], valid[number], threshold))
    expected = greedy(boxes[0], np.ones(60, bool), threshold)
    np.testing.assert_array_equal(kept_boxes(boxes[0], threshold), np.flatnonzero(expected))


def test_a_chain_of_overlaps():
    """Each overlaps the next by more than a half: every second one stays, as the greedy rule wants it."""
    boxes = np.array([[0, 3 * place, 10, 3 * place + 10] for place in range(40)], np.float32)
    found = ops.convert_to_numpy(suppress(boxes[None], np.ones((1, 40), bool), 0.5))[0]
    np.testing.assert_array_equal(np.flatnonzero(found), np.arange(0, 40, 2))
    np.testing.assert_array_equal(kept_boxes(boxes, 0.5), np.arange(0, 40, 2))


def test_without_boxes_none_is_kept():
    assert kept_boxes(np.zeros((0, 4), np.float32), 0.5).tolist() == []


def test_first_kept():
    places, there = (
        ops.convert_to_numpy(value) for value in first_kept(np.array([[0, 1, 0, 1, 1], [0, 0, 0, 1, 0]], bool), 2)
    )
    np.testing.assert_array_equal(places[0], [1, 3])
    assert places[1, 0] == 3
    np.testing.assert_array_equal(there, [[True, True], [True, False]])
