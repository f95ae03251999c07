import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_fill_holes, label
from skimage.segmentation import relabel_sequential

from nucseg.core.errors import InputError
from nucseg.masks.labels import (
    diameters,
    fill_label_holes,
    holes_of,
    keep_largest_pieces,
    labels_from_masks,
    make_whole,
    median_diameter,
    relabel,
    visible_nuclei,
)

label_images = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 6))


def test_masks_by_hand():
    masks = [
        np.array([[0, 0, 0], [1, 1, 1]]),
        np.array([[1, 1, 0], [1, 0, 0]]),
        np.array([[0, 0, 255], [0, 0, 255]]),
        np.zeros((2, 3)),
    ]
    labels, n_overlap_pixels = labels_from_masks(masks, (2, 3))
    # Numbered by first pixel: upper left, right, lower. The right one is the smallest and takes the lower right pixel;
    # the others are equal in size, and the one with the earlier first pixel takes the lower left one.
    assert labels.tolist() == [[1, 1, 2], [1, 3, 2]]
    assert labels.dtype == np.int32
    assert n_overlap_pixels == 2


def test_a_small_nucleus_in_front_of_a_large_one_survives_and_a_repeated_one_counts_once():
    large, small = np.ones((5, 5), bool), np.zeros((5, 5), bool)
    small[2, 2:4] = True
    labels, n_overlap_pixels = labels_from_masks([small, large, small], (5, 5))
    assert np.array_equal(labels, 1 + small)
    assert n_overlap_pixels == 2


def test_no_masks_make_background():
    labels, n_overlap_pixels = labels_from_masks([], (2, 3))
    assert labels.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert n_overlap_pixels == 0


def test_masks_are_taken_one_at_a_time(draw_nuclei):
    _, truth = draw_nuclei((64, 64), 5, 0)
    labels, n_overlap_pixels = labels_from_masks((truth == number for number in range(1, 6)), truth.shape)
    assert n_overlap_pixels == 0
    for number in range(1, 6):
        assert len(np.unique(labels[truth == number])) == 1
    assert np.array_equal(labels > 0, truth > 0)


@given(arrays(bool, st.tuples(st.integers(0, 6), st.just(4), st.just(5))), st.randoms())
def test_the_order_of_the_masks_does_not_matter(masks, random):
    labels, n_overlap_pixels = labels_from_masks(masks, (4, 5))
    shuffled = list(masks)
    random.shuffle(shuffled)
    again, n_again = labels_from_masks(shuffled, (4, 5))
    assert np.array_equal(labels, again)
    assert n_overlap_pixels == n_again == (masks.sum(axis=0) > 1).sum()
    assert np.array_equal(labels > 0, masks.any(axis=0))
    assert np.array_equal(np.unique(labels[labels > 0]), np.arange(1, labels.max() + 1))
    first_pixels = [np.flatnonzero(labels == number)[0] for number in range(1, labels.max() + 1)]
    assert len(first_pixels) <= len(masks)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"shape \(2, 2\); allowed is the shape of its image, \(2, 3\)"):
        labels_from_masks([np.ones((2, 2))], (2, 3))


@given(label_images, st.sampled_from([1, 1000, 300_000_000]))
def test_relabel_is_that_of_scikit_image(labels, step):
    gaps = labels * step
    renumbered = relabel(gaps)
    assert renumbered.dtype == np.int32
    # scikit-image makes a table up to the largest label, which the largest step would not fit.
    assert np.array_equal(renumbered, relabel_sequential(labels)[0])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "uint32", "int64"])
def test_relabel_takes_any_integer_dtype(dtype):
    assert relabel(np.array([[1, 0]], dtype)).tolist() == [[1, 0]]
    assert relabel(np.ones((2, 2), dtype)).tolist() == [[1, 1], [1, 1]]


def test_more_labels_than_16_bits_hold():
    labels = np.arange(1, 90_001).reshape(300, 300) * 3
    assert np.array_equal(relabel(labels), labels // 3)


def test_negative_labels_are_refused():
    with pytest.raises(InputError, match="holds -2"):
        relabel(np.array([[0, -2]]))


def test_parts_become_nuclei():
    labels = np.array([[5, 0, 5, 0], [0, 0, 5, 9], [2, 2, 0, 9]], np.int32)
    np.testing.assert_array_equal(visible_nuclei(labels), [[1, 0, 2, 0], [0, 0, 2, 3], [4, 4, 0, 3]])
    np.testing.assert_array_equal(visible_nuclei(labels, 2), [[0, 0, 1, 0], [0, 0, 1, 2], [3, 3, 0, 2]])
    assert visible_nuclei(np.zeros((3, 3), np.int32)).max() == 0


def test_holes_by_hand():
    labels = np.array(
        [
            [1, 1, 1, 2, 2, 2, 2, 2],
            [1, 0, 1, 2, 0, 0, 0, 2],
            [1, 1, 1, 2, 0, 3, 0, 2],
            [1, 0, 1, 2, 0, 0, 0, 2],
            [1, 0, 1, 2, 2, 2, 2, 2],
        ],
        np.int32,
    )
    filled = labels.copy()
    filled[1, 1] = 1  # the bay below is open
    filled[1:4, 4:7] = 2
    filled[2, 5] = 3  # a nucleus within another one's hole stays
    given_labels = labels.copy()
    assert fill_label_holes(labels).tolist() == filled.tolist()
    assert np.array_equal(labels, given_labels)


def test_background_that_leaks_through_a_corner_only_is_a_hole():
    labels = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.uint16)
    filled = fill_label_holes(labels)
    assert filled.tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert filled.dtype == np.uint16


@given(label_images)
def test_filling_changes_background_only_and_once(labels):
    filled = fill_label_holes(labels)
    assert np.array_equal(filled[labels > 0], labels[labels > 0])
    assert np.array_equal(fill_label_holes(filled), filled)


def test_the_largest_piece_of_each_nucleus_stays():
    labels = np.array(
        [
            [1, 1, 0, 2, 2, 3],
            [1, 0, 1, 0, 0, 3],  # the 1 in the middle touches by a corner only
            [0, 2, 2, 2, 0, 0],
            [3, 3, 0, 0, 0, 0],  # as large as the 3 above, which comes first
        ],
        np.int32,
    )
    kept = labels.copy()
    kept[1, 2] = kept[0, 3:5] = kept[3, :2] = 0
    given_labels = labels.copy()
    assert keep_largest_pieces(labels).tolist() == kept.tolist()
    assert np.array_equal(labels, given_labels)


@given(label_images)
def test_a_whole_nucleus_is_one_piece_without_background_in_it(labels):
    whole = make_whole(labels)
    assert np.array_equal(np.unique(whole[whole > 0]), np.unique(labels[labels > 0]))
    assert np.array_equal(fill_label_holes(whole), whole)
    for number in np.unique(whole[whole > 0]):
        assert label(whole == number)[1] == 1
        pieces, count = label(labels == number)
        sizes = [np.count_nonzero(pieces == piece) for piece in range(1, count + 1)]
        largest = pieces == 1 + int(np.argmax(sizes))
        assert (whole[largest] == number).all()
        # A smaller piece comes back only as a part of a hole of the largest one.
        assert not ((whole == number) & ~binary_fill_holes(largest)).any()


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)))
def test_the_holes_of_a_mask_are_those_that_scipy_fills(mask):
    assert np.array_equal(mask | holes_of(mask), binary_fill_holes(mask))
    assert not (mask & holes_of(mask)).any()


@pytest.mark.slow
def test_holes_are_those_that_stardist_fills(draw_nuclei):
    from stardist.utils import fill_label_holes as stardist_fill_label_holes

    _, labels = draw_nuclei((128, 128), 12, 4, radius=(7, 12))
    holed = labels.copy()
    for number in range(1, 13):
        rows, columns = (int(np.median(places)) for places in np.nonzero(labels == number))
        holed[rows - 1 : rows + 2, columns - 1 : columns + 1] = 0
    assert not np.array_equal(holed, labels)
    assert np.array_equal(fill_label_holes(holed), labels)
    assert np.array_equal(fill_label_holes(holed), stardist_fill_label_holes(holed))


def test_diameters():
    labels = np.zeros((30, 30), np.int32)
    labels[:4, :4] = 1
    labels[10:13, 10:13] = 5  # labels 2 to 4 are missing
    assert diameters(labels) == pytest.approx([2 * np.sqrt(16 / np.pi), 2 * np.sqrt(9 / np.pi)])
    assert median_diameter(labels) == pytest.approx(np.sqrt(16 / np.pi) + np.sqrt(9 / np.pi))
    assert diameters(np.zeros((3, 3), np.int32)).shape == (0,)
    assert median_diameter(np.zeros((3, 3), np.int32)) is None


def test_a_drawn_disc_has_its_diameter():
    rows, columns = np.mgrid[:101, :101]
    disc = ((rows - 50) ** 2 + (columns - 50) ** 2 < 40**2).astype(np.int32)
    assert diameters(disc) == pytest.approx([80], rel=0.01)
