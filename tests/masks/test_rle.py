import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from kaggle_masks import kaggle_decode
from nucseg.core.errors import InputError
from nucseg.masks.rle import coco_decode, coco_encode, kaggle_encode, kaggle_runs

label_images = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 5))


def slow_kaggle_encode(mask):
    """Encode one mask the way the Kaggle forum does: pixel by pixel."""
    numbers, previous = [], -2
    for place in np.flatnonzero(mask.T.ravel()):
        if place > previous + 1:
            numbers += [place + 1, 0]
        numbers[-1] += 1
        previous = place
    return " ".join(map(str, numbers))


def test_kaggle_by_hand():
    labels = np.array([[1, 1, 0], [0, 1, 2], [0, 2, 2]], np.int32)
    # Columns one after the other: 1 0 0 | 1 1 2 | 0 2 2.
    assert kaggle_encode(labels) == ["1 1 4 2", "6 1 8 2"]
    assert [runs.tolist() for runs in kaggle_runs(labels)] == [[[1, 1], [4, 2]], [[6, 1], [8, 2]]]


def test_kaggle_runs_go_on_over_the_end_of_a_column():
    assert kaggle_encode(np.array([[0, 1], [1, 0]])) == ["2 2"]
    assert kaggle_encode(np.ones((3, 4), np.uint8)) == ["1 12"]


def test_no_nuclei():
    for dtype in ("bool", "uint16", "int32", "int64"):
        assert kaggle_runs(np.zeros((3, 4), dtype)) == []
    assert kaggle_encode(np.zeros((3, 4), np.int32)) == []
    assert coco_encode(np.zeros((3, 4), np.int32)) == []
    # The row of an image without nuclei in submission.csv.
    assert not kaggle_decode([""], (3, 4)).any()
    assert kaggle_decode([], (3, 4)).shape == coco_decode([], (3, 4)).shape == (3, 4)


@given(label_images)
def test_kaggle_is_that_of_a_loop_over_pixels_and_comes_back(labels):
    encoded = kaggle_encode(labels)
    assert encoded == [slow_kaggle_encode(labels == number) for number in range(1, labels.max() + 1)]
    decoded = kaggle_decode(encoded, labels.shape)
    assert decoded.dtype == np.int32
    assert np.array_equal(decoded, labels)


@given(label_images)
def test_coco_is_that_of_pycocotools_and_comes_back(labels):
    encoded = coco_encode(labels)
    masks = [np.asfortranarray(labels == number, np.uint8) for number in range(1, labels.max() + 1)]
    expected = [coco_mask.encode(mask) for mask in masks]
    assert [mask["counts"].encode() for mask in encoded] == [mask["counts"] for mask in expected]
    assert all(mask["size"] == list(labels.shape) for mask in encoded)
    assert np.array_equal(coco_decode(encoded, labels.shape), labels)
    assert np.array_equal(coco_decode(expected, labels.shape), labels)


@pytest.mark.parametrize("shape", [(700, 900), (2, 40_000), (40_000, 2)])
def test_coco_with_counts_of_several_characters(shape):
    generator = np.random.default_rng(0)
    labels = np.zeros(shape, np.int32)
    for number in range(1, 40):
        row, column = generator.integers(0, shape)
        labels[row : row + generator.integers(1, 300), column : column + generator.integers(1, 3000)] = number
    encoded = coco_encode(labels)
    for number, mask in enumerate(encoded, start=1):
        assert np.array_equal(coco_mask.decode(mask), labels == number)
    assert np.array_equal(coco_decode(encoded, shape), labels)
    assert np.array_equal(kaggle_decode(kaggle_encode(labels), shape), labels)


def test_more_than_65535_labels():
    labels = np.arange(1, 260 * 260 + 1, dtype=np.int32).reshape(260, 260)
    assert np.array_equal(kaggle_decode(kaggle_encode(labels), labels.shape), labels)
    assert np.array_equal(coco_decode(coco_encode(labels), labels.shape), labels)


def compressed(counts, shape):
    return coco_mask.frPyObjects({"counts": counts, "size": list(shape)}, *shape)


@pytest.mark.parametrize(
    "masks, message",
    [
        ([{"size": [4, 3], "counts": "0<"}], r"mask 1: size \[4, 3\]; allowed is that of the image, \[3, 4\]"),
        ([compressed([2, 3], (3, 4))], "mask 1: its counts do not cover"),
        ([compressed([2, 30], (3, 4))], "do not cover"),
        ([{"size": [3, 4], "counts": ""}], "do not cover"),
        ([{"size": [3, 4], "counts": "é"}], "do not cover"),
        ([{"size": [3, 4], "counts": " "}], "not a compressed count"),
        ([{"size": [3, 4], "counts": "o"}], "not a compressed count"),
        ([{"size": [3, 4], "counts": "oooooooooooooo0"}], "unterminated"),
        ([compressed([0, 3, 9], (3, 4)), compressed([2, 3, 7], (3, 4))], "Masks 1 and 2 overlap"),
    ],
)
def test_damaged_coco_masks_are_refused(masks, message):
    with pytest.raises(InputError, match=message):
        coco_decode(masks, (3, 4))


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20), max_size=4))
def test_rubbish_is_refused_or_decoded(counts):
    try:
        labels = coco_decode([{"size": [3, 4], "counts": text} for text in counts], (3, 4))
    except InputError:
        return
    assert labels.max() <= len(counts)


def ten_thousand_nuclei():
    rows, columns = np.mgrid[:36, :36]
    disc = (rows - 17.5) ** 2 + (columns - 17.5) ** 2 < 15**2
    labels = np.zeros((4096, 4096), np.int32)
    for number in range(10_000):
        row, column = 40 * (number // 100), 40 * (number % 100)
        labels[row : row + 36, column : column + 36][disc] = number + 1
    return labels


@pytest.mark.slow
def test_ten_thousand_nuclei_are_encoded_200_times_as_fast_as_one_by_one():
    labels = ten_thousand_nuclei()

    def one_by_one(number):
        pixels = np.concatenate([[0], (labels == number).T.ravel(), [0]])
        changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
        return np.stack([changes[::2], changes[1::2] - changes[::2]], axis=1)

    numbers = [1, 5000, 10_000]
    start = time.perf_counter()
    expected = [one_by_one(number) for number in numbers]
    loop = (time.perf_counter() - start) / len(numbers) * 10_000
    start = time.perf_counter()
    runs = kaggle_runs(labels)
    fast = time.perf_counter() - start
    assert all(np.array_equal(runs[number - 1], one) for number, one in zip(numbers, expected, strict=True))
    assert loop > 200 * fast
