import numpy as np
import pytest

from nucseg.core.errors import InputError
from nucseg.metrics.instances.overlap import overlaps


def test_golden_numbers():
    truth = np.array([[1, 1, 0, 7], [1, 1, 0, 7], [0, 0, 0, 7]])
    pred = np.array([[0, 3, 3, 0], [0, 3, 3, 9], [2, 0, 0, 9]])
    found = overlaps(truth, pred)
    assert found.true_labels.tolist() == [1, 7]
    assert found.true_areas.tolist() == [4, 3]
    assert found.pred_labels.tolist() == [2, 3, 9]
    assert found.pred_areas.tolist() == [1, 4, 2]
    assert found.true_index.tolist() == [0, 1]
    assert found.pred_index.tolist() == [1, 2]
    assert found.intersection.tolist() == [2, 2]
    assert found.iou.tolist() == [2 / 6, 2 / 3]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int64, np.uint32])
def test_any_integer_dtype_and_memory_order(dtype):
    truth = np.zeros((4, 6), dtype)
    truth[1:3, 1:5] = 1
    found = overlaps(np.asfortranarray(truth), truth[:, ::-1].astype(np.int32))
    assert found.iou.tolist() == [1]


def test_no_background_pixel():
    found = overlaps(np.ones((3, 3), np.int32), np.full((3, 3), 5))
    assert (found.true_areas.tolist(), found.pred_labels.tolist(), found.intersection.tolist()) == ([9], [5], [9])


def test_labels_as_high_as_int32_goes():
    highest = np.iinfo(np.int32).max
    truth = np.array([[highest, 0, highest - 1]], np.int32)
    found = overlaps(truth, truth)
    assert found.true_labels.tolist() == found.pred_labels.tolist() == [highest - 1, highest]
    assert found.iou.tolist() == [1, 1]


@pytest.mark.parametrize(
    "truth, pred, message",
    [
        (np.zeros((4, 4), int), np.zeros((4, 5), int), r"\(4, 5\).*\(4, 4\)"),
        (np.zeros((4, 4)), np.zeros((4, 4), int), "true label image: dtype float64"),
        (np.zeros((4, 4), int), np.full((4, 4), -1), "predicted label image: contains the negative label"),
        (np.zeros((4, 4), int), np.full((4, 4), 2**31), r"2\*\*31"),
    ],
)
def test_what_is_no_pair_of_label_images_is_refused(truth, pred, message):
    with pytest.raises(InputError, match=message):
        overlaps(truth, pred)
