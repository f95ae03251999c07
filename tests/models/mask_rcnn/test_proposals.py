import numpy as np
from keras import ops

from nucseg.models.mask_rcnn.proposals import propose

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
