import numpy as np

from nucseg.models.mask_rcnn.network import IGNORED_ANCHOR, NEGATIVE_ANCHOR
from nucseg.models.mask_rcnn.targets import make_targets

ANCHORS = np.array([[0, 0, 8, 8], [8, 8, 16, 16], [2, 2, 10, 10], [20, 20, 28, 28], [21, 21, 29, 29]], np.float32)


def test_by_hand(tiny):
    """Label 7 fills the second anchor; label 3, whose box is (20, 21, 26, 27), is nearest to the last two."""
    labels = np.zeros((32, 32), np.int32)
    labels[8:16, 8:16], labels[20:26, 21:27] = 7, 3
    boxes, relabelled, matches = make_targets(labels, ANCHORS, tiny)
    assert boxes.shape == (tiny.max_nuclei, 4)
    np.testing.assert_array_equal(boxes[:3], [[20, 21, 26, 27], [8, 8, 16, 16], [0, 0, 0, 0]])
    assert set(np.unique(relabelled)) == {0, 1, 2}
    assert relabelled[8, 8] == 2
    # IoU of the fourth with label 3: 36 / 64 = 0.5625, of the fifth: 30 / 70.
    expected = [NEGATIVE_ANCHOR, 1, NEGATIVE_ANCHOR, 0, IGNORED_ANCHOR]
    np.testing.assert_array_equal(matches, expected)
    assert (boxes.dtype, relabelled.dtype, matches.dtype) == (np.float32, np.int32, np.int32)


def test_an_empty_patch(tiny):
    boxes, labels, matches = make_targets(np.zeros((16, 16), np.int32), ANCHORS, tiny)
    assert not boxes.any()
    assert not labels.any()
    assert (matches == NEGATIVE_ANCHOR).all()


def test_of_too_many_the_largest_are_learned(tiny):
    config = tiny.model_copy(update={"max_nuclei": 2})
    labels = np.zeros((32, 32), np.int32)
    labels[:2, :2], labels[10:20, 10:20], labels[25:30, 25:30] = 1, 2, 3
    boxes, relabelled, _ = make_targets(labels, ANCHORS, config)
    np.testing.assert_array_equal(boxes, [[10, 10, 20, 20], [25, 25, 30, 30]])
    np.testing.assert_array_equal(np.unique(relabelled), [0, 1, 2])
