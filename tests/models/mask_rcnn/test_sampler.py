import numpy as np
from keras import ops

from nucseg.models.mask_rcnn.sampler import sample


def run(labels, keys, *counts):
    return [ops.convert_to_numpy(value) for value in sample(np.array(labels), np.array(keys, np.float32), *counts)]


def test_the_largest_keys_are_drawn_positives_first():
    chosen, positive, weight = run([[1, 0, 1, -1, 1, 0]], [[0.1, 0.5, 0.9, 0.99, 0.4, 0.2]], 2, 2)
    np.testing.assert_array_equal(chosen, [[2, 4, 1, 5]])
    np.testing.assert_array_equal(positive, [[True, True, False, False]])
    np.testing.assert_array_equal(weight, [[1, 1, 1, 1]])


def test_places_without_a_proposal_have_no_weight():
    _, positive, weight = run([[0, 0, 1], [0, 0, 0], [-1, -1, -1]], np.zeros((3, 3)), 2, 3)
    np.testing.assert_array_equal(weight, [[1, 0, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(positive, [[True, True, False, False, False]] * 3)


def test_all_are_drawn_as_often():
    keys = np.random.default_rng(0).random((4000, 6))
    chosen = run([[1, 1, 1, 1, 0, 0]] * 4000, keys, 2, 1)[0]
    counts = np.bincount(chosen[:, :2].ravel(), minlength=6)
    np.testing.assert_allclose(counts, [2000] * 4 + [0, 0], atol=150)
