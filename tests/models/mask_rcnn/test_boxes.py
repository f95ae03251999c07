import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from nucseg.models.mask_rcnn.boxes import LARGEST_LOG_RATIO, areas, clip, decode, encode, enlarge, pairwise_iou

BOX_STD = (0.1, 0.2)


def to_numpy(value):
    return ops.convert_to_numpy(value)


def test_iou_by_hand():
    first = np.array([[0, 0, 2, 2], [0, 0, 0, 0]], np.float32)
    second = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [0, 2, 2, 4], [0, 0, 4, 4]], np.float32)
    expected = [[1, 1 / 7, 0, 4 / 16], [0, 0, 0, 0]]
    np.testing.assert_allclose(to_numpy(pairwise_iou(first, second)), expected, atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1))
def test_iou_is_that_of_keras(seed):
    from keras.utils.bounding_boxes import compute_iou

    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 50, (2, 7, 2))
    one, two = np.concatenate([corner, corner + rng.uniform(0.5, 30, (2, 7, 2))], -1).astype(np.float32)
    expected = to_numpy(compute_iou(one, two, "xyxy"))
    np.testing.assert_allclose(to_numpy(pairwise_iou(one, two)), expected, atol=1e-5)


@given(seed=st.integers(0, 2**32 - 1))
def test_coding_comes_back(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 200, (2, 20, 2))
    boxes, references = np.concatenate([corner, corner + rng.uniform(2, 60, (2, 20, 2))], -1).astype(np.float32)
    again = to_numpy(decode(encode(boxes, references, BOX_STD), references, BOX_STD))
    np.testing.assert_allclose(again, boxes, rtol=1e-4, atol=1e-2)


def test_code_by_hand():
    """From a box of 10 x 20 around (5, 10) to one of 20 x 20 around (10, 10)."""
    code = to_numpy(encode(np.array([[0, 0, 20, 20]], np.float32), np.array([[0, 0, 10, 20]], np.float32), BOX_STD))
    np.testing.assert_allclose(code, [[0.5 / 0.1, 0, np.log(2) / 0.2, 0]], atol=1e-5)


def test_a_wild_code_is_bounded():
    box = to_numpy(
        decode(np.array([[0, 0, 1e4, -1e4]], np.float32), np.array([[0, 0, 16, 16]], np.float32), (1.0, 1.0))
    )
    assert np.isfinite(box).all()
    np.testing.assert_allclose(box[0, 2] - box[0, 0], 16 * np.exp(LARGEST_LOG_RATIO), rtol=1e-5)
    assert box[0, 2] - box[0, 0] == pytest.approx(1000, rel=1e-4)


def test_clip_and_enlarge():
    box = np.array([[-3, 5, 12, 30]], np.float32)
    np.testing.assert_array_equal(to_numpy(clip(box, 10, 20)), [[0, 5, 10, 20]])
    np.testing.assert_allclose(to_numpy(enlarge(box, 0.1)), [[-4.5, 2.5, 13.5, 32.5]])
    np.testing.assert_array_equal(to_numpy(areas(np.array([[0, 0, 2, 3], [5, 5, 1, 9]], np.float32))), [6, 0])
