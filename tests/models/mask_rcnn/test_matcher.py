import numpy as np
from keras import ops

from nucseg.models.mask_rcnn.matcher import IGNORED, NEGATIVE, POSITIVE, match

# Of Detectron2's tests: three true boxes, four anchors.
IOU = np.array([[0.15, 0.45, 0.2, 0.6], [0.3, 0.65, 0.05, 0.1], [0.05, 0.4, 0.25, 0.4]], np.float32)


def run(iou, *args, **kwargs):
    return [ops.convert_to_numpy(value) for value in match(iou, *args, **kwargs)]


def test_the_case_of_detectron2():
    matches, labels = run(IOU, 0.3, 0.7, force=True)
    np.testing.assert_array_equal(matches, [1, 1, 2, 0])
    np.testing.assert_array_equal(labels, [-1, 1, 0, 1])
    assert matches.dtype == labels.dtype == np.int32


def test_without_force_weak_ones_stay_what_they_are():
    np.testing.assert_array_equal(run(IOU, 0.3, 0.7, force=False)[1], [IGNORED, IGNORED, NEGATIVE, IGNORED])
    np.testing.assert_array_equal(run(IOU, 0.5, 0.5, force=False)[1], [NEGATIVE, POSITIVE, NEGATIVE, POSITIVE])


def test_padding_forces_nothing():
    padded = np.concatenate([IOU, np.zeros((2, 4), np.float32)])
    for found, expected in zip(run(padded, 0.3, 0.7, force=True), run(IOU, 0.3, 0.7, force=True), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (run(np.zeros((3, 4), np.float32), 0.3, 0.7, force=True)[1] == NEGATIVE).all()


def test_batches():
    matches, labels = run(np.stack([IOU, IOU[::-1]]), 0.3, 0.7, force=True)
    np.testing.assert_array_equal(matches, [[1, 1, 2, 0], [1, 1, 0, 2]])
    np.testing.assert_array_equal(labels, [[-1, 1, 0, 1]] * 2)
