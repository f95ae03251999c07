import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from nucseg.models.mask_rcnn.boxes import pairwise_iou
from nucseg.models.mask_rcnn.proposals import first_kept, propose, suppress

ANCHORS = np.array([[0, 0, 8, 8], [0, 8, 8, 16], [8, 0, 16, 8], [8, 8, 16, 16]], np.float32)
CODES = np.zeros((1, 4, 4), np.float32)


def found(lowest):
    """Propose of four anchors side by side whose objectness is 0.9, 0.2, 0.5 and 0.3."""
    objectness = np.array([[0.9, 0.2, 0.5, 0.3]], np.float32)
    logits = np.log(objectness / (1 - objectness))
    boxes, there = propose(logits, CODES, ANCHORS, (16, 16), before=4, after=4, nms_iou=0.7, lowest=lowest)
    return ops.convert_to_numpy(boxes)[0], ops.convert_to_numpy(there)[0]


def test_the_best_come_first():
    boxes, there = found(0.0)
    assert there.all()
    np.testing.assert_allclose(boxes, ANCHORS[[0, 2, 3, 1]], atol=1e-5)


def test_weak_anchors_are_no_proposals():
    boxes, there = found(0.25)
    assert there.tolist() == [True, True, True, False]
    assert not boxes[3].any()


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


def test_a_chain_of_overlaps():
    """Each overlaps the next by more than a half: every second one stays, as the greedy rule wants it."""
    boxes = np.array([[0, 3 * place, 10, 3 * place + 10] for place in range(40)], np.float32)
    found = ops.convert_to_numpy(suppress(boxes[None], np.ones((1, 40), bool), 0.5))[0]
    np.testing.assert_array_equal(np.flatnonzero(found), np.arange(0, 40, 2))


def test_first_kept():
    places, there = (
        ops.convert_to_numpy(value) for value in first_kept(np.array([[0, 1, 0, 1, 1], [0, 0, 0, 1, 0]], bool), 2)
    )
    np.testing.assert_array_equal(places[0], [1, 3])
    assert places[1, 0] == 3
    np.testing.assert_array_equal(there, [[True, True], [True, False]])
