import numpy as np
from keras import ops

from nucseg.models.mask_rcnn.sampling import IGNORED, NEGATIVE, POSITIVE, match, sample

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


def draw(labels, keys, *counts):
    return [ops.convert_to_numpy(value) for value in sample(np.array(labels), np.array(keys, np.float32), *counts)]


def test_the_largest_keys_are_drawn_positives_first():
    chosen, positive, weight = draw([[1, 0, 1, -1, 1, 0]], [[0.1, 0.5, 0.9, 0.99, 0.4, 0.2]], 2, 2)
    np.testing.assert_array_equal(chosen, [[2, 4, 1, 5]])
    np.testing.assert_array_equal(positive, [[True, True, False, False]])
    np.testing.assert_array_equal(weight, [[1, 1, 1, 1]])


def test_places_without_a_proposal_have_no_weight():
    _, positive, weight = draw([[0, 0, 1], [0, 0, 0], [-1, -1, -1]], np.zeros((3, 3)), 2, 3)
    np.testing.assert_array_equal(weight, [[1, 0, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(positive, [[True, True, False, False, False]] * 3)


def test_all_are_drawn_as_often():
    keys = np.random.default_rng(0).random((4000, 6))
    chosen = draw([[1, 1, 1, 1, 0, 0]] * 4000, keys, 2, 1)[0]
    counts = np.bincount(chosen[:, :2].ravel(), minlength=6)
    np.testing.assert_allclose(counts, [2000] * 4 + [0, 0], atol=150)
